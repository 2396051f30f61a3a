"""A count that many threads raise at once, without a lock."""

from __future__ import annotations

import threading
from itertools import count

__all__ = ["Tally"]


class Tally:
    """Counts how often something happened.

    Mutable state: the counter, whose step is atomic, and how often it was read. A counter cannot be read without a
    step, so those steps are taken off again; reading takes a lock, adding does not.
    """

    __slots__ = ("_lock", "_reads", "_steps")

    def __init__(self) -> None:
        self._steps = count()
        self._reads = 0
        self._lock = threading.Lock()

    def add(self) -> None:
        """It happened once more."""
        next(self._steps)

    @property
    def value(self) -> int:
        """How often it happened until now."""
        with self._lock:
            steps = next(self._steps) - self._reads
            self._reads += 1
            return steps

    def __repr__(self) -> str:
        return f"<Tally {self.value}>"
