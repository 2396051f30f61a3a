"""Agencies (assume role): a temporary key for what another account has entrusted to ours.

IAM offers a token or a temporary key. We take the key: requests are signed as with a permanent one, so one way serves
agencies, the metadata server and the profile file; IAM's own pages recommend signatures over tokens; and the secret
half never travels after it was issued.
"""

from __future__ import annotations

from ...core.interfaces import Query
from .auth import Auth, ask
from .credentials import AgencyCredential
from .fetched_auth import FetchedAuth
from .grants import Grant, Steps
from .iam import IamAddress, iam_query, iam_refusal
from .platform_clock import PlatformClock
from .renewal import Fetched
from .temporary_keys import KEY_PATH, read_temporary_key

__all__ = ["AgencyAuth"]


class AgencyAuth(FetchedAuth):
    """Takes an agency on, and keeps the temporary key.

    Args:
        credential: Which agency.
        source: Who takes it on.
        iam: Where to ask.
        clock: Learns from the answers, and dates the signatures.
    """

    def __init__(self, credential: AgencyCredential, source: Auth, iam: IamAddress, clock: PlatformClock) -> None:
        user = f"agency/{credential.domain}/{credential.agency}"
        super().__init__(
            label=f"agency {credential.agency!r} of account {credential.domain!r}",
            user=user,
            identity=("agency", user, credential.duration, str(iam), source.identity),
            advice="check the agency's permissions, project_id, region and the clock of this machine",
            credential=source.credential,
        )
        self._credential = credential
        self._source = source
        self._iam = iam
        self._clock = clock

    def _own_secrets(self) -> tuple[str, ...]:
        return self._source.secrets()

    def _fetch(self, unix_time: float) -> Steps[Fetched]:
        origin = yield from self._iam.find()
        role = {
            "domain_name": self._credential.domain,
            "agency_name": self._credential.agency,
            "duration_seconds": int(self._credential.duration),
        }
        body = {"auth": {"identity": {"methods": ["assume_role"], "assume_role": role}}}
        query = iam_query(origin, KEY_PATH, body, self.user)

        def question(grant: Grant) -> tuple[Query, None]:
            del grant
            return query, None

        reply = yield from ask(self._source, question, unix_time, clock=self._clock)
        if reply.status not in (200, 201):
            raise iam_refusal(
                reply,
                f"IAM refused the {self.label} to {self._source.label}",
                self.secrets(),
                "agency, domain, the credential in `source`, and that its user has the permission Agent Operator",
                self._clock,
            )
        return read_temporary_key(reply, unix_time, "IAM")
