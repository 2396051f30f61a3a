"""Does something over and over, away from the path of the calls: a balancer may want new pickers for the same list."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..clock import Clock
from ..timers import Cancel, Timers

__all__ = ["Refresher"]


class Refresher:
    """Runs an action every so many seconds, from `start` to `close`.

    Mutable state: whether it runs, whether it is closed, and the timer that is set; under `_lock`, which is never held
    while the timers or the action are called.

    Args:
        every: Seconds from the end of the action to its next beginning.
        action: What to do. If it raises, the timers log it, and it is done again.
        clock: Source of time.
        timers: For what happens later.
    """

    __slots__ = ("_action", "_cancel", "_clock", "_every", "_is_closed", "_is_running", "_lock", "_timers")

    def __init__(self, every: float, action: Callable[[], None], clock: Clock, timers: Timers) -> None:
        self._every = every
        self._action = action
        self._clock = clock
        self._timers = timers
        self._lock = threading.Lock()
        self._is_running = False
        self._is_closed = False
        self._cancel: Cancel | None = None

    def start(self) -> None:
        """Begin, if it does not run already. Without a thread to do it in, nothing happens: call it again later."""
        with self._lock:
            if self._is_running or self._is_closed:
                return
            self._is_running = True
        self._set()

    def _set(self) -> None:
        try:
            cancel = self._timers.call_at(self._clock.monotonic() + self._every, self._run)
        except (RuntimeError, OSError):  # the machine gives us no thread
            with self._lock:
                self._is_running = False
            return
        with self._lock:
            if not self._is_closed:
                self._cancel = cancel
                return
        cancel()

    def _run(self) -> None:
        if self._is_closed:
            return
        try:
            self._action()
        finally:
            self._set()

    def close(self) -> None:
        """Stop. An action that runs by now ends; none begins."""
        with self._lock:
            self._is_closed = True
            cancel, self._cancel = self._cancel, None
        if cancel is not None:
            cancel()
