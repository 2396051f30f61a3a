"""How a call went, and how its bad end is told: who was asked, when, what came of it, and what to do next."""

from __future__ import annotations

import ssl
from collections import Counter
from dataclasses import dataclass

from ..clock import Clock
from ..config.model import CallSettings
from ..discovery.belief import Belief
from ..errors import (
    AttemptRecord,
    AttemptsError,
    CallError,
    ClosedError,
    DeadlineError,
    DirectlaneError,
    NoEndpointError,
    Phase,
    QueueFullError,
    TransportError,
    headline,
)
from ..fields import format_duration
from ..message import StatusError
from ..outcome import Outcome
from ..resilience.retry_budget import RetryBudget
from ..resilience.slots import QueueView
from ..resilience.tickets import End
from .call import Attempt, Call
from .route import Route
from .routing import Routing

__all__ = ["Story", "Teller", "cause_of", "record_of"]

_CLOSE = 0.005
"""Seconds: the timers of sockets may ring a moment before the deadline that they were set for."""


@dataclass(slots=True)
class Story:
    """What has happened to a call after its first attempt was not good enough.

    Args:
        records: Every attempt that ended, in order.
        tried: Ids of endpoints that are not asked again before all others were.
        pauses: How many pauses of growing length there were.
        has_reauthenticated: Whether the credential was renewed for it.
        is_budget_spent: Whether it ends because the retry budget is spent.
        is_not_admitted: Whether it ends because there was no slot for another attempt.
    """

    records: list[AttemptRecord]
    tried: frozenset[str]
    pauses: int = 0
    has_reauthenticated: bool = False
    is_budget_spent: bool = False
    is_not_admitted: bool = False


class Teller:
    """Makes the errors of one service's calls.

    Args:
        service: Name of the service.
        routing: Where calls can go.
        settings: Limits and repeats.
        budget: For extra attempts.
        clock: Source of time.
    """

    def __init__(
        self, service: str, routing: Routing, settings: CallSettings, budget: RetryBudget, clock: Clock
    ) -> None:
        self._service = service
        self.routing = routing
        self._settings = settings
        self._budget = budget
        self._clock = clock

    def nobody(self, call: Call) -> NoEndpointError:
        """There is nobody to ask."""
        reasons = [f"{route.name}: {_why_nobody(route, call.excluded)}" for route in self.routing.routes]
        return NoEndpointError(
            f"service {self._service!r} has no endpoint to call: {'; '.join(reasons)}\n"
            f"Next: see `directlane endpoints -c FILE {self._service}`.",
            service=self._service,
            list_age=self.routing.list_age(),
            elapsed=self._clock.monotonic() - call.started_at,
        )

    def too_late(self, call: Call) -> DeadlineError:
        """The time was over before the first attempt."""
        return DeadlineError(
            f"service {self._service!r}: the time for the call was over before it could start\n"
            "Next: allow more time with `timeout`.",
            service=self._service,
            list_age=self.routing.list_age(),
            elapsed=self._clock.monotonic() - call.started_at,
        )

    def not_admitted(self, call: Call, end: End, queue: QueueView) -> DirectlaneError:
        """The call got no slot."""
        if end is End.NOBODY:
            return self.nobody(call)
        if end is End.CLOSED:
            return ClosedError(
                f"service {self._service!r} was closed while the call waited for a slot\nNext: make a new client."
            )
        if end is End.LATE and not call.queued:
            return self.too_late(call)
        state = f"{_counted(queue.used, 'slot')} in use, {_counted(queue.waiting, 'call')} waiting"
        if end is End.LATE:
            kind: type[CallError] = DeadlineError
            text = f"no slot was free for the call within {format_duration(round(call.queued, 3))} ({state})"
        else:
            kind = QueueFullError
            text = f"every slot is in use, and the queue is full ({state})"
        return kind(
            f"service {self._service!r}: {text}\n"
            "Next: make fewer calls at once, or add instances. If the instances can take more, allow it with "
            "`slots.per_endpoint`.",
            service=self._service,
            list_age=self.routing.list_age(),
            elapsed=self._clock.monotonic() - call.started_at,
            queued=call.queued,
        )

    def unanswered(self, call: Call, story: Story, outcome: Outcome) -> CallError:
        """No attempt had an answer."""
        now = self._clock.monotonic()
        records = story.records
        lines = "".join(f"\n  {place}. {record}" for place, record in enumerate(records, 1))
        age = self.routing.list_age()
        is_late = now >= call.deadline - _CLOSE
        end = (
            f"no answer within {format_duration(call.deadline - call.started_at)}"
            if is_late
            else f"no answer in {_counted(len(records), 'attempt')}"
        )
        about = "no endpoint list" if age is None else f"endpoint list confirmed {format_duration(age)} ago"
        if len(records) > 1 and len({record.endpoint.id for record in records}) == 1:
            about += "; there was no other endpoint to ask"
        if story.is_budget_spent:
            about += "; the retry budget of the service is spent"
        if call.queued >= 0.0005:
            about += f"; {format_duration(round(call.queued, 3))} of the time in the queue"
        if story.is_not_admitted:
            about += "; no slot was free for another attempt"
        kind: type[CallError] = DeadlineError if is_late else AttemptsError
        return kind(
            f"service {self._service!r}: {end} ({about}):{lines}\nNext: {self._advice(call, story, outcome)}",
            service=self._service,
            attempts=records,
            list_age=age,
            elapsed=now - call.started_at,
            retries_left=self._budget.left,
            is_budget_spent=story.is_budget_spent,
            queued=call.queued,
        )

    def _advice(self, call: Call, story: Story, outcome: Outcome) -> str:
        if story.is_budget_spent:
            budget = self._budget.settings
            return (
                f"look at the instances: more calls fail than the budget hides ({budget.share:.0%} of the calls and "
                f"{budget.per_second:g} per second). To allow more, see `retry_budget`."
            )
        if story.is_not_admitted:
            return "make fewer calls at once, add instances, or allow more with `slots`."
        if outcome.phase.may_have_run and not call.may_repeat:
            return (
                "the instance may have run the request, so it was not repeated. "
                "If a repeat does no harm, set `repeatable = true`."
            )
        if outcome.phase.may_have_run and not call.request.is_replayable:
            return "a streamed body can be sent once only. Give the body as bytes to have it repeated."
        if outcome.phase is Phase.CONNECT and _is_of_tls(outcome.error):
            return (
                f"see `directlane doctor -c FILE {self._service}`: it says what is wrong, and which setting mends it."
            )
        if outcome.phase is Phase.CONNECT:
            return (
                f"see `directlane endpoints -c FILE {self._service}`, and whether this host may reach these addresses."
            )
        if len(story.records) >= self._settings.attempts:
            return "look at the instances, or allow more with `attempts`."
        return "look at the instances, or allow more time with `timeout`."


def record_of(call: Call, attempt: Attempt, outcome: Outcome) -> AttemptRecord:
    """One attempt that ended, for the story."""
    return AttemptRecord(
        attempt.member.endpoint,
        outcome.phase,
        outcome.elapsed,
        outcome.status,
        outcome.fault if outcome.error is None else str(outcome.error),
        attempt.lease.started_at - call.started_at,
        attempt.is_hedge,
    )


def cause_of(outcome: Outcome) -> Exception:
    """Why an attempt is not good enough, as an exception."""
    if outcome.error is not None:
        return outcome.error
    if outcome.fault is not None:
        return TransportError(outcome.fault, phase=Phase.STREAM)
    assert outcome.reply is not None  # noqa: S101 - an outcome has one of the two
    return StatusError(outcome.reply)


def _is_of_tls(error: BaseException | None) -> bool:
    """Whether a handshake failed, whichever library says so."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, ssl.SSLError):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _why_nobody(route: Route, excluded: frozenset[str]) -> str:
    belief = route.belief
    if route.fault is not None:
        return str(route.fault)
    if route.plan.mirror:
        return "gets copies of calls only"
    if not route.weight:
        return "drains (weight 0)"
    if route.upkeep is not None and not route.upkeep.is_ready:
        return _why_not_kept(route.upkeep.belief)
    if route.pool.listed:
        return _why_none_of_them(route, excluded)
    if belief.error is not None:
        return f"discovery fails ({_counted(belief.failures, 'failure')}, the last: {headline(belief.error)})"
    if belief.is_empty:
        return "discovery says that no instance is ready"
    return "discovery has not answered yet"


def _why_not_kept(belief: Belief) -> str:
    if belief.error is None:
        return "what its calls need is not there yet"
    failures = _counted(belief.failures, "failure")
    return f"what its calls need cannot be had ({failures}, the last: {headline(belief.error)})"


def _why_none_of_them(route: Route, excluded: frozenset[str]) -> str:
    why: Counter[str] = Counter()
    for view in route.views():
        if view.endpoint.id in excluded:
            why["excluded by the call"] += 1
        elif view.state == "draining":
            why["draining (weight 0)"] += 1
        elif view.state == "ejected" and view.reason is not None:
            why[f"ejected ({view.reason})"] += 1
        elif view.state != "leaving":
            why[view.state] += 1
    told = ", ".join(f"{number} {reason}" for reason, number in why.items())
    return f"none of {_counted(route.pool.listed, 'known endpoint')} may be asked: {told}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
