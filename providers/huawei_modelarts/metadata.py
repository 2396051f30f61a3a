"""Temporary keys from the metadata server of an ECS, for the agency that is bound to it. There is no secret to keep.

The server has two modes. Plain: one GET. Hardened: a PUT gives a token first, which the GET must bring. We ask for the
token first, as Huawei's own package does, and take 404, 405 and 503 for "plain".
"""

from __future__ import annotations

import re

from ...core.errors import (
    CredentialError,
    DiscoveryError,
    DiscoveryRefused,
    DiscoveryThrottled,
    TransportError,
    headline,
)
from ...core.interfaces import Query
from ...core.message import Reply
from ...core.retry_after import retry_after
from .error_body import describe
from .fetched_auth import FetchedAuth
from .grants import Steps
from .platform_clock import PlatformClock
from .renewal import Fetched
from .temporary_keys import read_temporary_key

__all__ = ["MetadataAuth"]

_TOKEN_PATH = "/meta-data/latest/api/token"  # noqa: S105 - a path
_KEY_PATH = "/openstack/latest/securitykey"
_TOKEN_SECONDS = "21600"  # noqa: S105 - the longest time that the server allows
_NO_TOKEN_MODE = frozenset({404, 405, 503})
_NO_AGENCY = b"Please configure Cloud Service Agency first"
_WORD = re.compile(rb"[\x21-\x7e]{1,4096}")


class MetadataAuth(FetchedAuth):
    """Asks the metadata server and keeps the temporary key.

    Mutable state besides that of its base: the token of the hardened mode.

    Args:
        origin: Where the metadata server is.
        clock: Dates the signatures.
    """

    is_set_up = False  # the SDKs ask it, and go on if it has no key

    def __init__(self, origin: str, clock: PlatformClock) -> None:
        super().__init__(
            label="the agency of this ECS",
            user="ecs",
            identity=("ecs", origin),
            advice="check the permissions of the agency that is bound to this ECS, project_id and region",
        )
        self._origin = origin
        self._clock = clock
        self._token: str | None = None

    def _own_secrets(self) -> tuple[str, ...]:
        return (self._token,) if self._token else ()

    def _fetch(self, unix_time: float) -> Steps[Fetched]:
        try:
            reply = yield from self._key(unix_time)
        except TransportError as error:
            raise DiscoveryError(
                f"the metadata server does not answer ({headline(error)}). "
                "Next: this credential works on an ECS only; elsewhere take another `type`"
            ) from None
        if _NO_AGENCY in reply.content:
            raise CredentialError(
                f"no agency is bound to this ECS, so its metadata server has no key (status {reply.status}). "
                "Next: bind an agency for ECS that may use ModelArts in the console (ECS, the server, Agency)"
            )
        if reply.status != 200:
            raise self._refused(reply)
        return read_temporary_key(reply, unix_time, "the metadata server")

    def _key(self, unix_time: float) -> Steps[Reply]:
        if self._token is None:
            yield from self._new_token()
        reply = yield self._query()
        if reply.status == 401 and _NO_AGENCY not in reply.content:
            # The token has ended; or the server was hardened since we asked.
            yield from self._new_token()
            reply = yield self._query()
        self._clock.learn(reply.headers, unix_time)
        return reply

    def _query(self) -> Query:
        headers = (("X-Metadata-Token", self._token),) if self._token is not None else ()
        return Query(self._origin + _KEY_PATH, headers=headers)

    def _new_token(self) -> Steps[None]:
        self._token = None
        reply = yield Query(self._origin + _TOKEN_PATH, "PUT", (("X-Metadata-Token-Ttl-Seconds", _TOKEN_SECONDS),))
        if reply.status in _NO_TOKEN_MODE:
            return
        content = reply.content.strip()
        if reply.status != 200 or not _WORD.fullmatch(content):
            raise self._refused(reply)
        self._token = content.decode("ascii")

    def _refused(self, reply: Reply) -> DiscoveryRefused:
        text = f"the metadata server gave no key ({describe(reply, self.secrets())})"
        if reply.status == 429:
            return DiscoveryThrottled(text, retry_after=retry_after(reply.headers))
        return DiscoveryRefused(text, status=reply.status)
