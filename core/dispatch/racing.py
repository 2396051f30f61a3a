"""A race of two attempts of one call: the slow one and its hedge. Effects only, as in `dispatch`.

The first good outcome wins; a bad one only leaves the race. The shell ends the loser. Both leases are released exactly
once: the loser's here, the winner's by the dispatch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

from ..clock import Clock
from ..errors import Phase
from ..outcome import Action, Outcome
from ..resilience.hedging import Hedging
from ..resilience.retry_budget import RetryBudget
from .call import GO_ON, Attempt, Call, Effect, Finished, Sent
from .gate import Choice, SlotGate, SlotLease, note_load
from .judging import judge
from .route import RouteMember
from .routing import Routing
from .story import Story, record_of

__all__ = ["Racing"]

MakeAttempt = Callable[[Call, RouteMember, int, SlotLease | None], Attempt]


class Racing:
    """Runs the races of one service.

    Args:
        hedging: When a hedge is due.
        routing: Where hedges can go.
        budget: Pays for them.
        clock: Source of time.
        gate: Where hedges get their slots; None if there are none. A hedge takes what is free and never waits.
    """

    __slots__ = ("_budget", "_clock", "_gate", "_hedging", "routing")

    def __init__(
        self, hedging: Hedging, routing: Routing, budget: RetryBudget, clock: Clock, gate: SlotGate | None = None
    ) -> None:
        self._hedging = hedging
        self.routing: Routing = routing
        self._budget = budget
        self._clock = clock
        self._gate = gate

    def due_after(self, call: Call) -> float | None:
        """Seconds until a hedge of the call's first attempt is due; None if there must be none."""
        if not call.may_repeat or call.is_leased or not call.request.is_replayable:
            return None
        return self._hedging.after(is_streamed=call.is_streamed)

    def went_well(self, call: Call, outcome: Outcome) -> None:
        """A first attempt went well, without a hedge."""
        self._hedging.record(outcome.elapsed, is_streamed=call.is_streamed)

    def race(
        self, call: Call, story: Story, first: Attempt, make: MakeAttempt
    ) -> Generator[Effect, Sent, tuple[Attempt, Outcome, int]]:
        """The first attempt is slow: run another one beside it, if there may be one.

        Args:
            call: The call.
            story: What has happened so far; bad outcomes that leave the race are added.
            first: The slow attempt.
            make: Makes an attempt.

        Returns:
            The attempt that decides, its outcome, and how many attempts there were. Its lease is still held.
        """
        running = [first]
        started = 1
        try:
            choice = self._other(call, first)
            if choice is None:
                sent = yield GO_ON
            else:
                hedge = make(call, choice[0], 2, choice[1])
                hedge.is_hedge = True
                running.append(hedge)
                started = 2
                sent = yield hedge
            while True:
                assert isinstance(sent, Finished)  # noqa: S101 - the shell answers with who came in
                attempt, outcome = sent.attempt, sent.outcome
                verdict = judge(attempt.member.lane.route, outcome)
                is_good = verdict.action is Action.OK or verdict.action is Action.FAIL
                if is_good or running == [attempt]:
                    running.remove(attempt)
                    if is_good:
                        elapsed = (
                            outcome.elapsed if attempt is first else self._clock.monotonic() - first.lease.started_at
                        )
                        self._hedging.record(elapsed, is_streamed=call.is_streamed)
                    return attempt, outcome, started
                running.remove(attempt)
                note_load(attempt.lease, outcome, verdict)
                attempt.member.load.record(outcome, verdict)
                attempt.lease.release()
                if outcome.phase is Phase.CONNECT:
                    attempt.member.lane.route.doubt()
                story.records.append(record_of(call, attempt, outcome))
                story.tried |= {attempt.member.endpoint.id}
                sent = yield GO_ON
        finally:
            for loser in running:
                loser.member.load.record_cancelled()
                loser.lease.release()

    def _other(self, call: Call, first: Attempt) -> Choice | None:
        """Who gets the hedge; None if there is nobody else, no time, or no budget left."""
        if self._clock.monotonic() >= call.deadline:
            return None
        others = call.excluded | {first.member.endpoint.id}
        if self._gate is None:
            member = self.routing.pick(call.key, others, call.size)
            return (member, None) if member is not None and self._budget.spend() else None
        lease = self._gate.enter_at_once(call, others)
        if lease is None:
            return None
        if self._budget.spend():
            return lease.member, lease
        lease.release()
        return None
