"""Weighted rendezvous: every endpoint draws a number for the key; they are ordered by it.

With u in (0, 1) from the hash of key and identity, the cost is -ln(u) / weight and the least comes first. The first of
a key is an endpoint with a probability of exactly its share, and so it is among those that are left when some are not
there: nobody's number depends on anybody else. A pick takes O(N).

The hash gives the distance d of u from 1: u = 1 - (d + 1) / 2**32. With equal weights the order of the distances is
that of the costs. With others, most keys need one logarithm and not N: -ln(u) >= 1 - u, so that no cost is below
distance / weight, its floor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, log
from operator import mul

from .consistent_hash_hashing import WORD, Lanes

__all__ = ["Rendezvous"]

_LAST = WORD - 1
_LOG_WORD = log(WORD)


class Rendezvous:
    """The order of places for a key. Never changes.

    Args:
        identities: The ids, in the order of the places; at least one.
        weights: Their weights, finite and above 0.
    """

    __slots__ = ("_distances", "_per_weight")

    def __init__(self, identities: Sequence[str], weights: Sequence[float]) -> None:
        self._distances = Lanes(identities).distances
        self._per_weight = None if len(set(weights)) == 1 else [_inverse(weight) for weight in weights]

    def first(self, hashed: int) -> int:
        """The key's first place."""
        distances = self._distances(hashed)
        per_weight = self._per_weight
        if per_weight is None:
            return distances.index(min(distances))
        floors = list(map(mul, per_weight, distances))
        place = floors.index(min(floors))
        cost = _cost(distances[place], per_weight[place])
        floors[place] = inf
        if cost < min(floors):
            return place
        # One key in ten at ten endpoints. Who has a floor above that cost is out.
        floors[place] = 0.0
        near = [place for place, floor in enumerate(floors) if floor <= cost]
        costs = [_cost(distances[place], per_weight[place]) for place in near]
        return near[costs.index(min(costs))]

    def order(self, hashed: int) -> Iterator[int]:
        """All places, the key's first one first."""
        distances = self._distances(hashed)
        costs = distances if self._per_weight is None else list(map(_cost, distances, self._per_weight))
        return iter(sorted(range(len(costs)), key=costs.__getitem__))


def _cost(distance: int, per_weight: float) -> float:
    # In units of 1/2**32, as the distances are. Rounding takes away less than the 1 that a distance lacks.
    return (_LOG_WORD - log(_LAST - distance)) * per_weight * WORD


def _inverse(weight: float) -> float:
    """1 / weight; the largest float, less some room for products, if that is too large: it puts the place last."""
    return 1 / weight if weight > 1e-280 else 1e280
