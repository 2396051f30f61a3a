"""The emulated metadata server of an ECS, in its plain and its hardened mode."""

from __future__ import annotations

import secrets
from typing import Literal, TypeAlias

from ...core.emulation import ServerReply, ServerRequest, json_reply
from .emulated_iam import EmulatedIam, IssuedKey

__all__ = ["EmulatedMetadata", "MetadataMode"]

MetadataMode: TypeAlias = Literal["plain", "hardened", "no agency"]

_TOKEN_PATH = "/meta-data/latest/api/token"  # noqa: S105 - a path
_KEY_PATH = "/openstack/latest/securitykey"


class EmulatedMetadata:
    """Gives keys for the agency that is bound to the ECS. Runs in the server's thread.

    The real one hands out the same key until that is about to end; so does this one, until half of its life.

    Args:
        iam: Issues the keys.
        agency: Name of the agency that is bound.
        mode: plain: a GET is enough. hardened: it must bring a token, which a PUT gives. no agency: none is bound.
    """

    def __init__(self, iam: EmulatedIam, agency: str, mode: MetadataMode) -> None:
        self.mode: MetadataMode = mode
        self.issued: list[IssuedKey] = []
        self._iam = iam
        self._agency = agency
        self._tokens: dict[str, float] = {}
        self._key: dict[str, str] | None = None
        self._fresh_until = 0.0

    def end_tokens(self) -> None:
        """End the tokens of the hardened mode."""
        self._tokens.clear()

    def end_key(self) -> None:
        """Give another key from now on, as after a revocation."""
        self._key = None

    def answer(self, request: ServerRequest) -> ServerReply | None:
        """The answer to a request for metadata; None if it is none."""
        if request.path == _TOKEN_PATH:
            return self._new_token(request)
        if request.path == _KEY_PATH:
            reply = self._security_key(request)
            self.issued.append(IssuedKey(self._iam.now(), "ecs", reply.status))
            return reply
        return None

    def _new_token(self, request: ServerRequest) -> ServerReply:
        if self.mode != "hardened":
            return ServerReply(404, (), b"404 Not Found")
        seconds = request.header("x-metadata-token-ttl-seconds") or ""
        if request.method != "PUT" or not seconds.isdigit() or not 60 <= int(seconds) <= 21_600:
            return ServerReply(400, (), b"400 Bad Request")
        if request.header("x-forwarded-for") is not None:
            return ServerReply(403, (), b"403 Forbidden")
        token = secrets.token_urlsafe(40)
        self._iam.secrets.add(token)
        self._tokens[token] = self._iam.now() + int(seconds)
        return ServerReply(200, (("content-type", "text/plain"),), token.encode())

    def _security_key(self, request: ServerRequest) -> ServerReply:
        if self.mode == "hardened" and self._tokens.get(request.header("x-metadata-token") or "", 0) < self._iam.now():
            return ServerReply(401, (), b"401 Unauthorized")
        if self.mode == "no agency":
            return ServerReply(401, (), b"Please configure Cloud Service Agency first.")
        now = self._iam.now()
        if self._key is None or now >= self._fresh_until:
            self._key = self._iam.issue_key(f"agency:{self._agency}", self._iam.key_life)
            self._fresh_until = now + self._iam.key_life / 2
        return json_reply({"credential": self._key})
