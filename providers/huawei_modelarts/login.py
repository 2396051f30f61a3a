"""Password login with IAM: a token for a name, an account and a password."""

from __future__ import annotations

from ...core.errors import CredentialError
from ...core.message import Reply
from .credentials import PasswordCredential
from .error_body import read_error
from .fetched_auth import FetchedAuth
from .grants import Steps
from .iam import IamAddress, iam_query, iam_refusal
from .platform_clock import PlatformClock
from .renewal import Fetched
from .tokens import read_token

__all__ = ["PasswordAuth"]

_LOCKED = "IAM.0061"


class PasswordAuth(FetchedAuth):
    """Logs in and keeps the token.

    Args:
        credential: Who logs in.
        project_id: The project that the token is for. None: for the account as a whole, which is what takes an agency
            on.
        iam: Where to log in.
        clock: Learns from the answers.
    """

    def __init__(
        self, credential: PasswordCredential, project_id: str | None, iam: IamAddress, clock: PlatformClock
    ) -> None:
        user = f"{credential.domain}/{credential.user}"
        login = ("password", str(iam), user, credential.password.fingerprint())
        super().__init__(
            label=f"user {credential.user!r} of account {credential.domain!r}",
            user=user,
            identity=(login, project_id),
            advice="check project_id and region: a new token is refused too",
            credential=login,
        )
        self._credential = credential
        self._project_id = project_id
        self._iam = iam
        self._clock = clock

    def _own_secrets(self) -> tuple[str, ...]:
        return (self._credential.password.reveal(),)

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
        reply = yield iam_query(origin, "/v3/auth/tokens?nocatalog=true", body, self.user, login=self.credential)
        self._clock.learn(reply.headers, unix_time)
        if reply.status not in (200, 201):
            raise self._refused(reply)
        return read_token(reply, unix_time, "the login")

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
