"""What can be wrong with a simulated server, and when. Faults that hold at the same time: the first one counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["BlackHole", "FastFailure", "Fault", "Slow"]


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


Fault = BlackHole | FastFailure | Slow
