"""The bound on the load: no endpoint may hold much more than its share of the open calls.

With c the bound, A the open calls of an endpoint, T those of all and s its share by weight, there is room while
A < max(1, ceil(c * (T + 1) * s)) (V. Mirrokni and others, arXiv 1608.01350). Since c is above 1, somebody always has
room.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from math import inf

from ..core.interfaces.balancer import Member

__all__ = ["EXACT", "Bound"]

EXACT = 64
"""Up to so many endpoints, every look counts the open calls of all. Above, a count serves for several looks."""

_LOOKS = 16
"""A count serves for N / 16 looks: so a look costs about 16 endpoints' worth of counting, however many there are."""

_HAIR = 1 - 1e-12


class Bound:
    """Who has room.

    Mutable state: `_counted`, one reference that is replaced as a whole, and an atomic counter. No lock.

    Args:
        members: The members.
        weights: Their weights, finite and above 0.
        factor: The bound c, above 1. None: everybody always has room.
    """

    __slots__ = ("_counted", "_every", "_looks", "_open", "_room", "_weights")

    def __init__(self, members: Sequence[Member], weights: Sequence[float], factor: float | None) -> None:
        self._open = [member.load.open for member in members]
        largest = max(weights, default=1.0)
        self._weights = [weight / largest for weight in weights]  # their sum is then no larger than N
        total = sum(self._weights)
        # A hair less, so that a product which is a whole number is never taken for one more.
        self._room = None if factor is None else [factor * weight / total * _HAIR for weight in self._weights]
        self._looks = count()
        self._every = 1 if len(members) <= EXACT else len(members) // _LOOKS
        self._counted = (0, 0)

    def has_room(self, place: int) -> bool:
        """Whether the endpoint may get one more call."""
        here = len(self._open[place])
        # For a whole number A, A < ceil(x) is A < x. An idle endpoint has room whatever the others do.
        if not here or self._room is None:
            return True
        total = sum(map(len, self._open)) if self._every == 1 else self._lately()
        return here < self._room[place] * (total + 1)

    def _lately(self) -> int:
        """Open calls of all endpoints, as counted N / 16 looks ago at most."""
        look = next(self._looks)
        total, until = self._counted
        if look < until:
            return total
        total = sum(map(len, self._open))
        self._counted = (total, look + self._every)
        return total

    def first_with_room(self, places: Iterable[int]) -> int | None:
        """The first of some places that has room. If none has: the one with the fewest open calls for its weight. None
        if there are none at all. The open calls of all are counted once."""
        room = self._room
        total = sum(map(len, self._open)) if self._every == 1 else self._lately()
        fallback: int | None = None
        least = inf
        for place in places:
            here = len(self._open[place])
            if not here or room is None or here < room[place] * (total + 1):
                return place
            weight = self._weights[place]
            fullness = here / weight if weight else inf
            if fallback is None or fullness < least:
                fallback, least = place, fullness
        return fallback
