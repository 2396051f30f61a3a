"""Timers, passed in: what must happen later, away from the path of the calls."""

from __future__ import annotations

import logging
import math
import traceback
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

from .clock import Clock

__all__ = ["Cancel", "TimerQueue", "Timers", "run_logged"]

_log = logging.getLogger("directlane.timers")

Cancel = Callable[[], None]
"""Takes a timer back. Harmless when the action has run, is running, or was taken back before."""


class Timers(Protocol):
    """Runs actions later. Safe to use from any thread; an action that raises is logged and stops nobody else.

    Do not call it with a lock held that an action takes: an action may run at once.
    """

    def call_at(self, when: float, action: Callable[[], None]) -> Cancel:
        """Run `action` when the monotonic clock shows `when`: maybe later, never earlier.

        Raises:
            RuntimeError, OSError: The machine gives us no thread to do it in.
        """
        ...

    def call_soon(self, action: Callable[[], None]) -> None:
        """Run `action` as soon as possible, maybe before this returns.

        Raises:
            RuntimeError, OSError: As for `call_at`.
        """
        ...


def run_logged(action: Callable[[], None]) -> None:
    """Run an action. One that raises is logged by the type of its error and its place, without its text: it may quote
    a secret."""
    try:
        action()
    except Exception as error:  # noqa: BLE001 - the other timers go on
        where = "".join(traceback.format_tb(error.__traceback__))
        _log.error("a timer broke with %s\n%s", type(error).__name__, where)


class TimerQueue:
    """Timers that are driven by hand: for simulations and tests, where nothing happens by itself.

    Args:
        clock: Source of time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int]] = []
        self._actions: dict[int, Callable[[], None]] = {}
        self._number = count()

    def call_at(self, when: float, action: Callable[[], None]) -> Cancel:
        """Run `action` in the first `run_due` at `when` or later."""
        number = next(self._number)
        self._actions[number] = action
        heappush(self._heap, (when, number))
        return lambda: self._actions.pop(number, None) and None

    def call_soon(self, action: Callable[[], None]) -> None:
        """Run `action` now."""
        run_logged(action)

    @property
    def next_at(self) -> float:
        """When the next action is due; infinity if there is none."""
        while self._heap and self._heap[0][1] not in self._actions:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def run_due(self) -> None:
        """Run what is due by now, in order, also what falls due by it."""
        while self.next_at <= self._clock.monotonic():
            _, number = heappop(self._heap)
            run_logged(self._actions.pop(number))
