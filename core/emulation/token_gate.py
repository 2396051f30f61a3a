"""The gate of instances that share one token: what emulators of plain servers have in common."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from .exchange import ServerReply, ServerRequest, json_reply
from .model import Gate, Rule

__all__ = ["make_gate", "token_gate"]


def token_gate(token: str | None) -> Rule:
    """Instances demand `Authorization: Bearer {token}`. None: they demand nothing."""
    return Rule(f"{__name__}:make_gate", {"token": token})


def make_gate(settings: Mapping[str, object]) -> Gate | None:
    """What the rule of `token_gate` makes."""
    token = settings["token"]
    if token is None:
        return None
    wanted = f"Bearer {token}".encode("latin-1")

    def gate(request: ServerRequest) -> ServerReply | None:
        given = (request.header("authorization") or "").encode("latin-1")
        return None if hmac.compare_digest(given, wanted) else json_reply({"error": "the token is not valid"}, 401)

    return gate
