"""The ring: each endpoint has many points on a circle; a key belongs to the next point (D. Karger and others, 1997).

A change of the list moves no key that it need not move. Shares are less even than Maglev's: with 256 points, the
largest is up to 1.25 times the mean at 100 endpoints.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from math import frexp

from .consistent_hash_hashing import WORD, identity_words, mixed

__all__ = ["POINTS", "Ring", "point_counts"]

POINTS = 256
"""Points of an endpoint with the least weight, at least."""

_BLOCK = 16
"""So many points come from one hash."""

_MOST_EACH = 2 * POINTS
_MOST = 65_536
"""The whole ring has no more points than this, or than `_MOST_EACH` for each endpoint if that is more."""

_PIECES = 64
"""The circle is sorted in pieces: one long sort would let no other thread run."""


class Ring:
    """The order of places for a key. Never changes. Six bytes for each point: 1.5 KB for 256.

    Args:
        identities: The ids, in the order of the places; at least one.
        weights: Their weights, finite and above 0.
    """

    __slots__ = ("_count", "_owners", "_points")

    def __init__(self, identities: Sequence[str], weights: Sequence[float]) -> None:
        self._count = count = len(identities)
        pieces: list[list[int]] = [[] for _ in range(_PIECES)]
        for place, (identity, points) in enumerate(zip(identities, point_counts(weights), strict=True)):
            for block in range(-(-points // _BLOCK)):
                for point in identity_words(identity, _BLOCK, block)[: points - block * _BLOCK]:
                    pieces[point * _PIECES // WORD].append(point * count + place)
        self._points = array("I")
        self._owners = array("H" if count <= 0xFFFF else "I")
        for piece in pieces:
            piece.sort()
            self._points.extend(both // count for both in piece)
            self._owners.extend(both % count for both in piece)

    def first(self, hashed: int) -> int:
        """The key's first place."""
        return self._owners[self._at(hashed)]

    def order(self, hashed: int) -> Iterator[int]:
        """All places, the key's first one first, then as they follow on the ring."""
        start = self._at(hashed)
        seen: set[int] = set()
        for run in (range(start, len(self._owners)), range(start)):
            for index in run:
                place = self._owners[index]
                if place not in seen:
                    seen.add(place)
                    yield place
                    if len(seen) == self._count:
                        return

    def _at(self, hashed: int) -> int:
        index = bisect_right(self._points, mixed(hashed))
        return index if index < len(self._points) else 0

    def arcs(self) -> list[int]:
        """The length of what belongs to each place; together 2**32."""
        lengths = [0] * self._count
        before = self._points[-1] - WORD
        for point, owner in zip(self._points, self._owners, strict=True):
            lengths[owner] += point - before
            before = point
        return lengths


def point_counts(weights: Sequence[float]) -> list[int]:
    """How many points each weight gets: 256 or more, in proportion, as long as the ring does not grow too large.

    The unit is a power of two, not the least weight itself: so an endpoint that comes or goes seldom changes how many
    points the others have, and keys stay where they are.
    """
    most = max(_MOST, _MOST_EACH * len(weights))
    # frexp(w) gives m and e with w = m * 2**e and 1/2 <= m < 1. Integers only: no weight is too large or too small.
    parts = [weight.as_integer_ratio() for weight in weights]
    exponent = min(frexp(weight)[1] for weight in weights) - 1
    while True:
        counts = [_scaled(numerator, denominator, exponent) for numerator, denominator in parts]
        if sum(counts) <= most:
            return counts
        # Jump close first: weights may be a thousand powers of two apart.
        exponent += max(1, (sum(counts) // most).bit_length() - 1)


def _scaled(numerator: int, denominator: int, exponent: int) -> int:
    """256 * weight / 2**exponent, rounded down, 1 at least."""
    top, bottom = POINTS * numerator, denominator
    if exponent >= 0:
        bottom <<= exponent
    else:
        top <<= -exponent
    return max(1, top // bottom)
