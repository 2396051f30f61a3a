"""What can be wrong with a simulated server, and when. Of faults that hold at the same time, the first counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["BlackHole", "FastFailure", "Fault", "Slow", "WarmUp"]


@dataclass(frozen=True, slots=True)
class BlackHole:
    """Takes calls and never answers: each fails when the client's time is over.

    Args:
        start: Second from which on. Default 0.
        end: Second until which. Default: for ever.
    """

    start: float = 0.0
    end: float = math.inf


@dataclass(frozen=True, slots=True)
class FastFailure:
    """Fails every call almost at once, in front of its queue.

    Args:
        after: Seconds until the failure. Default 0.01.
        retry_after: None (default): the connection breaks. Else the answer is a 503 that asks for this many seconds.
        start: Second from which on. Default 0.
        end: Second until which. Default: for ever.
    """

    after: float = 0.01
    retry_after: float | None = None
    start: float = 0.0
    end: float = math.inf


@dataclass(frozen=True, slots=True)
class Slow:
    """Works at a part of its speed. Counts for calls that it begins in this time.

    Args:
        factor: The speed is multiplied by this; above 0. 0.2 is five times slower.
        start: Second from which on. Default 0.
        end: Second until which. Default: for ever.
    """

    factor: float
    start: float = 0.0
    end: float = math.inf

    def __post_init__(self) -> None:
        if not 0 < self.factor < math.inf:
            raise ValueError(f"the factor must be above 0, not {self.factor!r}; for a dead server take a BlackHole")

    def factor_at(self, now: float) -> float:  # noqa: ARG002 - the same question as to a server that warms up
        """What the speed is multiplied by."""
        return self.factor


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Is slow at first and gains speed evenly: caches fill, code is compiled. A call keeps the speed it began with.

    Args:
        seconds: How long it takes; above 0.
        factor: The speed at the start, as a part of the full one; above 0, and 1 at most. Default 0.1.
        start: Second from which on; for a server that joins, the second at which it does. Default 0.
    """

    seconds: float
    factor: float = 0.1
    start: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.seconds < math.inf:
            raise ValueError(f"a warm-up must take more than 0 seconds, not {self.seconds!r}")
        if not 0 < self.factor <= 1:
            raise ValueError(f"the factor of a warm-up is above 0 and 1 at most, not {self.factor!r}")

    @property
    def end(self) -> float:
        """Second at which it has its full speed."""
        return self.start + self.seconds

    def factor_at(self, now: float) -> float:
        """What the speed is multiplied by, from `factor` to 1."""
        return self.factor + (1.0 - self.factor) * (now - self.start) / self.seconds


Fault = BlackHole | FastFailure | Slow | WarmUp
