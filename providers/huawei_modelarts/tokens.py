"""How a token is read in an answer of IAM."""

from __future__ import annotations

import json
import re
from typing import cast

from ...core.errors import DiscoveryUnreadable
from ...core.fields import Secret
from ...core.message import Reply
from .grants import TokenGrant
from .renewal import Fetched, life_of

__all__ = ["read_token"]

_USUAL_LIFE = 86_400.0
_TOKEN = re.compile(r"[\x21-\x7e]+")


def read_token(reply: Reply, unix_time: float, what: str) -> Fetched:
    """The token in an answer.

    Args:
        reply: The answer; its status is a success.
        unix_time: Our time.
        what: What was answered, for error texts, such as `the login`.

    Raises:
        DiscoveryUnreadable: There is no token in it.
    """
    token = reply.header("X-Subject-Token")
    if token is None or not _TOKEN.fullmatch(token):
        raise DiscoveryUnreadable(
            f"IAM answered {what} with status {reply.status} and no usable X-Subject-Token header"
        )
    said = _token_of(reply.content)
    life = life_of(reply, said.get("expires_at"), said.get("issued_at"), unix_time, usual=_USUAL_LIFE)
    return Fetched(TokenGrant(Secret(token)), life)


def _token_of(content: bytes) -> dict[str, object]:
    """The `token` of the answer; empty if there is none."""
    try:
        data: object = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    inner = cast("dict[str, object]", data).get("token") if isinstance(data, dict) else None
    return cast("dict[str, object]", inner) if isinstance(inner, dict) else {}
