"""Runs the pollers of discovery in virtual time: their decisions are the real ones, their I/O is told."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from ...clock import Clock
from ...discovery.budget import BudgetLedger, Reservation
from ...discovery.conversation import steps_of
from ...discovery.poller import Poller
from ...endpoint import Snapshot
from ...errors import DiscoveryError, Phase, TransportError
from ...interfaces.discovery import LocalQuery, Query
from ...message import Reply
from ..events import Events
from .network import ControlPlane

__all__ = ["VirtualPollers"]

_Steps = Generator[Query | LocalQuery, Reply | TransportError, Snapshot]


@dataclass(slots=True, eq=False)
class _Run:
    poller: Poller
    is_over: bool = False
    is_listening: bool = False
    """Whether a wish leads to a question at once."""
    turn: int = 0
    """Which rest this is: an alarm that was set in another one says nothing."""


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
        steps = steps_of(run.poller.discovery, run.poller.begin())
        self._go_on(run, steps, None)

    def _go_on(self, run: _Run, steps: _Steps, answer: Reply | TransportError | None) -> None:
        try:
            query = next(steps) if answer is None else steps.send(answer)
        except StopIteration as end:
            self._end(run, end.value)
        except DiscoveryError as error:
            self._end(run, error)
        else:
            self._reserve(run, steps, query)

    def _reserve(self, run: _Run, steps: _Steps, query: Query | LocalQuery) -> None:
        if run.is_over:
            return
        got = self._ledger.reserve(query.budgets, self._clock.monotonic())
        if not isinstance(got, Reservation):
            self._events.at(self._events.now + got, self._reserve, run, steps, query)
            return
        told = self._plane.ask(query)
        answer, seconds, limit = told.answer, told.seconds, run.poller.settings.timeout
        if seconds > limit:
            answer, seconds = TransportError("no answer", phase=Phase.WAIT, timed_out=True), limit
        self._events.at(self._events.now + seconds, self._told, run, steps, got, answer)

    def _told(self, run: _Run, steps: _Steps, got: Reservation, answer: Reply | TransportError) -> None:
        got.settle(self._clock.monotonic())
        if not run.is_over:
            self._go_on(run, steps, answer)

    def _end(self, run: _Run, answer: Snapshot | DiscoveryError) -> None:
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
            self._events.at(self._events.now, self._alarm, run, run.turn)
