"""Virtual time: a heap of events, and a clock that jumps from one to the next.

Knows nothing of servers or balancers. Whatever is simulated asks for things to happen at a moment; they happen in order
of time, and those of the same moment in the order in which they were asked for. So one seed gives one course of events.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVarTuple

from ..timers import Cancel

__all__ = ["Events"]

_Args = TypeVarTuple("_Args")


class Events:
    """What is to happen, and the clock (a `Clock`) of those to whom it happens.

    Also the `Timers` of the clients: what they ask for is done in its time, but nothing goes on for its sake.

    Mutable state: the heap, the timers, and `now`, which `run_until` and `run` move; it never goes back.
    """

    __slots__ = ("_heap", "_number", "_timers", "now")

    def __init__(self) -> None:
        # An event has a number, so that two of the same moment never compare what they do.
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = count().__next__
        self._timers: dict[int, Callable[[], None] | None] = {}
        self.now: float = 0.0

    def monotonic(self) -> float:
        """Seconds since the start of the simulation."""
        return self.now

    def unix(self) -> float:
        """The same: the simulation starts in 1970."""
        return self.now

    def __len__(self) -> int:
        """How many events are still to come, timers not counted."""
        return len(self._heap) - len(self._timers)

    @property
    def next_at(self) -> float:
        """Second of the next event; infinity if there is none."""
        return self._heap[0][0] if self._heap else math.inf

    def at(self, moment: float, action: Callable[[*_Args], None], *args: *_Args) -> None:
        """Call `action(*args)` at this second.

        Raises:
            ValueError: The moment has passed, or is not a number.
        """
        # Written so that NaN is refused as well: it would put the heap out of order.
        if not moment >= self.now:
            raise ValueError(f"an event at {moment!r} is too late: it is {self.now!r}")
        heappush(self._heap, (moment, self._number(), action, args))

    def call_at(self, when: float, action: Callable[[], None]) -> Cancel:
        """Call `action` at this second, if the simulation lasts so long. The clients' pools ask for it."""
        number = self._number()
        self._timers[number] = action
        heappush(self._heap, (max(when, self.now), number, self._ring, (number,)))

        def cancel() -> None:
            if number in self._timers:
                self._timers[number] = None

        return cancel

    def call_soon(self, action: Callable[[], None]) -> None:
        """Call `action` now."""
        action()

    def _ring(self, number: int) -> None:
        action = self._timers.pop(number)
        if action is not None:
            action()

    def step(self) -> bool:
        """Let the next thing happen; False if there is none."""
        if not self._heap:
            return False
        self.now, _, action, args = heappop(self._heap)
        action(*args)
        return True

    @property
    def timers(self) -> int:
        """How many timers are set and not taken back."""
        return sum(action is not None for action in self._timers.values())

    def run_until(self, moment: float) -> None:
        """Let everything happen that is due until this second, itself included; then it is this second."""
        heap = self._heap
        while heap and heap[0][0] <= moment:
            self.now, _, action, args = heappop(heap)
            action(*args)
        self.now = moment

    def run(self) -> None:
        """Let everything happen, also what is asked for meanwhile; then it is the second of the last event.

        Timers that would come after the last event do not.
        """
        heap, timers = self._heap, self._timers
        while len(heap) > len(timers):
            self.now, _, action, args = heappop(heap)
            action(*args)
