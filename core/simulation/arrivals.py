"""When calls come, and how much work each of them is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from .work import ExponentialWork, Work

__all__ = ["Arrivals", "Poisson", "Recorded", "Steady"]


class Arrivals(Protocol):
    """A stream of calls."""

    def stream(self, random: Random) -> Iterator[tuple[float, float]]:
        """The calls in order: second of arrival, seconds of work."""
        ...

    def __len__(self) -> int:
        """How many calls there are."""
        ...


@dataclass(frozen=True, slots=True)
class Poisson:
    """Calls of many people who do not know of each other: independent arrivals.

    Args:
        rate: Calls in a second on average, over all clients.
        calls: How many. Default 40,000.
        work: How much work each is. Default: exponential with mean 1 s.
    """

    rate: float
    calls: int = 40_000
    work: Work = field(default_factory=ExponentialWork)

    def __post_init__(self) -> None:
        _check(self.rate, self.calls)

    def __len__(self) -> int:
        return self.calls

    def stream(self, random: Random) -> Iterator[tuple[float, float]]:
        """The calls in order."""
        now = 0.0
        for _ in range(self.calls):
            now += random.expovariate(self.rate)
            yield now, self.work.draw(random)


@dataclass(frozen=True, slots=True)
class Steady:
    """Calls of one machine: the same pause between any two.

    Args:
        rate: Calls in a second, over all clients.
        calls: How many. Default 40,000.
        work: How much work each is. Default: exponential with mean 1 s.
    """

    rate: float
    calls: int = 40_000
    work: Work = field(default_factory=ExponentialWork)

    def __post_init__(self) -> None:
        _check(self.rate, self.calls)

    def __len__(self) -> int:
        return self.calls

    def stream(self, random: Random) -> Iterator[tuple[float, float]]:
        """The calls in order."""
        for number in range(self.calls):
            yield number / self.rate, self.work.draw(random)


@dataclass(frozen=True, slots=True)
class Recorded:
    """Calls that were seen: a log of what really came.

    Args:
        calls: Second of arrival and seconds of work on a server of speed 1, in order of arrival.

    Raises:
        ValueError: The arrivals are not in order, or work is not above 0.
    """

    calls: Sequence[tuple[float, float]]

    def __post_init__(self) -> None:
        last = 0.0
        for place, (arrival, work) in enumerate(self.calls):
            # Written so that NaN is refused as well.
            if not arrival >= last:
                raise ValueError(f"call {place} arrives at {arrival!r}, before {last!r}; sort the calls by arrival")
            if not work > 0:
                raise ValueError(f"call {place} has work {work!r}; it must be above 0")
            last = arrival

    def __len__(self) -> int:
        return len(self.calls)

    def stream(self, random: Random) -> Iterator[tuple[float, float]]:  # noqa: ARG002 - the contract
        """The calls in order."""
        return iter(self.calls)


def _check(rate: float, calls: int) -> None:
    if not rate > 0:
        raise ValueError(f"the rate must be above 0, not {rate!r}")
    if calls < 1:
        raise ValueError(f"there must be at least one call, not {calls!r}")
