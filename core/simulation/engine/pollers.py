"""Runs the pollers of discovery in virtual time: their decisions are the real ones, their I/O is told."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from ...clock import Clock
from ...discovery.asking import IDLE_LIMIT
from ...discovery.budget import BudgetLedger, Reservation
from ...discovery.conversation import GO_ON, steps_of
from ...discovery.poller import Poller
from ...endpoint import Snapshot
from ...errors import DiscoveryError, Phase, TransportError
from ...interfaces.discovery import LocalQuery, NextPiece, Query, Step
from ...message import Reply
from ..events import Events
from .network import ControlPlane, Told

__all__ = ["VirtualPollers"]

_Steps = Generator[Step, Reply | TransportError, Snapshot]


@dataclass(slots=True, eq=False)
class _Run:
    poller: Poller
    is_over: bool = False
    is_listening: bool = False
    """Whether a wish leads to a question at once."""
    turn: int = 0
    """Which question or rest this is: an alarm that was set in another one says nothing."""
    watch: Query | None = None
    """Whose answer is open."""
    steps: _Steps | None = None
    """The conversation that is under way."""


class VirtualPollers:
    """A `PollerRunner` without threads and sockets.

    Mutable state: who runs.

    Args:
        events: What is to happen.
        clock: Of the pollers.
        plane: Whom they ask.
    """

    def __init__(self, events: Events, clock: Clock, plane: ControlPlane) -> None:
        self._events = events
        self._clock = clock
        self._plane = plane
        self._ledger = BudgetLedger()
        self._runs: dict[Poller, _Run] = {}

    @property
    def running(self) -> int:
        """How many pollers run."""
        return len(self._runs)

    def start(self, poller: Poller) -> None:
        """Let it ask from now on."""
        run = self._runs[poller] = _Run(poller)
        poller.on_wish = lambda: self._wished(run)
        self._events.at(self._events.now, self._ask, run)

    def stop(self, poller: Poller) -> None:
        """End it, whatever it is doing."""
        run = self._runs.pop(poller, None)
        if run is not None:
            run.is_over = True
            poller.on_wish = None

    def _ask(self, run: _Run) -> None:
        if run.is_over:
            return
        run.is_listening = False
        run.turn += 1
        run.watch = None
        run.steps = steps_of(run.poller.discovery, run.poller.begin())
        self._go_on(run, run.steps, None)

    def _go_on(self, run: _Run, steps: _Steps, answer: Reply | TransportError | None) -> None:
        try:
            step = next(steps) if answer is None else steps.send(answer)
            while isinstance(step, Snapshot):
                run.poller.hear(step)
                if run.is_over:  # a listener may give the last share back
                    return
                if run.poller.is_wanted:
                    self._leave(run)
                    return
                run.is_listening = True
                step = steps.send(GO_ON)
        except StopIteration as end:
            self._end(run, end.value)
        except DiscoveryError as error:
            self._end(run, error)
        else:
            if isinstance(step, NextPiece):
                self._read_on(run, steps)
            else:
                run.watch = None
                self._reserve(run, steps, step)

    def _read_on(self, run: _Run, steps: _Steps) -> None:
        query = run.watch
        if query is None:
            steps.close()
            self._end(run, DiscoveryError("the discovery plug-in reads on in an answer that is not open"))
            return
        told, limit = self._plane.next_piece(query), query.timeout or IDLE_LIMIT
        answer, seconds = _within(told, limit)
        if not isinstance(answer, Reply) or not answer.content:
            run.watch = None
        self._events.at(self._events.now + seconds, self._read, run, steps, answer)

    def _read(self, run: _Run, steps: _Steps, answer: Reply | TransportError) -> None:
        if run.steps is steps and not run.is_over:
            self._go_on(run, steps, answer)

    def _leave(self, run: _Run) -> None:
        """A watch ends, because somebody wants what it does not give."""
        if run.steps is not None:
            run.steps.close()
        self._end(run, None)

    def _reserve(self, run: _Run, steps: _Steps, query: Query | LocalQuery) -> None:
        if run.is_over or run.steps is not steps:
            return
        got = self._ledger.reserve(query.budgets, self._clock.monotonic())
        if not isinstance(got, Reservation):
            self._events.at(self._events.now + got, self._reserve, run, steps, query)
            return
        limit = run.poller.settings.timeout
        if isinstance(query, Query):
            run.watch = query if query.watch else None
            if query.timeout is not None and not query.watch:
                limit = query.timeout
        answer, seconds = _within(self._plane.ask(query), limit)
        self._events.at(self._events.now + seconds, self._told, run, steps, got, answer)

    def _told(self, run: _Run, steps: _Steps, got: Reservation, answer: Reply | TransportError) -> None:
        got.settle(self._clock.monotonic())
        if run.steps is steps and not run.is_over:
            self._go_on(run, steps, answer)

    def _end(self, run: _Run, answer: Snapshot | DiscoveryError | None) -> None:
        run.is_listening = False
        run.steps = None
        run.poller.end(answer)
        if run.is_over:  # a listener may give the last share back
            return
        gap, delay = run.poller.rest()
        now = self._events.now
        if gap < float("inf"):
            self._events.at(now + gap, self._listen, run, run.turn)
        if delay < float("inf"):
            self._events.at(now + delay, self._alarm, run, run.turn)

    def _listen(self, run: _Run, turn: int) -> None:
        if run.turn != turn:
            return
        if run.poller.is_wanted:
            self._ask(run)
        else:
            run.is_listening = True

    def _alarm(self, run: _Run, turn: int) -> None:
        if run.turn == turn:
            self._ask(run)

    def _wished(self, run: _Run) -> None:
        if run.is_listening:
            run.is_listening = False
            self._events.at(self._events.now, self._alarm if run.steps is None else self._renew, run, run.turn)

    def _renew(self, run: _Run, turn: int) -> None:
        if run.turn == turn and run.steps is not None and not run.is_over:
            self._leave(run)


def _within(told: Told, limit: float) -> tuple[Reply | TransportError, float]:
    """What came, and after how many seconds; a timeout if it takes too long."""
    if told.seconds > limit:
        return TransportError("no answer", phase=Phase.WAIT, timed_out=True), limit
    return told.answer, told.seconds
