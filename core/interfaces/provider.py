"""The Provider contract: one cloud's side of the story.

A provider is a pydantic model whose fields *are* the settings of a route. It says where the endpoints come from, what a
call to one of them looks like, and what an outcome means. Everything else (polling, caching, balancing, retries,
deadlines, connections) is the core's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from ..endpoint import Endpoint
from ..message import Headers, Request
from ..outcome import FAIL, OK, Outcome, Verdict, back_off, retry_elsewhere
from ..retry_after import retry_after
from .discovery import Discovery, RateBudget, Upkeep
from .finding import Finding

__all__ = ["PLAIN_WIRE", "Provider", "ProviderFacts", "Sign", "Wire", "http_verdict"]

Sign = Callable[[Request, float], Headers]
"""Gets the complete request and the time (seconds since 1970); returns the headers to add. Must be quick and pure.
A streamed body cannot be signed: raise `ValueError` with the reason."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What calls to one endpoint look like. Made once for an endpoint, so that a call costs little.

    Args:
        prefix: Goes in front of the path of every call, without a trailing slash. Default `""`.
        headers: Sent with every call. They replace the caller's fields of the same name: what the configuration says
            about authentication holds, whatever an SDK on top of us puts there.
        sign: Adds headers that depend on the request itself. Default: none.
        pack: Compresses the body, before it is signed. Runs once for each attempt, where the caller waits. Must be
            pure. A streamed body is refused. Default: none.
    """

    prefix: str = ""
    headers: Headers = ()
    sign: Sign | None = None
    pack: Callable[[bytes], bytes] | None = None

    def __repr__(self) -> str:
        names = ", ".join(name for name, _ in self.headers)
        return f"<Wire prefix {self.prefix!r}, headers: {names or 'none'}{', signed' if self.sign else ''}>"


PLAIN_WIRE = Wire()
"""No prefix, no headers, no signature."""


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """What a provider declares about its cloud.

    Args:
        title: Name for people, such as `Alibaba Cloud PAI-EAS`.
        summary: One line for lists.
        capabilities: What it can do, as words: `discovery`, `weights`, `signing`, `token-refresh`, `gateway`, ...
            A capability that is not named is not there.
        budgets: Rate limits of its control plane, as a plain text for people, one line each. The budgets that are
            spent are those of each `Query`.
    """

    title: str
    summary: str
    capabilities: frozenset[str] = frozenset()
    budgets: tuple[str, ...] = ()


class Provider(BaseModel, ABC):
    """The settings of one route on one cloud, and what follows from them. Third parties subclass it.

    The field names `provider`, `name`, `weight` and `tier` belong to the route and must not be used.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kind: ClassVar[str]
    """The name in configuration files."""
    facts: ClassVar[ProviderFacts]

    @abstractmethod
    def discovery(self) -> Discovery:
        """Where the endpoints come from."""

    def upkeep(self) -> Upkeep | None:
        """What must be kept fresh for the calls of this route. Default: nothing.

        If there is something, the route gets no calls before it was learned once, and a verdict `REAUTHENTICATE` asks
        for it (and not for the list) anew.
        """
        return None

    def wire(self, endpoint: Endpoint) -> Wire:
        """What calls to this endpoint look like. Default: nothing is added."""
        del endpoint
        return PLAIN_WIRE

    def classify(self, outcome: Outcome) -> Verdict:
        """What an answer means. Asked only about answers whose status is not 2xx: a failure on the wire is judged by
        the core.

        Default: `http_verdict`.
        """
        return http_verdict(outcome)

    def advise(self, finding: Finding) -> str | None:
        """What people of this cloud should know about a finding of `directlane doctor`: where to look in its console,
        which of its rules is behind it. One or two sentences, shown below the finding's own words. Asked for findings
        about this route that are not OK. Default: None, nothing to add.
        """
        del finding
        return None

    def budgets(self) -> tuple[RateBudget, ...]:
        """The rate budgets that this route's discovery spends from. Default: none."""
        return ()


def http_verdict(outcome: Outcome) -> Verdict:
    """What HTTP itself says about an answer (RFC 9110, RFC 6585).

    429: refused, not run; wait. 503: refused; wait if it says how long, otherwise elsewhere. 502 and 504: a hop in
    front of the server failed; it may have run. 408: the server gave up waiting for the request. Everything else is the
    caller's answer.
    """
    status = outcome.status
    if status is None or status < 400:
        return OK
    if status == 429:
        return back_off(retry_after(outcome.headers))
    if status == 503:
        delay = retry_after(outcome.headers)
        return retry_elsewhere(may_have_run=True) if delay is None else back_off(delay, may_have_run=True)
    if status in (408, 502, 504):
        return retry_elsewhere(may_have_run=True)
    return FAIL
