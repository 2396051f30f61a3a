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
from dataclasses import replace
from random import Random

from ..clock import Clock
from ..config.model import CallSettings
from ..errors import DirectlaneError, Phase, PluginError
from ..interfaces.transport import Timeouts
from ..message import Reply
from ..outcome import Action, Outcome, Verdict
from ..pool.statistics import Lease
from ..resilience.hedging import Hedging
from ..resilience.retry_budget import RetryBudget
from ..resilience.tickets import End
from .blame import blame
from .call import Attempt, Call, Effect, GiveUp, Reauthenticate, Sent, Wait
from .deadline_header import with_deadline
from .gate import Choice, SlotGate, SlotLease, note_load
from .judging import judge
from .racing import Racing
from .route import RouteMember
from .routing import Routing
from .story import Story, Teller, cause_of, record_of

__all__ = ["Dispatcher"]


class Dispatcher:
    """Dispatches the calls of one service. Its only state is the retry budget, and the slots if there are some.

    Args:
        service: Name of the service, for errors.
        routing: Where calls can go.
        settings: Limits and repeats.
        clock: Source of time.
        random: Source of chance for the pauses.
        budget: For extra attempts. Default: a new one, as the settings say.
        gate: Of the dispatcher whose place this one takes, if both have slots. Default: a new one, as the settings say.
    """

    def __init__(
        self,
        service: str,
        routing: Routing,
        settings: CallSettings,
        clock: Clock,
        random: Random,
        budget: RetryBudget | None = None,
        gate: SlotGate | None = None,
    ) -> None:
        self.service = service
        self.routing: Routing = routing
        self.settings = settings
        self.budget: RetryBudget = RetryBudget(settings.retry_budget, clock) if budget is None else budget
        self._clock = clock
        self._random = random
        self._deadline_header = settings.deadline_header
        self._teller = Teller(service, routing, settings, self.budget, clock)
        hedge = settings.hedge if settings.attempts > 1 else None
        self.gate: SlotGate | None = None
        """Where attempts get their slots; None if there is no limit."""
        if settings.slots is not None:
            if gate is None:
                gate = SlotGate(settings.slots, routing, clock)
            else:
                gate.move(routing, settings.slots)
            self.gate = gate
        self._racing = None if hedge is None else Racing(Hedging(hedge), routing, self.budget, clock, self.gate)

    def move(self, routing: Routing) -> None:
        """Calls that are under way go on by other routes, if they are tried again."""
        self.routing = self._teller.routing = routing
        if self._racing is not None:
            self._racing.routing = routing
        if self.gate is not None:
            self.gate.move(routing)

    def dispatch(self, call: Call) -> Generator[Effect, Sent, Reply]:
        """Yields effects, is sent what came of them, returns the reply.

        Raises:
            NoEndpointError: There is nobody to ask.
            AttemptsError: Every allowed attempt failed on the wire.
            DeadlineError: The time is over.
            QueueFullError: Every slot is in use, and so is every place in the queue.
            ClosedError: The service was closed while the call waited for a slot.
            PluginError: The provider failed to classify an answer.
        """
        self.budget.call_came()
        gate = self.gate
        lease: SlotLease | None = None
        if gate is None:
            member = self.routing.pick(call.key, call.excluded, call.size)
            if member is None:
                raise self._teller.nobody(call)
            if self._clock.monotonic() >= call.deadline:
                raise self._teller.too_late(call)
        else:
            entry: SlotLease | End = yield from gate.enter(call, call.excluded)
            if isinstance(entry, End):
                raise self._teller.not_admitted(call, entry, gate.view())
            lease, member = entry, entry.member
        racing = self._racing
        story: Story | None = None
        number = 1
        while True:
            attempt = self._attempt(call, member, number, lease)
            if racing is not None and number == 1:
                attempt.hedge_after = racing.due_after(call)
            sent: Sent = None
            try:
                sent = yield attempt
            finally:
                if sent is None:
                    # The caller gave up: the shell has closed us. A probe is given back first, for who gets the slot.
                    member.load.record_cancelled()
                    attempt.lease.release()
            if isinstance(sent, Outcome):
                outcome = sent
            else:
                assert racing is not None  # noqa: S101 - only an attempt with `hedge_after` is answered otherwise
                story = self._story(call)
                raced: tuple[Attempt, Outcome, int] = yield from racing.race(call, story, attempt, self._attempt)
                attempt, outcome, number = raced
                member = attempt.member
            try:
                verdict = judge(member.lane.route, outcome)
            except PluginError:
                # It says nothing about the endpoint, and a probe finds out by another call.
                member.load.record_cancelled()
                attempt.lease.release()
                raise
            member.load.record(outcome, verdict)
            if gate is not None:
                note_load(attempt.lease, outcome, verdict)
            if verdict.action is Action.OK or verdict.action is Action.FAIL:
                if racing is not None and number == 1 and story is None and verdict.action is Action.OK:
                    racing.went_well(call, outcome)
                if not call.is_streamed:
                    attempt.lease.release()
                return _answer(outcome, number)
            if outcome.fault is None:
                attempt.lease.release()

            if story is None:
                story = self._story(call)
            story.records.append(record_of(call, attempt, outcome))
            following: Choice | None = None
            is_given = False
            try:
                following = yield from self._elsewhere(call, story, member, outcome, verdict)
                is_given = following is None
            finally:
                # A stream that began with an error is still open: the caller gets it if there is no other attempt.
                if outcome.fault is not None and not is_given:
                    attempt.lease.release()
            if following is None:
                if outcome.reply is None:
                    raise self._teller.unanswered(call, story, outcome) from outcome.error
                return _answer(outcome, number)
            member, lease = following
            number += 1

    def _story(self, call: Call) -> Story:
        story = Story([], call.excluded)
        call.records = story.records
        return story

    def _attempt(self, call: Call, member: RouteMember, number: int, lease: SlotLease | None = None) -> Attempt:
        now = self._clock.monotonic()
        settings = self.settings
        remaining = call.deadline - now
        total = remaining if settings.attempt_timeout is None else min(remaining, settings.attempt_timeout)
        gap: float | None = None
        if call.is_streamed and not call.is_leased:
            gap = total if settings.gap_timeout is None else settings.gap_timeout
            if settings.first_event_timeout is not None:
                total = min(total, settings.first_event_timeout)
        request = call.request
        if self._deadline_header is not None:
            left = total if gap is None else None if call.ends_at is None else call.ends_at - now
            if left is not None:  # a stream that may go on has no end to tell
                request = with_deadline(request, self._deadline_header, left)
        try:
            request = member.lane.complete(request, self._clock)
        except BaseException as error:
            if lease is not None:
                lease.release()
            # A `ValueError` is the agreed way for a signature to refuse a body.
            if isinstance(error, ValueError | DirectlaneError) or not isinstance(error, Exception):
                raise
            raise blame(member.lane.route.plan, "prepare a request", error) from error
        timeouts = Timeouts(min(settings.connect_timeout, total), total, call.may_repeat, gap)
        if lease is None:
            return Attempt(member, Lease(member.load, now, call.size), request, timeouts, number)
        lease.started_at = now
        return Attempt(member, lease, request, timeouts, number)

    def _elsewhere(
        self, call: Call, story: Story, member: RouteMember, outcome: Outcome, verdict: Verdict
    ) -> Generator[Effect, Sent, Choice | None]:
        """Who gets the next attempt, after the pause that it needs; None if there must be no further attempt."""
        route = member.lane.route
        if outcome.phase is Phase.CONNECT:
            route.doubt()
        if not self._may_repeat(call, story, outcome, verdict):
            return None

        if verdict.action is Action.REAUTHENTICATE:
            if story.has_reauthenticated or not self._pays(story):
                return None
            story.has_reauthenticated = True
            yield Reauthenticate(route, max(0.0, call.deadline - self._clock.monotonic()))
        else:
            story.tried |= {member.endpoint.id}

        # Only a look, and the member is let go at once: it may hold the right to probe, which another call could use
        # during the pause, and this one after it.
        is_second_round = self.routing.pick(call.key, story.tried, call.size) is None
        pause = self._pause(story, verdict, is_second_round=is_second_round)
        if self._clock.monotonic() + pause >= call.deadline:
            return None
        if verdict.action is not Action.REAUTHENTICATE and not self._pays(story):
            return None
        try:
            yield Wait(pause, cause_of(outcome))
        except GiveUp:
            return None
        if self._clock.monotonic() >= call.deadline:
            return None
        # The list may have changed meanwhile, and who is new on it comes first.
        choice: Choice
        if self.gate is None:
            pick = self.routing.pick
            chosen = pick(call.key, story.tried, call.size) or pick(call.key, call.excluded, call.size)
            if chosen is None:
                return None
            choice = chosen, None
        else:
            # A stream that began with an error is still open and has its slot: nobody waits for one with another in
            # hand.
            may_wait = outcome.fault is None
            entry: SlotLease | End = yield from self.gate.enter(call, story.tried, is_repeat=True, may_wait=may_wait)
            if not isinstance(entry, SlotLease):
                story.is_not_admitted = entry is not End.NOBODY
                return None
            choice = entry.member, entry
        if choice[0].endpoint.id in story.tried:
            story.tried = call.excluded  # another round
        return choice

    def _may_repeat(self, call: Call, story: Story, outcome: Outcome, verdict: Verdict) -> bool:
        if len(story.records) >= self.settings.attempts:
            return False
        if verdict.may_have_run and not call.may_repeat:
            return False
        if verdict.delay is not None and verdict.delay > self.settings.retry_after_max:
            return False
        # A stream that was touched is gone; before a connection stands nobody has touched it.
        return call.request.is_replayable or outcome.phase is Phase.CONNECT

    def _pays(self, story: Story) -> bool:
        """Whether the retry budget has one more attempt."""
        story.is_budget_spent = not self.budget.spend()
        return not story.is_budget_spent

    def _pause(self, story: Story, verdict: Verdict, *, is_second_round: bool) -> float:
        """Full jitter, doubling; none at all on the way to an endpoint that was not tried yet."""
        if verdict.action is Action.BACK_OFF and verdict.delay is not None:
            return verdict.delay
        if verdict.action is Action.BACK_OFF or is_second_round:
            upper = min(self.settings.backoff_max, self.settings.backoff * 2.0 ** min(story.pauses, 30))
            story.pauses += 1
            return self._random.uniform(0.0, upper)
        return 0.0


def _answer(outcome: Outcome, attempts: int) -> Reply:
    reply = outcome.reply
    assert reply is not None  # noqa: S101 - the callers have seen that there is one
    return reply if attempts == 1 else replace(reply, attempts=attempts)
