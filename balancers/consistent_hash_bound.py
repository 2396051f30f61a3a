"""The bound on the load: no endpoint may hold much more than its share of the open calls.

With c the bound, A the open calls of an endpoint, T those of all and s its share by weight, there is room while
A < max(1, ceil(c * (T + 1) * s)) (V. Mirrokni and others, arXiv 1608.01350). Since c is above 1, somebody always has
room.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        self._room = [inf if factor is None else factor * weight / total * _HAIR for weight in self._weights]
        self._looks = count()
        self._every = 1 if len(members) <= EXACT else len(members) // _LOOKS
        self._counted = (0, 0)

    def has_room(self, place: int) -> bool:
        """Whether the endpoint may get one more call."""
        here = len(self._open[place])
        # For a whole number A, A < ceil(x) is A < x. An idle endpoint has room whatever the others do.
        return not here or here < self._room[place] * (self.total() + 1)

    def total(self) -> int:
        """Open calls of all endpoints; with more than 64 of them, as counted N / 16 looks ago at most."""
        if self._every > 1:
            look = next(self._looks)
            total, until = self._counted
            if look < until:
                return total
            total = sum(map(len, self._open))
            self._counted = (total, look + self._every)
            return total
        return sum(map(len, self._open))

    def fullness(self, place: int) -> float:
        """Open calls over weight: who has least when nobody has room."""
        weight = self._weights[place]
        return len(self._open[place]) / weight if weight else inf
