"""Temporary access keys: how they are read, and how an agency gives one.

For an agency, IAM offers a token or a temporary key. We take the key: requests are signed as with a permanent one, so
one way serves agencies, the metadata server and the profile file; IAM's own pages recommend signatures over tokens; and
the secret half never travels after it was issued.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable
from typing import cast

from ...core.errors import DiscoveryUnreadable
from ...core.fields import Secret
from ...core.interfaces import Query
from ...core.message import Reply
from .auth import Auth, Grant, KeyGrant, Obtaining, Steps, ask
from .credentials import AgencyCredential
from .iam import IamAddress, iam_query, iam_refusal
from .platform_clock import PlatformClock
from .renewal import Fetched, Renewal, life_of
from .signing import AccessKey

__all__ = ["AgencyAuth", "as_key", "read_temporary_key"]

_SHORTEST_LIFE = 900.0
_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]+")
_WORD = re.compile(r"[\x21-\x7e]+")


class AgencyAuth:
    """Takes an agency on, and keeps the temporary key. Its state is that of its `Renewal`.

    Args:
        credential: Which agency.
        source: Who takes it on.
        iam: Where to ask.
        clock: Learns from the answers, and dates the signatures.
    """

    renews = True
    advice = "check the agency's permissions, project_id, region and the clock of this machine"

    def __init__(self, credential: AgencyCredential, source: Auth, iam: IamAddress, clock: PlatformClock) -> None:
        self._credential = credential
        self._source = source
        self._iam = iam
        self._clock = clock
        self._renewal = Renewal(self._fetch)

    def __repr__(self) -> str:
        return f"<AgencyAuth {self.user}, {self._renewal}>"

    @property
    def label(self) -> str:
        return f"agency {self._credential.agency!r} of account {self._credential.domain!r}"

    @property
    def user(self) -> str:
        return f"agency/{self._credential.domain}/{self._credential.agency}"

    @property
    def identity(self) -> Hashable:
        return ("agency", self.user, self._credential.duration, str(self._iam), self._source.identity)

    @property
    def credential(self) -> Hashable | None:
        return self._source.credential

    @property
    def grant(self) -> Grant | None:
        return self._renewal.grant

    def obtain(self, unix_time: float, *, renew: bool = False) -> Obtaining:
        return self._renewal.obtain(unix_time, renew=renew)

    def seconds_to_renewal(self, unix_time: float) -> float:
        return self._renewal.seconds_to_renewal(unix_time)

    def secrets(self) -> tuple[str, ...]:
        grant = self.grant
        return (*self._source.secrets(), *(() if grant is None else grant.secrets()))

    def _fetch(self, unix_time: float) -> Steps[Fetched]:
        origin = yield from self._iam.find()
        role = {
            "domain_name": self._credential.domain,
            "agency_name": self._credential.agency,
            "duration_seconds": int(self._credential.duration),
        }
        body = {"auth": {"identity": {"methods": ["assume_role"], "assume_role": role}}}
        query = iam_query(origin, "/v3.0/OS-CREDENTIAL/securitytokens", body, self.user)

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


def read_temporary_key(reply: Reply, unix_time: float, who: str) -> Fetched:
    """The temporary key in an answer of IAM or of the metadata server.

    Args:
        reply: The answer; its status is a success.
        unix_time: Our time.
        who: Who answered, for error texts.

    Raises:
        DiscoveryUnreadable: There is no key in it.
    """
    try:
        data: object = json.loads(reply.content)
    except (ValueError, RecursionError):
        data = None
    inner = cast("dict[str, object]", data).get("credential") if isinstance(data, dict) else None
    said = cast("dict[str, object]", inner) if isinstance(inner, dict) else {}
    parts = [said.get(name) for name in ("access", "secret", "securitytoken")]
    key = as_key(*(part if isinstance(part, str) else "" for part in parts))
    if key is None or key.security_token is None:
        raise DiscoveryUnreadable(
            f"{who} answered with status {reply.status} and no usable key (credential.access, .secret, .securitytoken)"
        )
    return Fetched(KeyGrant(key), life_of(reply, said.get("expires_at"), None, unix_time, usual=_SHORTEST_LIFE))


def as_key(access: str, secret: str, security_token: str = "") -> AccessKey | None:
    """A key made of texts from outside; None if a part is missing or cannot be sent."""
    access, secret, security_token = access.strip(), secret.strip(), security_token.strip()
    # What is not printable cannot be encoded, or is a line break that nobody meant.
    if not _KEY.fullmatch(access) or not secret or not secret.isprintable():
        return None
    if security_token and not _WORD.fullmatch(security_token):
        return None
    return AccessKey(access, Secret(secret), Secret(security_token) if security_token else None)
