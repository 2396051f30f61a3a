"""Maglev: a table that says for each slot which endpoint it belongs to (D. Eisenbud and others, NSDI 2016).

Every endpoint has a preference list of all slots, made from the hash of its identity. In turns, by weight, each takes
the next free slot of its list. So shares are even within one slot, a pick is one look into the table, and a change of
the list moves few keys that it need not move. The size is a prime, so that a list reaches every slot.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heapreplace
from itertools import cycle, islice

from .consistent_hash_hashing import identity_words, mixed

__all__ = ["SIZES", "Maglev", "table_size"]

SIZES = (65_537, 131_101, 262_147, 524_309, 1_048_583, 2_097_169)
"""Primes, each above a power of two."""

_SLOTS_EACH = 100
"""At least so many slots for each endpoint on average: a share is then off by 1% at most."""


def table_size(count: int) -> int:
    """How many slots a table for so many endpoints has."""
    return next((size for size in SIZES if size >= _SLOTS_EACH * count), SIZES[-1])


class Maglev:
    """The order of places for a key. Never changes. Two bytes for each slot: 128 KiB for up to 655 endpoints.

    Args:
        identities: The ids, in the order of the places; at least one. Sorted, so that the table does not depend on
            the order in which a discovery happens to name them.
        weights: Their weights, finite and above 0.
    """

    __slots__ = ("_count", "_size", "_table")

    def __init__(self, identities: Sequence[str], weights: Sequence[float]) -> None:
        self._count = len(identities)
        self._size = table_size(self._count)
        self._table = array("H" if self._count <= 0xFFFF else "I", _fill(identities, _turns(weights), self._size))

    def first(self, hashed: int) -> int:
        """The key's first place."""
        return self._table[mixed(hashed) % self._size]

    def order(self, hashed: int) -> Iterator[int]:
        """All places, the key's first one first, then as they follow in the table."""
        start = mixed(hashed) % self._size
        table = self._table
        seen: set[int] = set()
        for run in (range(start, self._size), range(start)):
            for slot in run:
                place = table[slot]
                if place not in seen:
                    seen.add(place)
                    yield place
                    if len(seen) == self._count:
                        return
        # A share below one slot may have got none. It still serves when everybody else was asked.
        yield from (place for place in range(self._count) if place not in seen)

    def slots(self) -> Sequence[int]:
        """Whose slot each is."""
        return self._table


def _fill(identities: Sequence[str], turns: Iterable[int], size: int) -> list[int]:
    words = [identity_words(identity, 2) for identity in identities]
    at = [first % size for first, _ in words]
    skips = [second % (size - 1) + 1 for _, second in words]
    table = [-1] * size
    for place in islice(turns, size):
        slot = at[place]
        skip = skips[place]
        while table[slot] >= 0:
            slot += skip
            if slot >= size:
                slot -= size
        table[slot] = place
        at[place] = slot
    return table


def _turns(weights: Sequence[float]) -> Iterator[int]:
    """Places without end, in turns, each as often as its weight says."""
    if len(set(weights)) == 1:
        return cycle(range(len(weights)))
    return _turns_by_weight(weights)


def _turns_by_weight(weights: Sequence[float]) -> Iterator[int]:
    # Turn k of a place is due at (k + 1/2) / weight. The largest weight is 1, so that no number is too large.
    largest = max(weights)
    steps = [min(largest / weight, 1e12) for weight in weights]
    due = [(step / 2, place) for place, step in enumerate(steps)]
    heapify(due)
    while True:
        at, place = due[0]
        yield place
        heapreplace(due, (at + steps[place], place))
