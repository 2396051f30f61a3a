"""A clock for stores that tests own."""

from __future__ import annotations

from dataclasses import dataclass

from directlane.testing import ManualClock

__all__ = ["HostClock", "ManualClock"]


@dataclass
class HostClock(ManualClock):
    """The clock of a host, which may be started again."""

    boot_id: str = "first"

    def now(self) -> float:
        return self.time

    def boot(self) -> str:
        return self.boot_id

    def reboot(self, *, off: float) -> None:
        """The host is off for so many seconds and starts again at 5."""
        self.date += off
        self.time, self.boot_id = 5.0, self.boot_id + "+"
