"""When the turn of a shared question comes: as its rate limits, those who spend from them too, and its answers say.

Nothing here asks anybody: `shared_polling` tells what happened, and reads how long to wait.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from ..clock import Clock
from ..errors import DiscoveryThrottled
from ..interfaces.discovery import RateBudget
from .belief import Belief
from .pace import Pace
from .poller import Poller

__all__ = ["Turn"]

_QUICK_RETRIES = 3
"""Failures without any list after which the question keeps to its turn like all others."""


class Turn:
    """Mutable state: what the last questions spent, who else spends, when the list changed, and what follows of it.

    Args:
        poller: Whose question it is.
        clock: Source of time.
        random: Source of chance.
    """

    def __init__(self, poller: Poller, clock: Clock, random: Random) -> None:
        self._poller = poller
        self._clock = clock
        self._random = random
        self._pace = Pace()
        self._sharing: dict[str, int] = {}
        self._changed_at = -math.inf
        self._delay = 0.0
        self.gap: float = 0.0
        """Seconds from one question to the next, if that is wanted."""

    @property
    def budgets(self) -> Sequence[str]:
        """The names of the budgets that the question spends from."""
        return self._pace.budgets

    def shared_among(self, counts: Sequence[int]) -> bool:
        """So many questions spend from each of `budgets`, this one included. Whether that is news."""
        before, self._sharing = self._sharing, dict(zip(self.budgets, counts, strict=False))
        return self._sharing != before

    def spent(self, budgets: Sequence[RateBudget], last: Sequence[RateBudget]) -> None:
        """As `Pace.note`."""
        self._pace.note(budgets, last)

    def believed(self, before: Belief, after: Belief) -> None:
        """There is another belief."""
        if before.snapshot is not None and before.endpoints != after.endpoints:
            self._changed_at = self._clock.monotonic()

    def plan(self, *, is_alone: bool) -> None:
        """Work out when the next question comes: if somebody wants it, and in any case.

        Args:
            is_alone: Whether this process asks for itself: its share of the limits holds, and nobody's turn.
        """
        settings, belief = self._poller.settings, self._poller.belief
        gap, delay = self._poller.rest()
        fair = 0.0 if is_alone else self._pace.fair(self._sharing)
        if isinstance(belief.error, DiscoveryThrottled) or belief.is_hopeless or math.isinf(delay):
            self.gap, self._delay = gap, delay
            return
        is_plain = belief.ask_again_in is None if belief.error is None else bool(belief.endpoints)
        if is_plain and fair:
            since_change = self._clock.monotonic() - self._changed_at
            pause = self._pace.interval(settings.interval, self._sharing, since_change)
            delay = self._pace.with_jitter(pause, settings.interval, settings.jitter, self._random)
        elif belief.endpoints or belief.failures_in_row > _QUICK_RETRIES:
            delay = max(delay, fair)
        self.gap, self._delay = max(gap, fair), delay

    def wait(self, asked_at: float) -> float:
        """Seconds until the next question.

        Args:
            asked_at: When the question was last asked.
        """
        pause = min(self.gap, self._delay) if self._poller.is_wanted else self._delay
        return asked_at + pause - self._clock.monotonic()
