"""Endpoints that may be picked, with statistics that are plain values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..endpoint import Endpoint
from ..interfaces.balancer import Latency, Load, Member, Penalty, Report

__all__ = ["FakeLoad", "FakeMember", "ManualClock", "members_of"]


@dataclass(slots=True)
class FakeLoad:
    """The statistics of an endpoint, as plain values."""

    open: set[int] = field(default_factory=set[int])
    penalty: Penalty | None = None
    latency: Latency | None = None
    report: Report | None = None

    @property
    def open_calls(self) -> int:
        """As many as there are in `open`."""
        return len(self.open)

    @property
    def open_work(self) -> float:
        """Each call has the size 1."""
        return float(len(self.open))

    def open_age(self, now: float) -> float:
        """All of them began just now."""
        del now
        return 0.0


@dataclass(slots=True)
class FakeMember:
    """An endpoint that may be picked, with a weight of any kind."""

    endpoint: Endpoint
    weight: float = 1.0
    load: Load = field(default_factory=FakeLoad)


@dataclass
class ManualClock:
    """Stands until it is moved. Moving it is all that changes it.

    Args:
        time: Monotonic clock, in seconds.
        date: Seconds since 1970.
    """

    time: float = 1000.0
    date: float = 1_800_000_000.0

    def monotonic(self) -> float:
        """As `Clock.monotonic`."""
        return self.time

    def unix(self) -> float:
        """As `Clock.unix`."""
        return self.date

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds
        self.date += seconds


def members_of(weights: Iterable[float]) -> list[Member]:
    """Members with these weights; their ids are `e0000`, `e0001`, ... in this order."""
    return [FakeMember(Endpoint("10.0.0.1", 80, id=f"e{place:04}"), weight) for place, weight in enumerate(weights)]
