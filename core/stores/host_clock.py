"""The clock that all processes of one host share, and that no administrator sets."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

__all__ = ["HostClock", "StoreClock"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class StoreClock(Protocol):
    """Where a store on one host has its time from."""

    def now(self) -> float:
        """Seconds since some moment, the same one for all processes of the host. Never goes back, but for a boot."""
        ...

    def unix(self) -> float:
        """Seconds since 1970. Used for the age of what was saved before a boot, and for nothing else."""
        ...

    def boot(self) -> str:
        """Another one after each boot; empty where that is not known."""
        ...


class HostClock:
    """Time since the host was started.

    On Linux CLOCK_BOOTTIME: equal in every process and container of the host, and it counts on while the host sleeps,
    as the control plane's clock does. Elsewhere the monotonic clock, which is of the host too. The one exception is a
    container with a time namespace of its own: such containers must not share a file with others.
    """

    __slots__ = ()

    def now(self) -> float:
        """Seconds since the host was started."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()

    def unix(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def boot(self) -> str:
        """The kernel's own name for it; empty where there is none."""
        try:
            return _BOOT_ID.read_text().strip()
        except OSError:
            return ""
