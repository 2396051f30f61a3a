"""How much work a call is: seconds that a server of speed 1 needs for it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Protocol

__all__ = ["ConstantWork", "ExponentialWork", "HeavyTail", "Work"]


class Work(Protocol):
    """A distribution of work."""

    @property
    def mean(self) -> float:
        """Seconds of the average call."""
        ...

    def draw(self, random: Random) -> float:
        """Seconds of one call, above 0."""
        ...


@dataclass(frozen=True, slots=True)
class ConstantWork:
    """Every call is the same.

    Args:
        mean: Seconds. Default 1.
    """

    mean: float = 1.0

    def draw(self, random: Random) -> float:  # noqa: ARG002 - the contract
        """The mean."""
        return self.mean


@dataclass(frozen=True, slots=True)
class ExponentialWork:
    """Many short calls, some long ones: the exponential distribution.

    Args:
        mean: Seconds. Default 1.
    """

    mean: float = 1.0

    def draw(self, random: Random) -> float:
        """One call."""
        return random.expovariate(1.0) * self.mean


@dataclass(frozen=True, slots=True)
class HeavyTail:
    """Two kinds of calls: most are short, a few are very long. Prompts are like this.

    Args:
        short: Seconds of a short call. Default 0.2.
        long: Seconds of a long call. Default 8.2, so that the mean is 1.
        long_share: Share of long calls, from 0 to 1. Default 0.1.
    """

    short: float = 0.2
    long: float = 8.2
    long_share: float = 0.1

    @property
    def mean(self) -> float:
        """Seconds of the average call."""
        return self.short * (1 - self.long_share) + self.long * self.long_share

    def draw(self, random: Random) -> float:
        """One call."""
        return self.long if random.random() < self.long_share else self.short
