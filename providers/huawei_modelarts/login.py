"""Password login with IAM: a token for a name, an account and a password."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable
from typing import cast

from ...core.errors import CredentialError, DiscoveryUnreadable
from ...core.fields import Secret
from ...core.message import Reply
from .auth import Grant, Obtaining, Steps, TokenGrant
from .credentials import PasswordCredential
from .error_body import read_error
from .iam import IamAddress, iam_query, iam_refusal
from .platform_clock import PlatformClock
from .renewal import Fetched, Renewal, life_of

__all__ = ["PasswordAuth"]

_USUAL_LIFE = 86_400.0
_LOCKED = "IAM.0061"
_TOKEN = re.compile(r"[\x21-\x7e]+")


class PasswordAuth:
    """Logs in and keeps the token. Its state is that of its `Renewal`.

    Args:
        credential: Who logs in.
        project_id: The project that the token is for. None: for the account as a whole, which is what takes an agency
            on.
        iam: Where to log in.
        clock: Learns from the answers.
    """

    renews = True
    advice = "check project_id and region: a new token is refused too"

    def __init__(
        self, credential: PasswordCredential, project_id: str | None, iam: IamAddress, clock: PlatformClock
    ) -> None:
        self._credential = credential
        self._project_id = project_id
        self._iam = iam
        self._clock = clock
        self._renewal = Renewal(self._fetch)

    def __repr__(self) -> str:
        return f"<PasswordAuth {self.user}, {self._renewal}>"

    @property
    def label(self) -> str:
        return f"user {self._credential.user!r} of account {self._credential.domain!r}"

    @property
    def user(self) -> str:
        return f"{self._credential.domain}/{self._credential.user}"

    @property
    def identity(self) -> Hashable:
        return (self.credential, self._project_id)

    @property
    def credential(self) -> Hashable | None:
        return ("password", str(self._iam), self.user, self._credential.password.fingerprint())

    @property
    def grant(self) -> Grant | None:
        return self._renewal.grant

    def obtain(self, unix_time: float, *, renew: bool = False) -> Obtaining:
        return self._renewal.obtain(unix_time, renew=renew)

    def seconds_to_renewal(self, unix_time: float) -> float:
        return self._renewal.seconds_to_renewal(unix_time)

    def secrets(self) -> tuple[str, ...]:
        grant = self.grant
        return (self._credential.password.reveal(), *(() if grant is None else grant.secrets()))

    def _fetch(self, unix_time: float) -> Steps[Fetched]:
        origin = yield from self._iam.find()
        account = {"name": self._credential.domain}
        user = {
            "name": self._credential.user,
            "password": self._credential.password.reveal(),
            "domain": account,
        }
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"id": self._project_id}} if self._project_id else {"domain": account}
        body = {"auth": {"identity": identity, "scope": scope}}
        reply = yield iam_query(origin, "/v3/auth/tokens?nocatalog=true", body, self.user)
        self._clock.learn(reply.headers, unix_time)
        return self._read(reply, unix_time)

    def _read(self, reply: Reply, unix_time: float) -> Fetched:
        if reply.status not in (200, 201):
            raise self._refused(reply)
        token = reply.header("X-Subject-Token")
        if token is None or not _TOKEN.fullmatch(token):
            raise DiscoveryUnreadable(
                f"IAM answered the login with status {reply.status} and no usable X-Subject-Token header"
            )
        said = _token_of(reply.content)
        life = life_of(reply, said.get("expires_at"), said.get("issued_at"), unix_time, usual=_USUAL_LIFE)
        return Fetched(TokenGrant(Secret(token)), life)

    def _refused(self, reply: Reply) -> Exception:
        refusal = iam_refusal(
            reply,
            f"IAM refused the login of {self.label}",
            self.secrets(),
            "user, domain, project_id and the user's permissions",
            self._clock,
        )
        if reply.status == 401 or read_error(reply.content).code == _LOCKED:
            text = str(refusal).partition(" Next:")[0].rstrip(".")
            return CredentialError(
                f"{text}. It is not tried again, because Huawei locks accounts. "
                "Next: correct user, password and domain in the configuration, and start again",
                permanent=True,
            )
        return refusal


def _token_of(content: bytes) -> dict[str, object]:
    """The `token` of the answer; empty if there is none."""
    try:
        data: object = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    inner = cast("dict[str, object]", data).get("token") if isinstance(data, dict) else None
    return cast("dict[str, object]", inner) if isinstance(inner, dict) else {}
