"""The schedulers that others use, as far as they choose: no statistics, no exclusions, no threads.

Each is written anew from its published description, as plainly and quickly as Python allows. They get weights and a
source of chance and give back places. What they do around the choice in their own home (locks, health, sessions) is not
here, so beside directlane's pool they look quicker than they are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import reduce
from heapq import heapify, heapreplace
from itertools import accumulate
from math import gcd
from random import Random
from typing import ClassVar, Protocol

__all__ = ["RIVALS", "Rival", "TwoChoices"]


class Rival(Protocol):
    """A scheduler."""

    name: ClassVar[str]
    source: ClassVar[str]

    def __init__(self, weights: Sequence[int], random: Random) -> None: ...

    def pick(self) -> int:
        """The place whose turn it is."""
        ...


class GcdRoundRobin:
    """Rounds with a falling threshold: who weighs at least as much as the threshold has a turn in the round."""

    name = "GCD round robin"
    source = "EAS SDK for Python; LVS"

    def __init__(self, weights: Sequence[int], random: Random) -> None:
        del random
        self._weights = list(weights)
        self._step = reduce(gcd, weights)
        self._most = max(weights)
        self._place = -1
        self._threshold = 0

    def pick(self) -> int:
        weights = self._weights
        while True:
            self._place = (self._place + 1) % len(weights)
            if self._place == 0:
                self._threshold -= self._step
                if self._threshold <= 0:
                    self._threshold = self._most
            if weights[self._place] >= self._threshold:
                return self._place


class Smooth:
    """All gain their weight; the richest has the turn and pays the sum."""

    name = "smooth"
    source = "nginx"

    def __init__(self, weights: Sequence[int], random: Random) -> None:
        del random
        self._weights = list(weights)
        self._total = sum(weights)
        self._current = [0] * len(weights)

    def pick(self) -> int:
        current = [have + weight for have, weight in zip(self._current, self._weights, strict=True)]
        place = current.index(max(current))
        current[place] -= self._total
        self._current = current
        return place


class EarliestDeadline:
    """A heap of deadlines; who had the turn gets the next deadline 1 / weight later."""

    name = "EDF heap"
    source = "Envoy"

    def __init__(self, weights: Sequence[int], random: Random) -> None:
        self._steps = [1 / weight for weight in weights]
        self._heap = [(self._first(step, random), place, place) for place, step in enumerate(self._steps)]
        self._order = len(weights)
        heapify(self._heap)

    def _first(self, step: float, random: Random) -> float:
        del random
        return step

    def pick(self) -> int:
        deadline, _, place = self._heap[0]
        self._order += 1  # of equal deadlines, who waits longest
        heapreplace(self._heap, (deadline + self._steps[place], self._order, place))
        return place


class EarliestDeadlineByChance(EarliestDeadline):
    """The same, with first deadlines by chance."""

    name = "EDF, random first deadline"
    source = "gRPC A58"

    def _first(self, step: float, random: Random) -> float:
        return random.random() * step


class StaticStride:
    """Rounds over everybody; the heaviest is taken in each, the others in their proportion of the rounds."""

    name = "static stride"
    source = "gRPC core"

    _MOST = 65_535

    def __init__(self, weights: Sequence[int], random: Random) -> None:
        heaviest = max(weights)
        self._weights = [max(1, round(weight * self._MOST / heaviest)) for weight in weights]
        self._sequence = random.randrange(2**32)

    def pick(self) -> int:
        weights, most = self._weights, self._MOST
        while True:
            sequence = self._sequence
            self._sequence = sequence + 1
            generation, place = divmod(sequence, len(weights))
            weight = weights[place]
            # The offset keeps neighbours from skipping the same rounds.
            if (weight * generation + place * (most // 2)) % most >= most - weight:
                return place


class TwoChoices:
    """Two by chance; the one with fewer open calls. Weights count for nothing."""

    name = "P2C"
    source = "Finagle, linkerd"

    def __init__(self, weights: Sequence[int], random: Random) -> None:
        self.open = [0] * len(weights)
        self._random = random.random

    def pick(self) -> int:
        opened, random = self.open, self._random
        size = len(opened)
        one = int(random() * size)
        other = int(random() * (size - 1))
        if other >= one:
            other += 1
        return other if opened[other] < opened[one] else one


class WeightedDraw:
    """A draw by weight for each pick."""

    name = "weighted random"
    source = "grpc-go targets"

    def __init__(self, weights: Sequence[int], random: Random) -> None:
        self._ends = list(accumulate(weights))
        self._total = self._ends[-1]
        self._random = random.random

    def pick(self) -> int:
        return bisect_right(self._ends, self._random() * self._total)


RIVALS: Sequence[type[Rival]] = (
    GcdRoundRobin,
    Smooth,
    EarliestDeadline,
    EarliestDeadlineByChance,
    StaticStride,
    TwoChoices,
    WeightedDraw,
)
