"""Time as it is told."""

from __future__ import annotations

__all__ = ["VirtualClock"]


class VirtualClock:
    """A clock that stands still until `now` is set."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now

    def unix(self) -> float:
        return self.now + 1_700_000_000
