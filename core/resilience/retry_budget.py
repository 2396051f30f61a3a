"""One budget for all extra attempts of a service: retries, hedges and fallbacks to another tier.

While some instances are ill, extra attempts hide it. While all are ill, they only add to the load that keeps them ill.
So they are bounded by a share of the calls, whatever each single call may do.

There are two purses. What calls have earned fades over the window: calls of long ago do not pay for a storm of today.
The reserve is small and constant, for services with few calls and for the moment in which an instance dies; it is
touched when nothing earned is left. In any time of T seconds there are at most

    share * (calls of that time, and of about one window before it) + reserve + per_second * T

extra attempts. A call that needs none pays one step of a counter, which is atomic; all the rest is worked out when an
extra attempt is asked for.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from itertools import count

from ..clock import Clock
from ..config.retry_budget import RetryBudgetSettings

__all__ = ["RetryBudget"]


class RetryBudget:
    """Says whether one more attempt may be made.

    Mutable state: the counter of calls, which is atomic, and the two purses, which change in `_accrue` and `spend`
    under `_lock`.

    Args:
        settings: How much.
        clock: Source of time.
    """

    __slots__ = (
        "_calls",
        "_clock",
        "_earned",
        "_lock",
        "_reads",
        "_reserve",
        "_seen",
        "_seen_at",
        "call_came",
        "settings",
    )

    def __init__(self, settings: RetryBudgetSettings, clock: Clock) -> None:
        self.settings: RetryBudgetSettings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._calls = count()
        self._reads = 0
        self._seen = 0
        self._seen_at = clock.monotonic()
        self._earned = 0.0
        self._reserve = float(settings.minimum)
        self.call_came: Callable[[], int] = self._calls.__next__
        """Count a call. Bound straight to the counter: it is on the path of every call."""

    def spend(self) -> bool:
        """Take one extra attempt; False if none is left."""
        with self._lock:
            self._accrue()
            if self._earned >= 1.0:
                self._earned -= 1.0
            elif self._earned + self._reserve >= 1.0:
                self._reserve -= 1.0 - self._earned
                self._earned = 0.0
            else:
                return False
            return True

    @property
    def left(self) -> int:
        """How many extra attempts could be made now."""
        with self._lock:
            self._accrue()
            return int(self._earned + self._reserve)

    def _accrue(self) -> None:
        settings = self.settings
        now = self._clock.monotonic()
        # A counter cannot be read without a step, so those steps are taken off again.
        calls = next(self._calls) - self._reads
        self._reads += 1
        passed = max(now - self._seen_at, 0.0)
        came = calls - self._seen
        self._seen, self._seen_at = calls, now
        # Earned evenly over the time that has passed, and fading since. For a short time that is `share * came`.
        kept = math.exp(-passed / settings.window)
        spread = settings.window * (1.0 - kept) / passed if passed else 1.0
        self._earned = self._earned * kept + settings.share * came * spread
        self._reserve = min(self._reserve + settings.per_second * passed, float(settings.minimum))

    def __repr__(self) -> str:
        return f"<RetryBudget {self.left} left>"
