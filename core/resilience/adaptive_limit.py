"""A limit of open calls that follows what an endpoint can do: additive increase, multiplicative decrease (AIMD).

An attempt speaks of the limit under which it began. So what began before the limit was lowered cannot lower it again:
of a whole batch of calls that time out together, the first one counts. And what began before the last change cannot
raise it: it grows by one per service time, however many calls go well in it. This is how TCP avoids congestion.

Source: Netflix concurrency-limits, `AIMDLimit` (times 0.9; one more if more than half is in use).
"""

from __future__ import annotations

import math
from enum import Enum

__all__ = ["AdaptiveLimit", "Load"]

_LESS = 0.9


class Load(Enum):
    """What the end of an attempt says of the endpoint's load."""

    FINE = "fine"
    OVERLOAD = "overload"


class AdaptiveLimit:
    """The limit of one endpoint. Changed in `learn`, which the owner calls for one end at a time.

    Args:
        start: The first limit.
        minimum: The least.
        maximum: The greatest.
    """

    __slots__ = ("_changed_at", "_exact", "_lowered_at", "_maximum", "_minimum", "now")

    def __init__(self, start: int, minimum: int, maximum: int) -> None:
        self._exact = float(start)
        self._minimum = minimum
        self._maximum = maximum
        self._changed_at = self._lowered_at = -math.inf
        self.now: int = start
        """The limit."""

    def learn(self, load: Load, used: int, started_at: float, ended_at: float) -> None:
        """An attempt has ended.

        Args:
            load: What its end says.
            used: Slots in use, its own included.
            started_at: When it began, on the monotonic clock.
            ended_at: The present, on the same clock.
        """
        if load is Load.OVERLOAD:
            if started_at >= self._lowered_at:
                self._exact = max(float(self._minimum), self._exact * _LESS)
                self._lowered_at = self._changed_at = ended_at
        elif started_at >= self._changed_at and used * 2 > self.now:
            self._exact = min(float(self._maximum), self._exact + 1.0)
            self._changed_at = ended_at
        self.now = int(self._exact)
