"""Calls of one key keep to one tier and one route, in every process.

Both come from a hash of the key, and of nothing that a process invents. A key has a fixed point on the line on which
the tiers share the load: when the first tier gets a smaller part, only the keys above its new end move, and they come
back when it recovers. Among the routes of a tier the order is weighted rendezvous: a change of one weight moves only
keys that come to this route, or leave it.
"""

from __future__ import annotations

from hashlib import blake2b
from math import log
from struct import unpack

__all__ = ["RouteHash", "point_of"]

_POINT = b"directlane tier"


def point_of(key: bytes) -> float:
    """The key's place on the line from 0 to 100, 100 excluded."""
    (word,) = unpack("<Q", blake2b(key, digest_size=8, person=_POINT).digest())
    # 53 bits are what a float holds: with more, the largest would be rounded up to 100.
    return float(word >> 11) / 2.0**53 * 100.0


class RouteHash:
    """What a route draws for a key. Divided by the route's weight, the least comes first.

    Args:
        name: The route's name: what is written in the configuration, so it is the same everywhere.
    """

    __slots__ = ("_hasher",)

    def __init__(self, name: str) -> None:
        # A hash of the name as key of the hash: no name and key run into each other.
        seed = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=32).digest()
        self._hasher = blake2b(digest_size=8, key=seed)

    def ring(self, key: bytes) -> float:
        """-ln(u), with u above 0 and below 1 from the hash of name and key."""
        hasher = self._hasher.copy()
        hasher.update(key)
        (word,) = unpack("<Q", hasher.digest())
        return -log(((word >> 12) + 0.5) / 2.0**52)
