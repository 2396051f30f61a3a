"""Affinity keys of calls: who calls, or which prompt it is. Balancers that look at no key are not touched by them."""

from __future__ import annotations

import math
from bisect import bisect
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from typing import Protocol

__all__ = ["Keys", "UniformKeys", "ZipfKeys"]


class Keys(Protocol):
    """A distribution of affinity keys."""

    def draw(self, random: Random) -> bytes:
        """The key of one call."""
        ...


@dataclass(frozen=True, slots=True)
class UniformKeys:
    """All keys are equally popular.

    Args:
        count: How many keys there are. Default 5,000.
    """

    count: int = 5_000

    def __post_init__(self) -> None:
        _check(self.count)

    def draw(self, random: Random) -> bytes:
        """The key of one call."""
        return b"key %d" % int(random.random() * self.count)


@dataclass(frozen=True, slots=True)
class ZipfKeys:
    """A few keys make most of the calls: the key of rank r has a share in proportion to r to the power of -exponent.

    Args:
        count: How many keys there are. Default 5,000.
        exponent: 0 is uniform; the larger, the more the first keys have. Default 1.1: of 5,000 keys, the first has 16%
            of the calls.
    """

    count: int = 5_000
    exponent: float = 1.1
    _sums: list[float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check(self.count)
        if not 0 <= self.exponent < math.inf:
            raise ValueError(f"the exponent must be 0 or more, not {self.exponent!r}")
        sums = list(accumulate(rank**-self.exponent for rank in range(1, self.count + 1)))
        object.__setattr__(self, "_sums", sums)  # it follows from the others, once for all draws

    def draw(self, random: Random) -> bytes:
        """The key of one call."""
        return b"key %d" % bisect(self._sums, random.random() * self._sums[-1])


def _check(count: int) -> None:
    if count < 1:
        raise ValueError(f"there must be at least one key, not {count!r}")
