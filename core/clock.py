"""Time, passed in. Nothing below the shells calls `time` by itself, so tests and simulations own the clock."""

from __future__ import annotations

import time
from typing import ClassVar, Protocol

__all__ = ["SYSTEM_CLOCK", "Clock", "SystemClock"]


class Clock(Protocol):
    """Where the time comes from."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back. Deadlines and ages are measured with it."""
        ...

    def unix(self) -> float:
        """Seconds since 1970 (UTC). Used only where a wire format wants a date."""
        ...


class SystemClock:
    """The clock of this machine."""

    __slots__ = ()

    # Bound straight to the C functions: these are called on the path of every call.
    monotonic: ClassVar[staticmethod[[], float]] = staticmethod(time.monotonic)
    unix: ClassVar[staticmethod[[], float]] = staticmethod(time.time)

    def __repr__(self) -> str:
        return "SystemClock()"


SYSTEM_CLOCK: Clock = SystemClock()
"""The default clock: a constant without state."""
