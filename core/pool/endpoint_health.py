"""The health of one endpoint: what is known of it, and how it stands for people. `health` keeps one for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ..resilience.ejection import Health, Sign
from .probe import Probe
from .statistics import EndpointStats

__all__ = ["EndpointHealth", "Note", "Standing"]

Note: TypeAlias = "Callable[[EndpointHealth, Sign, int, float], None]"
"""Takes what an attempt says of an endpoint: its health, the sign, successes over all time, and seconds it took."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an endpoint stands, for people.

    Args:
        state: `ready`, `warming`, `ejected`, `probing` (its time is over: one call is to find out, or does), or
            `failing` (it would be ejected, but too many are).
        reason: Why it is ejected or fails.
        returns_in: Seconds until a call may find out if it is well again; 0 while it is probed.
    """

    state: str
    reason: str | None = None
    returns_in: float | None = None


class EndpointHealth:
    """The health of one endpoint: what its statistics tell of. State of `PoolHealth`, changed under its lock.

    Args:
        note: Is told of each attempt.
        who: Id of the endpoint.
        stats: What is counted of it.
        now: The time, on the monotonic clock.

    Attributes:
        is_ill: Whether successes are to be told too.
    """

    __slots__ = ("_note", "attempts", "came_at", "good", "id", "is_ill", "probe", "stats", "value")

    def __init__(self, note: Note, who: str, stats: EndpointStats, now: float) -> None:
        self._note = note
        self.id: str = who
        self.stats: EndpointStats = stats
        self.value: Health = Health(now)
        self.is_ill: bool = False
        self.probe: Probe | None = None
        self.attempts: int = 0
        """Attempts until it was back."""
        self.good: int = stats.good
        """Successes of which the value knows."""
        self.came_at: float | None = None
        """When it began to come in slowly; None if it has its whole share."""

    def tell(self, sign: Sign, good: int, elapsed: float) -> None:
        """An attempt ended.

        Args:
            sign: What it says.
            good: Successes so far, over all time.
            elapsed: Seconds that it took.
        """
        self._note(self, sign, good, elapsed)
