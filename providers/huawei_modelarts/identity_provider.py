"""Identity providers (OpenID Connect): an id token, such as a cluster writes for its pods, for a temporary key.

Two questions, as Huawei's own package asks them: IAM gives a token for the id token, which is for nothing but the
second question, and for that token a temporary key. The file is read each time: clusters replace it long before the
token in it ends.
"""

from __future__ import annotations

import re

from ...core.errors import CredentialError, TransportError, headline
from .credentials import IdentityProviderCredential
from .fetched_auth import FetchedAuth
from .grants import Steps, TokenGrant
from .iam import IamAddress, iam_query, iam_refusal
from .local_sources import read_file
from .platform_clock import PlatformClock
from .renewal import Fetched
from .temporary_keys import KEY_PATH, read_temporary_key
from .tokens import read_token

__all__ = ["IdTokenExchange", "IdentityProviderAuth", "read_token_file"]

_TOKEN_PATH = "/v3.0/OS-AUTH/id-token/tokens"  # noqa: S105 - a path
_TOKEN = re.compile(r"[\x21-\x7e]+")


class IdTokenExchange:
    """Gets a temporary key for what stands in a file. Mutable state: the id token that was read last.

    Args:
        idp_id: The identity provider, as it is called in IAM.
        file: Where the id token stands.
        duration: Seconds that the key shall live.
        iam: Where to ask.
        clock: Learns from the answers.
    """

    def __init__(self, idp_id: str, file: str, duration: float, iam: IamAddress, clock: PlatformClock) -> None:
        self.user: str = f"idp/{idp_id}"
        self._idp_id = idp_id
        self._file = file
        self._duration = duration
        self._iam = iam
        self._clock = clock
        self._id_token = ""

    @property
    def settings(self) -> tuple[str, str, str]:
        """Equal for two that do the same."""
        return self._idp_id, self._file, str(self._iam)

    def secrets(self) -> tuple[str, ...]:
        """What must not be shown if IAM repeats it."""
        return (self._id_token,) if self._id_token else ()

    def fetch(self, unix_time: float) -> Steps[Fetched]:
        """A temporary key.

        Raises:
            CredentialError: The file holds no id token, or IAM does not take it.
            DiscoveryError, TransportError: It cannot be had now.
        """
        self._id_token = yield from read_token_file(self._file, "id token")
        origin = yield from self._iam.find()
        body = {"auth": {"id_token": {"id": self._id_token}}}
        reply = yield iam_query(origin, _TOKEN_PATH, body, self.user, (("X-Idp-Id", self._idp_id),))
        self._clock.learn(reply.headers, unix_time)
        if reply.status not in (200, 201):
            raise iam_refusal(
                reply,
                f"IAM refused the id token of identity provider {self._idp_id!r}",
                self.secrets(),
                f"idp_id, the identity provider's settings in IAM, and who wrote {self._file}",
                self._clock,
            )
        grant = read_token(reply, unix_time, "the id token").grant
        assert isinstance(grant, TokenGrant)  # noqa: S101 - it reads nothing else
        token = {"id": grant.token.reveal(), "duration_seconds": int(self._duration)}
        asked = {"auth": {"identity": {"methods": ["token"], "token": token}}}
        reply = yield iam_query(origin, KEY_PATH, asked, self.user)
        if reply.status not in (200, 201):
            raise iam_refusal(
                reply,
                f"IAM gave no key to identity provider {self._idp_id!r}",
                (*self.secrets(), *grant.secrets()),
                "the identity conversion rules of the identity provider in IAM, and the rights of the group they name",
                self._clock,
            )
        return read_temporary_key(reply, unix_time, "IAM")


class IdentityProviderAuth(FetchedAuth):
    """Exchanges an id token, and keeps the temporary key.

    Args:
        credential: Which identity provider.
        iam: Where to ask.
        clock: Learns from the answers, and dates the signatures.
    """

    def __init__(self, credential: IdentityProviderCredential, iam: IamAddress, clock: PlatformClock) -> None:
        self._exchange = IdTokenExchange(credential.idp_id, credential.id_token_file, credential.duration, iam, clock)
        super().__init__(
            label=f"identity provider {credential.idp_id!r}",
            user=self._exchange.user,
            identity=("identity provider", self._exchange.settings, credential.duration),
            advice="check the rights of the identity provider's group in IAM, project_id and the clock of this machine",
        )

    def _own_secrets(self) -> tuple[str, ...]:
        return self._exchange.secrets()

    def _fetch(self, unix_time: float) -> Steps[Fetched]:
        return self._exchange.fetch(unix_time)


def read_token_file(path: str, what: str) -> Steps[str]:
    """The one word in a file.

    Args:
        path: The file.
        what: What stands there, for error texts.

    Raises:
        CredentialError: It cannot be read, is empty, or holds something else.
    """
    try:
        text = (yield from read_file(path)).strip()
    except TransportError as error:
        raise CredentialError(f"{headline(error)}. Next: write the {what} there, or name another file") from None
    if not _TOKEN.fullmatch(text):
        found = "is empty" if not text else "holds more than one word, or a character that is not ASCII"
        raise CredentialError(f"the file {path} {found}. Next: look whether it holds the {what} and nothing else")
    return text
