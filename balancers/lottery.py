"""A draw by weight, with some members left out: one uniform number, never a second try.

The members lie side by side on a line, each as long as its weight. A draw is a point on the line. To leave members out,
the point is drawn on the shorter line that remains, and moved past every gap that lies before it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from itertools import accumulate
from random import Random

from ..core.interfaces.balancer import Member

__all__ = ["Lottery"]


class Lottery:
    """Draws members by weight. Never changes; used by many threads at once.

    Args:
        members: Whom to draw from; possibly none.
        weights: Their weights, integers of 1 or more with a sum below 2**53 (so that a float names every point).
        random: Source of chance.
    """

    __slots__ = ("_ends", "_members", "_places", "_random", "_total", "_weights")

    def __init__(self, members: Sequence[Member], weights: Sequence[int], random: Random) -> None:
        self._members = tuple(members)
        self._weights = tuple(weights)
        self._ends = list(accumulate(weights))
        self._total = self._ends[-1] if self._ends else 0
        self._places = {member.endpoint.id: place for place, member in enumerate(members)}
        self._random = random.random

    def draw(self) -> Member | None:
        """A member by weight; None if there is none. O(log N)."""
        if not self._total:
            return None
        # The product stays below the total: the largest value of random() is 1 - 2**-53.
        return self._members[bisect_right(self._ends, self._random() * self._total)]

    def draw_without(self, excluded: Collection[str]) -> Member | None:
        """A member by weight among those whose id is not excluded; None if nobody is left.

        O(k log k + log N) for k excluded ids.
        """
        gaps = sorted({self._places[name] for name in excluded if name in self._places})
        left = self._total - sum(self._weights[gap] for gap in gaps)
        if not left:
            return None
        point = int(self._random() * left)
        for gap in gaps:
            if point < self._ends[gap] - self._weights[gap]:
                break
            point += self._weights[gap]
        return self._members[bisect_right(self._ends, point)]
