"""A credential in hand: a token or a key, which authorises requests at once and without I/O.

None of this is ever used for a call to an instance: on the direct path there is no authentication, and a token must not
go there.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from ...core.fields import Secret
from ...core.interfaces import LocalQuery, Query
from ...core.message import Headers, Reply
from .signing import AccessKey, signed_headers
from .verdicts import is_refused_key, is_stale_token

__all__ = ["Grant", "KeyGrant", "Obtaining", "Steps", "TokenGrant"]

_T = TypeVar("_T")

Steps: TypeAlias = Generator[Query | LocalQuery, Reply, _T]
"""A part of a discovery conversation: yields what must be asked, returns what came of it."""


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """A token in hand.

    Args:
        token: The token.
    """

    token: Secret
    project_id: None = None

    def headers(self, query: Query, project_id: str | None, unix_time: float) -> Headers:
        """The header fields that authorise a request."""
        del query, project_id, unix_time
        return (("X-Auth-Token", self.token.reveal()),)

    def is_refused(self, reply: Reply) -> bool:
        """Whether an answer says that this token is no longer good."""
        return is_stale_token(reply.status, reply.content)

    def secrets(self) -> tuple[str, ...]:
        """What must not be shown if the platform repeats it."""
        return (self.token.reveal(),)


@dataclass(frozen=True, slots=True)
class KeyGrant:
    """A key in hand, which signs.

    Args:
        key: The key.
        project_id: The project that its source names; None if it names none.
    """

    key: AccessKey
    project_id: str | None = None

    def headers(self, query: Query, project_id: str | None, unix_time: float) -> Headers:
        """The header fields that authorise a request.

        Args:
            query: The request; its headers are signed along.
            project_id: The project that it is about; None for IAM.
            unix_time: What the signature is dated with.
        """
        project = (("X-Project-Id", project_id),) if project_id else ()
        headers = (*query.headers, *project)
        added = signed_headers(
            query.method, query.url, query.content, key=self.key, unix_time=unix_time, headers=headers
        )
        return (*project, *added)

    def is_refused(self, reply: Reply) -> bool:
        """Whether an answer says that this key, or the clock that dated the signature, is not good."""
        return is_refused_key(reply.status, reply.content)

    def secrets(self) -> tuple[str, ...]:
        """What must not be shown if the platform repeats it."""
        token = self.key.security_token
        return (self.key.secret_key.reveal(), *(() if token is None else (token.reveal(),)))


Grant: TypeAlias = TokenGrant | KeyGrant
"""A credential in hand."""

Obtaining: TypeAlias = Steps[Grant]
