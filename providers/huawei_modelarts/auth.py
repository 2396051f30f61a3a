"""What a credential is to the discovery and to calls: the contract, and the two that need nothing from anybody.

An `Auth` says how a credential is obtained, as a part of a discovery conversation: a login, the metadata server, a
file. What it obtains is a `Grant`: a token or a key in hand, which authorises requests at once and without I/O. None of
this is ever used for a call to an instance: on the direct path there is no authentication, and a token must not go
there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, TypeVar

from ...core.fields import Secret
from ...core.interfaces import LocalQuery, Query, Wire
from ...core.message import Headers, Reply, Request, header
from .platform_clock import PlatformClock
from .signing import AccessKey, signed_headers
from .verdicts import is_refused_key, is_stale_token

__all__ = [
    "AkSkAuth",
    "Auth",
    "Grant",
    "KeyGrant",
    "Obtaining",
    "Steps",
    "TokenAuth",
    "TokenGrant",
    "ask",
    "gateway_wire",
    "user_of",
]

_T = TypeVar("_T")

Steps: TypeAlias = Generator[Query | LocalQuery, Reply, _T]
"""A part of a discovery conversation: yields what must be asked, returns what came of it."""


# --- in hand ----------------------------------------------------------------------------------------------------------


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


# --- the contract -----------------------------------------------------------------------------------------------------


class Auth(Protocol):
    """How a credential is obtained and kept."""

    @property
    def label(self) -> str:
        """Who this is, for people. Not a secret."""
        ...

    @property
    def user(self) -> str:
        """Who is limited by the limits per user; known once a grant is in hand, at the latest. Not a secret."""
        ...

    @property
    def identity(self) -> Hashable:
        """Equal for equal credentials. Holds no secret in clear."""
        ...

    @property
    def credential(self) -> Hashable | None:
        """What the platform may refuse for good, equal for equal credentials; None if nothing can be. No secret."""
        ...

    @property
    def renews(self) -> bool:
        """Whether a refused grant can be replaced."""
        ...

    @property
    def advice(self) -> str:
        """What to do when the grant is refused and nothing better is known."""
        ...

    @property
    def grant(self) -> Grant | None:
        """What is in hand; None before the first one. Read by calls, from any thread."""
        ...

    def obtain(self, unix_time: float, *, renew: bool = False) -> Obtaining:
        """A grant that is good now. `renew`: the platform refused the one that was used last.

        Raises:
            CredentialError: There is none. Permanent if asking again would be pointless or harmful.
            DiscoveryError, TransportError: It cannot be had now.
        """
        ...

    def seconds_to_renewal(self, unix_time: float) -> float:
        """How long nothing has to be asked; infinity for never again."""
        ...

    def secrets(self) -> tuple[str, ...]:
        """What must not be shown if the platform repeats it."""
        ...


# --- asking with a credential -----------------------------------------------------------------------------------------


def ask(
    auth: Auth,
    question: Callable[[Grant], tuple[Query, str | None]],
    unix_time: float,
    *,
    clock: PlatformClock,
    renew: bool = False,
) -> Steps[Reply]:
    """Ask with a credential; again if its refusal can be cured: by the right date, or by a new grant, each once.

    Args:
        auth: With which credential.
        question: The query without the credential, and the project that it is about (None for IAM).
        unix_time: Our time.
        clock: Learns from the answers, and dates the signatures.
        renew: Whether the grant that was used last was refused.
    """
    grant = yield from auth.obtain(unix_time, renew=renew)
    reply = yield from _ask(grant, question, unix_time, clock)
    if isinstance(grant, KeyGrant) and grant.is_refused(reply) and clock.adopt():
        reply = yield from _ask(grant, question, unix_time, clock)
    if grant.is_refused(reply) and auth.renews and not renew:
        another = yield from auth.obtain(unix_time, renew=True)
        if another != grant:
            reply = yield from _ask(another, question, unix_time, clock)
    return reply


def _ask(
    grant: Grant, question: Callable[[Grant], tuple[Query, str | None]], unix_time: float, clock: PlatformClock
) -> Steps[Reply]:
    query, project_id = question(grant)
    added = grant.headers(query, project_id, clock.signing_time(unix_time))
    reply = yield replace(query, headers=(*query.headers, *added))
    clock.learn(reply.headers, unix_time)
    return reply


def gateway_wire(
    auth: Auth, clock: PlatformClock, origin: str, prefix: str, headers: Headers, project_id: str | None
) -> Wire:
    """What calls to the gateway look like.

    Args:
        auth: With which credential.
        clock: Dates the signatures.
        origin: Scheme, host and port of the gateway.
        prefix: Goes in front of the path of every call.
        headers: The user's own.
        project_id: As configured.
    """
    if isinstance(auth, TokenAuth):
        return Wire(prefix, (*headers, ("X-Auth-Token", auth.token.reveal())))

    def sign(request: Request, unix_time: float) -> Headers:
        grant = auth.grant
        if grant is None:
            # The call goes out bare: the refusal it gets makes the core ask for a credential.
            return ()
        content = request.content
        if isinstance(grant, KeyGrant) and not isinstance(content, bytes):
            raise ValueError("a streamed body cannot be signed: pass bytes, or use the credential type 'password'")
        # Only what no HTTP library changes on its way is signed.
        content_type = header(request.headers, "Content-Type")
        kept = (("Content-Type", content_type),) if content_type is not None else ()
        body = content if isinstance(content, bytes) else b""
        query = Query(origin + request.target, request.method, kept, body)
        return grant.headers(query, project_id or grant.project_id, clock.signing_time(unix_time))

    return Wire(prefix, headers, sign)


# --- what the user has in hand ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TokenAuth:
    """Sends a token that the user has."""

    token: Secret
    renews = False
    credential = None
    label = "the ready token"
    advice = "the token has ended or is of another project or region: put a new one, or use `password` or `aksk`"

    @property
    def user(self) -> str:
        return f"token-{self.token.fingerprint()}"

    @property
    def identity(self) -> Hashable:
        return ("token", self.token.fingerprint())

    @property
    def grant(self) -> Grant:
        return TokenGrant(self.token)

    def obtain(self, unix_time: float, *, renew: bool = False) -> Obtaining:
        del unix_time, renew
        yield from ()
        return self.grant

    def seconds_to_renewal(self, unix_time: float) -> float:
        del unix_time
        return math.inf

    def secrets(self) -> tuple[str, ...]:
        return (self.token.reveal(),)


@dataclass(frozen=True, slots=True)
class AkSkAuth:
    """Signs with a key that the user has."""

    key: AccessKey
    renews = False
    credential = None
    advice = "check the key, project_id and the clock of this machine (15 minutes are allowed)"

    @property
    def label(self) -> str:
        return f"access key {self.key.access_key}"

    @property
    def user(self) -> str:
        return user_of(self.key)

    @property
    def identity(self) -> Hashable:
        token = self.key.security_token
        return (
            "aksk",
            self.key.access_key,
            self.key.secret_key.fingerprint(),
            token.fingerprint() if token is not None else "",
        )

    @property
    def grant(self) -> Grant:
        return KeyGrant(self.key)

    def obtain(self, unix_time: float, *, renew: bool = False) -> Obtaining:
        del unix_time, renew
        yield from ()
        return self.grant

    def seconds_to_renewal(self, unix_time: float) -> float:
        del unix_time
        return math.inf

    def secrets(self) -> tuple[str, ...]:
        return KeyGrant(self.key).secrets()


def user_of(key: AccessKey) -> str:
    """Who is limited when this key is used. Not the key itself."""
    return f"key-{Secret(key.access_key).fingerprint()}"
