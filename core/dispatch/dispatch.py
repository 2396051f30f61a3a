"""The dispatch of one call: pick, send, observe, and if need be elsewhere.

A generator of effects: all choices are here, all I/O is in the shell that drives it. The sync client, the async client
and the simulator drive the same generator. Time and chance are passed in.

Rules:
- A lease is released exactly once, whatever happens; the generator being closed is one of the things that happen.
- Another endpoint is tried first; one that was tried is asked again only if all were tried, and after a pause.
- What the far side may have run is repeated only if the call says that this is safe.
- Nothing starts after the deadline.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from random import Random

from ..clock import Clock
from ..config.model import CallSettings
from ..errors import (
    AttemptRecord,
    AttemptsError,
    CallError,
    DeadlineError,
    NoEndpointError,
    Phase,
    PluginError,
    headline,
)
from ..fields import format_duration
from ..interfaces.transport import Timeouts
from ..message import Reply, StatusError
from ..outcome import OK, Action, Outcome, Verdict, retry_elsewhere
from ..pool.statistics import Lease
from .call import Attempt, Call, Effect, GiveUp, Reauthenticate, Wait
from .routing import Route, RouteMember, Routing

__all__ = ["Dispatcher"]

_CLOSE = 0.005
"""Seconds: the timers of sockets may ring a moment before the deadline that they were set for."""


@dataclass(slots=True)
class _Story:
    """What has happened to a call after its first attempt was not good enough."""

    records: list[AttemptRecord]
    tried: frozenset[str]
    pauses: int = 0
    has_reauthenticated: bool = False


class Dispatcher:
    """Dispatches the calls of one service. Holds no state of its own.

    Args:
        service: Name of the service, for errors.
        routing: Where calls can go.
        settings: Limits and repeats.
        clock: Source of time.
        random: Source of chance for the pauses.
    """

    def __init__(self, service: str, routing: Routing, settings: CallSettings, clock: Clock, random: Random) -> None:
        self.service = service
        self.routing = routing
        self.settings = settings
        self._clock = clock
        self._random = random

    def dispatch(self, call: Call) -> Generator[Effect, Outcome | None, Reply]:
        """Yields effects, is sent what came of them, returns the reply.

        Raises:
            NoEndpointError: There is nobody to ask.
            AttemptsError: Every allowed attempt failed on the wire.
            DeadlineError: The time is over.
            PluginError: The provider failed to classify an answer.
        """
        member = self.routing.pick(call.key, call.excluded, call.size)
        if member is None:
            raise self._nobody(call)
        if self._clock.monotonic() >= call.deadline:
            raise DeadlineError(
                f"service {self.service!r}: the time for the call was over before it could start\n"
                "Next: allow more time with `timeout`.",
                service=self.service,
                list_age=self.routing.list_age(),
            )
        story: _Story | None = None
        number = 1
        while True:
            attempt = self._attempt(call, member, number)
            outcome: Outcome | None = None
            try:
                outcome = yield attempt
            finally:
                if outcome is None:
                    # The caller gave up: the shell has closed us.
                    attempt.lease.release()
                    member.load.record_cancelled()
            assert outcome is not None  # noqa: S101 - the shell answers an Attempt with an Outcome
            try:
                verdict = _judge(member.lane.route, outcome)
            except Exception as error:
                attempt.lease.release()
                raise _blamed(member.lane.route, error) from error
            member.load.record(outcome, verdict)
            if verdict.action is Action.OK or verdict.action is Action.FAIL:
                if not call.is_streamed:
                    attempt.lease.release()
                return _answer(outcome, number)
            attempt.lease.release()

            if story is None:
                story = _Story([], call.excluded)
            story.records.append(_record(member, outcome))
            member = yield from self._elsewhere(call, story, member, outcome, verdict)
            if member is None:
                return self._finish(call, story, outcome)
            number += 1

    def _attempt(self, call: Call, member: RouteMember, number: int) -> Attempt:
        now = self._clock.monotonic()
        settings = self.settings
        remaining = call.deadline - now
        total = remaining if settings.attempt_timeout is None else min(remaining, settings.attempt_timeout)
        request = member.lane.complete(call.request, self._clock)
        timeouts = Timeouts(min(settings.connect_timeout, total), total, call.may_repeat)
        lease = Lease(member.load, now, call.size)
        return Attempt(member, lease, request, timeouts, number)

    def _elsewhere(
        self, call: Call, story: _Story, member: RouteMember, outcome: Outcome, verdict: Verdict
    ) -> Generator[Effect, Outcome | None, RouteMember | None]:
        """The member for the next attempt, after the pause that it needs; None if there must be no further attempt."""
        route = member.lane.route
        if outcome.phase is Phase.CONNECT:
            route.doubt()
        if not self._may_repeat(call, story, outcome, verdict):
            return None

        if verdict.action is Action.REAUTHENTICATE:
            if story.has_reauthenticated:
                return None
            story.has_reauthenticated = True
            yield Reauthenticate(route, max(0.0, call.deadline - self._clock.monotonic()))
        else:
            story.tried |= {member.endpoint.id}

        following = self.routing.pick(call.key, story.tried, call.size)
        is_second_round = following is None
        if is_second_round:
            story.tried = call.excluded
        pause = self._pause(story, verdict, is_second_round=is_second_round)
        if self._clock.monotonic() + pause >= call.deadline:
            return None
        try:
            yield Wait(pause, _cause(outcome))
        except GiveUp:
            return None
        if self._clock.monotonic() >= call.deadline:
            return None
        # The list may have changed meanwhile.
        pick = self.routing.pick
        return pick(call.key, story.tried, call.size) or pick(call.key, call.excluded, call.size)

    def _may_repeat(self, call: Call, story: _Story, outcome: Outcome, verdict: Verdict) -> bool:
        if len(story.records) >= self.settings.attempts:
            return False
        if verdict.may_have_run and not call.may_repeat:
            return False
        # A stream that was touched is gone; before a connection stands nobody has touched it.
        return call.request.is_replayable or outcome.phase is Phase.CONNECT

    def _pause(self, story: _Story, verdict: Verdict, *, is_second_round: bool) -> float:
        """Full jitter, doubling; none at all on the way to an endpoint that was not tried yet."""
        if verdict.action is Action.BACK_OFF and verdict.delay is not None:
            return verdict.delay
        if verdict.action is Action.BACK_OFF or is_second_round:
            upper = min(self.settings.backoff_max, self.settings.backoff * 2.0 ** min(story.pauses, 30))
            story.pauses += 1
            return self._random.uniform(0.0, upper)
        return 0.0

    # --- the ends ----------------------------------------------------------------------------------------------------

    def _finish(self, call: Call, story: _Story, outcome: Outcome) -> Reply:
        """The last answer, if there is one; otherwise the story as an error."""
        if outcome.reply is not None:
            return _answer(outcome, len(story.records))
        lines = "".join(f"\n  {place}. {record}" for place, record in enumerate(story.records, 1))
        age = self.routing.list_age()
        is_late = self._clock.monotonic() >= call.deadline - _CLOSE
        head = (
            f"service {self.service!r}: no answer within {format_duration(call.deadline - call.started_at)}"
            if is_late
            else f"service {self.service!r}: no answer in {_counted(len(story.records), 'attempt')}"
        )
        text = f"{head} ({self._about_list(age)}):{lines}\nNext: {self._advice(call, story, outcome)}"
        kind: type[CallError] = DeadlineError if is_late else AttemptsError
        raise kind(text, service=self.service, attempts=story.records, list_age=age) from outcome.error

    def _advice(self, call: Call, story: _Story, outcome: Outcome) -> str:
        if outcome.phase.may_have_run and not call.may_repeat:
            return (
                "the instance may have run the request, so it was not repeated. "
                "If a repeat does no harm, set `repeatable = true`."
            )
        if outcome.phase.may_have_run and not call.request.is_replayable:
            return "a streamed body can be sent once only. Give the body as bytes to have it repeated."
        if outcome.phase is Phase.CONNECT:
            return (
                f"see `directlane endpoints -c FILE {self.service}`, and whether this host may reach these addresses."
            )
        if len(story.records) >= self.settings.attempts:
            return "look at the instances, or allow more with `attempts`."
        return "look at the instances, or allow more time with `timeout`."

    def _about_list(self, age: float | None) -> str:
        return "no endpoint list" if age is None else f"endpoint list confirmed {format_duration(age)} ago"

    def _nobody(self, call: Call) -> NoEndpointError:
        reasons = [f"{route.name}: {_why_nobody(route, call.excluded)}" for route in self.routing.routes]
        return NoEndpointError(
            f"service {self.service!r} has no endpoint to call: {'; '.join(reasons)}\n"
            f"Next: see `directlane endpoints -c FILE {self.service}`.",
            service=self.service,
            list_age=self.routing.list_age(),
        )


def _judge(route: Route, outcome: Outcome) -> Verdict:
    error = outcome.error
    if error is not None:
        return retry_elsewhere(may_have_run=error.phase.may_have_run)
    status = outcome.status
    if status is not None and 200 <= status < 300:
        return OK
    return route.provider.classify(outcome)


def _blamed(route: Route, error: Exception) -> PluginError:
    """The plug-in failed in the middle of a call. Its type is told, not its text, which may quote a secret."""
    kind = route.provider.kind
    return PluginError(
        f"provider {kind!r} failed to classify an answer: {type(error).__name__}\nNext: report this to its author.",
        plugin=kind,
    )


def _answer(outcome: Outcome, attempts: int) -> Reply:
    reply = outcome.reply
    assert reply is not None  # noqa: S101 - the callers have seen that there is one
    return reply if attempts == 1 else replace(reply, attempts=attempts)


def _record(member: RouteMember, outcome: Outcome) -> AttemptRecord:
    error = None if outcome.error is None else str(outcome.error)
    return AttemptRecord(member.endpoint, outcome.phase, outcome.elapsed, outcome.status, error)


def _cause(outcome: Outcome) -> Exception:
    if outcome.error is not None:
        return outcome.error
    assert outcome.reply is not None  # noqa: S101 - an outcome has one of the two
    return StatusError(outcome.reply)


def _why_nobody(route: Route, excluded: frozenset[str]) -> str:
    belief = route.belief
    if route.fault is not None:
        return str(route.fault)
    if route.pool.listed and excluded:
        return f"each of {route.pool.listed} known endpoints drains (weight 0) or is excluded by the call"
    if route.pool.listed:
        return f"all {route.pool.listed} known endpoints drain (weight 0)"
    if belief.error is not None:
        return f"discovery fails ({_counted(belief.failures, 'failure')}, the last: {headline(belief.error)})"
    if belief.is_empty:
        return "discovery says that no instance is ready"
    return "discovery has not answered yet"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
