"""A clock for stores that tests own."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ManualClock"]


@dataclass
class ManualClock:
    """Stands until it is moved."""

    time: float = 1000.0
    date: float = 1_700_000_000.0
    boot_id: str = "first"

    def now(self) -> float:
        return self.time

    def unix(self) -> float:
        return self.date

    def boot(self) -> str:
        return self.boot_id

    def move(self, seconds: float) -> None:
        self.time += seconds
        self.date += seconds

    def reboot(self, *, off: float) -> None:
        """The host is off for so many seconds and starts again at 5."""
        self.date += off
        self.time, self.boot_id = 5.0, self.boot_id + "+"
