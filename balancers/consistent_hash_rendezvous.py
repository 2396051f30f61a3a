"""Weighted rendezvous: every endpoint draws a number for the key; they are ordered by it.

With u in (0, 1) from the hash of key and identity, the score is ln(u) / weight and the highest comes first. The first
of a key is an endpoint with a probability of exactly its share, and so it is among those that are left when some are
not there: nobody's number depends on anybody else. A pick takes O(N).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log

from .consistent_hash_hashing import WORD, Lanes

__all__ = ["Rendezvous"]

_LOG_WORD = log(WORD)


class Rendezvous:
    """The order of places for a key. Never changes.

    Args:
        identities: The ids, in the order of the places; at least one.
        weights: Their weights, finite and above 0.
    """

    __slots__ = ("_hashes", "_per_weight")

    def __init__(self, identities: Sequence[str], weights: Sequence[float]) -> None:
        self._hashes = Lanes(identities).hashes
        # With equal weights the number itself gives the same order, without a logarithm.
        self._per_weight = None if len(set(weights)) == 1 else [_inverse(weight) for weight in weights]

    def _scores(self, hashed: int) -> Sequence[float]:
        numbers = self._hashes(hashed)
        if self._per_weight is None:
            return numbers
        return [(log(number) - _LOG_WORD) * inverse for number, inverse in zip(numbers, self._per_weight, strict=True)]

    def first(self, hashed: int) -> int:
        """The key's first place."""
        scores = self._scores(hashed)
        return scores.index(max(scores))

    def order(self, hashed: int) -> Iterator[int]:
        """All places, the key's first one first."""
        scores = self._scores(hashed)
        return iter(sorted(range(len(scores)), key=scores.__getitem__, reverse=True))


def _inverse(weight: float) -> float:
    """1 / weight; infinite if that is too large for a float, which puts the place last."""
    return 1 / weight if weight > 1e-300 else float("inf")
