"""What the questions to IAM have in common: where it is, how often it is asked, and what its refusals mean."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from ...core.errors import CredentialError, DiscoveryError, DiscoveryRefused, DiscoveryThrottled
from ...core.interfaces import Query, RateBudget
from ...core.message import Headers, Reply
from ...core.retry_after import retry_after
from .error_body import describe, limit_window, read_error
from .grants import Steps
from .local_sources import read_variables
from .platform_clock import PlatformClock
from .urls import origin_or_none

__all__ = ["IamAddress", "iam_query", "iam_refusal"]

_ENDPOINT = "HUAWEICLOUD_SDK_IAM_ENDPOINT"
_EVERYWHERE = "https://iam.myhuaweicloud.com"
_MOST = (10, 60.0)
"""Our own brake (number, seconds): IAM publishes no figure, and nobody should log in in a loop."""


@dataclass(frozen=True, slots=True)
class IamAddress:
    """Where IAM is.

    Args:
        configured: The origin from the settings, which wins.
        region: Makes the usual name, if the environment says nothing either. None: the name for all regions.
    """

    configured: str | None
    region: str | None

    def find(self) -> Steps[str]:
        """The origin, without a trailing slash: as configured, as `HUAWEICLOUD_SDK_IAM_ENDPOINT` says, or by region.

        Raises:
            DiscoveryError: The variable does not hold a URL.
        """
        if self.configured is not None:
            return self.configured
        told = (yield from read_variables((_ENDPOINT,), why="the address of IAM")).get(_ENDPOINT)
        if told is None:
            return f"https://iam.{self.region}.myhuaweicloud.com" if self.region else _EVERYWHERE
        origin = origin_or_none(told)
        if origin is None:
            raise DiscoveryError(
                f"the environment variable {_ENDPOINT} does not hold the address of IAM. "
                "Next: write it like https://iam.cn-north-4.myhuaweicloud.com, or set `iam_endpoint` in the route"
            )
        return origin

    def __str__(self) -> str:
        return self.configured or f"iam/{self.region}"


def iam_query(
    origin: str, path: str, body: object, who: str, headers: Headers = (), login: Hashable | None = None
) -> Query:
    """A question to IAM, without its credential.

    Args:
        origin: Where IAM is.
        path: With the query, if there is one.
        body: Becomes JSON.
        who: Who asks, for the brake. Not a secret.
        headers: Besides the content type.
        login: See `Query`.
    """
    headers = (("Content-Type", "application/json;charset=utf8"), *headers)
    budget = RateBudget(f"{origin}/login/{who}", *_MOST)
    return Query(f"{origin}{path}", "POST", headers, json.dumps(body).encode(), (budget,), login=login)


def iam_refusal(reply: Reply, what: str, secrets: Iterable[str], check: str, clock: PlatformClock) -> DiscoveryError:
    """What an answer means that is not a success.

    Args:
        reply: The answer.
        what: What was refused, such as `IAM refused the login of user 'alice'`.
        secrets: What must not be shown if the answer repeats it.
        check: What to check, for the next step.
        clock: Named if it is wrong.
    """
    text = f"{what} ({describe(reply, secrets)})"
    error = read_error(reply.content)
    if reply.status == 429:
        told = retry_after(reply.headers)
        return DiscoveryThrottled(text, retry_after=limit_window(error.message) if told is None else told)
    if 300 <= reply.status < 400:
        text += ". IAM does not send elsewhere: something else answers. Next: check iam_endpoint"
    if reply.status in (400, 401, 403, 404):
        return CredentialError(f"{text}.{clock.sentence()} Next: check {check}")
    return DiscoveryRefused(text, status=reply.status)
