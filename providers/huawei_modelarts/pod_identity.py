"""The identity of a pod in CCE: temporary keys from an agent on its node, for the agency of its service account.

CCE sets two variables in the pod: the URL of the agent, and a file with the token of the service account, which is sent
as it is. Huawei's own packages ask so.
"""

from __future__ import annotations

from ...core.errors import CredentialError, DiscoveryError, DiscoveryRefused, DiscoveryThrottled
from ...core.interfaces import Query
from ...core.message import Reply
from ...core.retry_after import retry_after
from .error_body import describe
from .fetched_auth import FetchedAuth
from .grants import Steps
from .identity_provider import read_token_file
from .local_sources import read_variables
from .platform_clock import PlatformClock
from .renewal import Fetched
from .temporary_keys import read_temporary_key
from .urls import is_http_url

__all__ = ["PodIdentityAuth"]

_URL = "HC_CONTAINER_CREDENTIALS_FULL_URI"
_FILE = "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE"


class PodIdentityAuth(FetchedAuth):
    """Asks the agent, and keeps the temporary key.

    Mutable state besides that of its base: the token of the service account that was read last.

    Args:
        clock: Dates the signatures.
    """

    is_set_up = False  # the SDKs ask it last

    def __init__(self, clock: PlatformClock) -> None:
        super().__init__(
            label="the identity of this pod",
            user="pod",
            identity="pod identity",
            advice="check the rights of the agency of the pod's service account in CCE, project_id and region",
        )
        self._clock = clock
        self._token = ""

    def _own_secrets(self) -> tuple[str, ...]:
        return (self._token,) if self._token else ()

    def _fetch(self, unix_time: float) -> Steps[Fetched]:
        values = yield from read_variables((_URL, _FILE), why="the pod's identity")
        missing = [name for name in (_URL, _FILE) if name not in values]
        if missing:
            raise CredentialError(
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set. "
                "Next: this credential works in pods of CCE whose service account has an agency; else take another one"
            )
        if not is_http_url(values[_URL]):
            raise CredentialError(
                f"the environment variable {_URL} does not hold a URL. Next: see who sets it: CCE does"
            )
        self._token = yield from read_token_file(values[_FILE], "token of the service account")
        headers = (("Content-Type", "application/json"), ("Authorization", self._token))
        reply = yield Query(values[_URL], "POST", headers, b"{}")
        self._clock.learn(reply.headers, unix_time)
        if reply.status not in (200, 201):
            raise self._refused(reply)
        return read_temporary_key(reply, unix_time, "the agent of the pod's identity")

    def _refused(self, reply: Reply) -> DiscoveryError:
        text = f"the agent of the pod's identity gave no key ({describe(reply, self.secrets())})"
        if reply.status == 429:
            return DiscoveryThrottled(text, retry_after=retry_after(reply.headers))
        if reply.status in (401, 403, 404):
            return CredentialError(f"{text}. Next: see whether CCE gives the pod's service account an agency")
        return DiscoveryRefused(text, status=reply.status)
