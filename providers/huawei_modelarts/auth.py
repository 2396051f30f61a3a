"""How requests to the platform are authorised: by a ready token, by a password login, or by a signature.

An `Auth` serves both sides: the discovery asks it to authorise a query (a conversation, because a login may be
needed), and in gateway mode the wire asks it for headers (at once, without I/O). None of this is ever used for a call
to an instance: on the direct path there is no authentication, and a token must not go there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Hashable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NoReturn, Protocol, TypeAlias, cast

from ...core.errors import CredentialError, DiscoveryRefused, DiscoveryThrottled, DiscoveryUnreadable, TransportError
from ...core.fields import Secret
from ...core.interfaces import Query, RateBudget, Wire
from ...core.message import Headers, Reply, Request, header
from ...core.retry_after import retry_after
from .credentials import AkSkCredential, Credential, PasswordCredential, TokenCredential
from .error_body import describe, limit_window, read_error
from .signing import AccessKey, signed_headers

__all__ = ["AkSkAuth", "Auth", "Authorizing", "PasswordAuth", "TokenAuth", "make_auth"]

RENEW_BEFORE = 600.0
"""Seconds before its end at which a token is renewed; half of its life, if that is shorter."""

_USUAL_LIFE = 86_400.0
_AFTER_FAILED_RENEWAL = 30.0
_LOGINS = (10, 60.0)
"""Our own brake on logins (number, seconds): IAM publishes no figure, and nobody should log in in a loop."""

_TOKEN = re.compile(r"[\x21-\x7e]+")

Authorizing: TypeAlias = Generator[Query, Reply, Query]
"""A part of a discovery conversation: yields what must be asked first, returns the query with its credential."""


class Auth(Protocol):
    """What the discovery and the wire need of a credential."""

    @property
    def user(self) -> str:
        """Who is limited by the limits per user. Not a secret."""
        ...

    @property
    def tenant(self) -> str:
        """Who is limited by the limits per account. Not a secret."""
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
        """Whether a refused token can be replaced."""
        ...

    def authorize(self, query: Query, unix_time: float, *, renew: bool = False) -> Authorizing:
        """The query with its credential. `renew`: the platform refused the one that was used last."""
        ...

    def wire(self, origin: str, prefix: str, headers: Headers) -> Wire:
        """What calls to the gateway at `origin` (scheme, host and port) look like."""
        ...

    def secrets(self) -> tuple[str, ...]:
        """What must not be shown if the platform repeats it."""
        ...


def make_auth(credential: Credential, *, project_id: str, iam_url: str) -> Auth:
    """The authorisation for a credential.

    Args:
        credential: From the settings.
        project_id: The project that tokens and signatures are for.
        iam_url: Origin of IAM, without a trailing slash. Used for password logins only.
    """
    match credential:
        case TokenCredential():
            return TokenAuth(credential.token, project_id)
        case PasswordCredential():
            return PasswordAuth(credential, project_id, iam_url)
        case AkSkCredential():
            return AkSkAuth(
                AccessKey(credential.access_key, credential.secret_key, credential.security_token), project_id
            )


# --- a ready token ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TokenAuth:
    """Sends a token that the user has."""

    token: Secret
    project_id: str
    renews = False
    credential = None

    @property
    def user(self) -> str:
        return f"token-{self.token.fingerprint()}"

    @property
    def tenant(self) -> str:
        return f"project-{self.project_id}"

    @property
    def identity(self) -> Hashable:
        return ("token", self.token.fingerprint(), self.project_id)

    def authorize(self, query: Query, unix_time: float, *, renew: bool = False) -> Authorizing:
        del unix_time, renew
        yield from ()
        return _with_token(query, self.token.reveal())

    def wire(self, origin: str, prefix: str, headers: Headers) -> Wire:
        del origin
        return Wire(prefix, (*headers, ("X-Auth-Token", self.token.reveal())))

    def secrets(self) -> tuple[str, ...]:
        return (self.token.reveal(),)


# --- a signature ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AkSkAuth:
    """Signs every request."""

    key: AccessKey
    project_id: str
    renews = False
    credential = None

    @property
    def user(self) -> str:
        return f"key-{Secret(self.key.access_key).fingerprint()}"

    @property
    def tenant(self) -> str:
        return f"project-{self.project_id}"

    @property
    def identity(self) -> Hashable:
        token = self.key.security_token
        prints = (self.key.secret_key.fingerprint(), token.fingerprint() if token is not None else "")
        return ("aksk", self.key.access_key, *prints, self.project_id)

    def authorize(self, query: Query, unix_time: float, *, renew: bool = False) -> Authorizing:
        del renew
        yield from ()
        added = self._sign(query.method, query.url, query.content, query.headers, unix_time)
        return replace(query, headers=(*query.headers, *added))

    def wire(self, origin: str, prefix: str, headers: Headers) -> Wire:
        def sign(request: Request, unix_time: float) -> Headers:
            if not isinstance(request.content, bytes):
                raise ValueError("a streamed body cannot be signed: pass bytes, or use the credential type 'password'")
            # Only what no HTTP library changes on its way.
            content_type = header(request.headers, "Content-Type")
            kept = (("Content-Type", content_type),) if content_type is not None else ()
            return self._sign(request.method, origin + request.target, request.content, kept, unix_time)

        return Wire(prefix, headers, sign)

    def secrets(self) -> tuple[str, ...]:
        token = self.key.security_token
        return (self.key.secret_key.reveal(), *(() if token is None else (token.reveal(),)))

    def _sign(self, method: str, url: str, body: bytes, headers: Headers, unix_time: float) -> Headers:
        project = (("X-Project-Id", self.project_id),) if self.project_id else ()
        signed = signed_headers(method, url, body, key=self.key, unix_time=unix_time, headers=(*headers, *project))
        return (*project, *signed)


# --- a password login -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Held:
    token: str
    renew_at: float
    ends_at: float

    def __repr__(self) -> str:
        return f"<token until {self.ends_at:.0f}>"


class PasswordAuth:
    """Logs in with IAM and keeps the token. Mutable state: the token, and whether the password was refused.

    One conversation at a time changes it (the core asks one question at a time); any number of threads read it.
    """

    renews = True

    def __init__(self, credential: PasswordCredential, project_id: str, iam_url: str) -> None:
        self._credential = credential
        self._project_id = project_id
        self._url = f"{iam_url}/v3/auth/tokens?nocatalog=true"
        self._budget = RateBudget(f"{iam_url}/login/{credential.domain}/{credential.user}", *_LOGINS)
        self._held: _Held | None = None
        self._refusal: str | None = None

    def __repr__(self) -> str:
        return f"<PasswordAuth {self._credential.user} of {self._credential.domain}, {self._held or 'no token yet'}>"

    @property
    def user(self) -> str:
        return f"{self._credential.domain}/{self._credential.user}"

    @property
    def tenant(self) -> str:
        return self._credential.domain

    @property
    def identity(self) -> Hashable:
        return ("password", self.user, self._credential.password.fingerprint(), self._project_id, self._url)

    @property
    def credential(self) -> Hashable | None:
        return ("password", self._url, self.user, self._credential.password.fingerprint())

    def authorize(self, query: Query, unix_time: float, *, renew: bool = False) -> Authorizing:
        held = yield from self.fresh_token(unix_time, renew=renew)
        return _with_token(query, held.token)

    def wire(self, origin: str, prefix: str, headers: Headers) -> Wire:
        del origin

        def add_token(request: Request, unix_time: float) -> Headers:
            del request, unix_time
            # Without a token the call goes out bare: the refusal it gets makes the core ask for a login.
            held = self._held
            return (("X-Auth-Token", held.token),) if held is not None else ()

        return Wire(prefix, headers, add_token)

    def secrets(self) -> tuple[str, ...]:
        held = self._held
        return (self._credential.password.reveal(), *(() if held is None else (held.token,)))

    def seconds_to_renewal(self, unix_time: float) -> float:
        """How long the token needs no renewal."""
        return max(0.0, self._held.renew_at - unix_time) if self._held is not None else 0.0

    def fresh_token(self, unix_time: float, *, renew: bool = False) -> Generator[Query, Reply, _Held]:
        """The token; logs in if there is none, if it ends soon, or if `renew` says that it was refused.

        Raises:
            CredentialError: IAM does not accept the login. A refused password is remembered and not sent again.
            DiscoveryError: IAM did not give a token.
        """
        if self._refusal is not None:
            raise CredentialError(self._refusal, permanent=True)
        held = self._held
        if held is not None and not renew and unix_time < held.renew_at:
            return held
        try:
            reply = yield self._login()
            held = self._read(reply, unix_time)
        except (TransportError, DiscoveryRefused):
            if held is None or renew or unix_time >= held.ends_at:
                raise
            # IAM is away, and the old token is still good for a while.
            held = replace(held, renew_at=min(unix_time + _AFTER_FAILED_RENEWAL, held.ends_at))
        self._held = held
        return held

    def _login(self) -> Query:
        user = {
            "name": self._credential.user,
            "password": self._credential.password.reveal(),
            "domain": {"name": self._credential.domain},
        }
        identity = {"methods": ["password"], "password": {"user": user}}
        body = {"auth": {"identity": identity, "scope": {"project": {"id": self._project_id}}}}
        headers = (("Content-Type", "application/json;charset=utf8"),)
        return Query(self._url, "POST", headers, json.dumps(body).encode(), (self._budget,))

    def _read(self, reply: Reply, unix_time: float) -> _Held:
        if reply.status not in (200, 201):
            self._refuse(reply)
        token = reply.header("X-Subject-Token")
        if token is None or not _TOKEN.fullmatch(token):
            raise DiscoveryUnreadable(
                f"IAM answered the login with status {reply.status} and no usable X-Subject-Token header"
            )
        life = _life(reply.content, unix_time)
        return _Held(token, unix_time + max(life - RENEW_BEFORE, life / 2), unix_time + life)

    def _refuse(self, reply: Reply) -> NoReturn:
        who = f"IAM refused the login of user {self._credential.user!r} of account {self._credential.domain!r}"
        text = f"{who} ({describe(reply, self.secrets())})"
        error = read_error(reply.content)
        if reply.status == 429:
            told = retry_after(reply.headers)
            raise DiscoveryThrottled(text, retry_after=limit_window(error.message) if told is None else told)
        if reply.status == 401 or error.code == "IAM.0061":
            self._held = None
            self._refusal = (
                f"{text}. It is not tried again, because Huawei locks accounts. "
                "Next: correct user, password and domain in the configuration, and start again"
            )
            raise CredentialError(self._refusal, permanent=True)
        if reply.status in (400, 403, 404):
            raise CredentialError(f"{text}. Next: check user, domain, project_id and the user's permissions")
        raise DiscoveryRefused(f"{text}", status=reply.status)


def _life(content: bytes, unix_time: float) -> float:
    """Seconds that a new token lives, as the answer says.

    The shorter of "until its end by our clock" and "from issue to end by theirs", so that a clock that is wrong by
    some hours makes us renew too early, never too late.
    """
    ends, issued = _times(content)
    if ends is None:
        return _USUAL_LIFE
    spans = [ends - unix_time] + ([ends - issued] if issued is not None else [])
    return min((span for span in spans if span > 0), default=_USUAL_LIFE)


def _times(content: bytes) -> tuple[float | None, float | None]:
    """`expires_at` and `issued_at`, as seconds since 1970."""
    try:
        data: object = json.loads(content)
    except (ValueError, RecursionError):
        return None, None
    inner = cast("dict[str, object]", data).get("token") if isinstance(data, dict) else None
    if not isinstance(inner, dict):
        return None, None
    token = cast("dict[str, object]", inner)
    return _unix(token.get("expires_at")), _unix(token.get("issued_at"))


def _unix(text: object) -> float | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _with_token(query: Query, token: str) -> Query:
    return replace(query, headers=(*query.headers, ("X-Auth-Token", token)))
