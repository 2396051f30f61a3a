"""The hash functions of `consistent_hash`. They are part of its interface: another function would move every key.

Nothing here depends on the process, the machine, the version of Python or `PYTHONHASHSEED`.

Two kinds, for two speeds:

- A **key** is hashed at each pick: CRC-32, then two rounds of multiplication. CRC-32 is the fastest function that the
  standard library has (33 ns for a short key; BLAKE2b takes 320 ns, MD5 360 ns, on one machine). Alone it is too
  regular, and the multiplications see to that. It does not resist somebody who builds keys on purpose; against a
  crowd on one endpoint stands the bound on the load, since the same key over and over does as much harm.
- An **identity** is hashed when a picker is built: BLAKE2b, which leaves no room for doubt.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import blake2b
from zlib import crc32

__all__ = ["WORD", "Lanes", "identity_points", "identity_words", "key_hash", "mixed"]

WORD = 2**32
"""Hashes are below this."""

# Odd numbers with an even mixture of bits: 2**32 over the golden ratio, and a constant of MurmurHash3.
_FIRST = 0x9E3779B1
_SECOND = 0x85EBCA6B
_BLOCK = 16
"""So many numbers come from one longest hash of BLAKE2b."""

_SHIFT = 15
"""Of a product of two 32-bit numbers, the bits from here on depend on most bits of both."""


def key_hash(key: bytes) -> int:
    """The hash of a key, below 2**32. To be mixed before use: by `mixed` or by `Lanes`."""
    return crc32(key)


def mixed(hashed: int) -> int:
    """A key's hash without the regularity of CRC-32, below 2**32."""
    half = hashed * _FIRST >> _SHIFT & 0xFFFFFFFF
    return half * _SECOND >> _SHIFT & 0xFFFFFFFF


def identity_words(identity: str, count: int) -> tuple[int, ...]:
    """Numbers below 2**32 that belong to an identity. Another count gives other numbers.

    Args:
        identity: The endpoint's id.
        count: How many, 1 to 16.
    """
    return struct.unpack(f"<{count}I", blake2b(_text(identity), digest_size=4 * count).digest())


def identity_points(identity: str, count: int) -> tuple[int, ...]:
    """Numbers below 2**32 that belong to an identity, as many as wanted. A smaller count gives the first of them.

    Args:
        identity: The endpoint's id.
        count: How many, 1 or more.
    """
    text = _text(identity)
    blocks = range(-(-count // _BLOCK))
    numbers = b"".join([blake2b(text, salt=block.to_bytes(8, "little")).digest() for block in blocks])
    return struct.unpack_from(f"<{count}I", numbers)


def _text(identity: str) -> bytes:
    # `surrogatepass`: an id may come from JSON, which allows half a character.
    return identity.encode("utf-8", "surrogatepass")


class Lanes:
    """A hash of one key with each of many identities, all computed at once.

    The identities' numbers stand side by side in one large integer, 64 bits for each (a lane). An operation on that
    integer works on all lanes in C, so ten identities cost little more than one. A lane holds 32 bits between two
    steps and up to 64 within one, so no lane runs over into the next.

    Args:
        identities: The ids. May be none.
    """

    __slots__ = ("_before", "_between", "_even", "_low", "_ones", "_size", "_unpack")

    def __init__(self, identities: Sequence[str]) -> None:
        count = len(identities)
        words = [identity_words(identity, 2) for identity in identities]
        self._ones = _side_by_side([1] * count)
        self._low = _side_by_side([WORD - 1] * count)
        self._even = _side_by_side([WORD - 2] * count)
        self._before = _side_by_side([first for first, _ in words])
        self._between = _side_by_side([second for _, second in words])
        self._size = 8 * count
        self._unpack = struct.Struct(f"<{count}Q").unpack

    def distances(self, hashed: int) -> tuple[int, ...]:
        """For a key's hash, one even number from 0 to 2**32 - 2 for each identity, in their order. The least wins.

        Even, so that 1 - (distance + 1) / 2**32 is never 0: a logarithm is taken of it.
        """
        x = (self._before ^ hashed * self._ones) * _FIRST
        x = (x >> _SHIFT & self._low ^ self._between) * _SECOND
        return self._unpack((x >> _SHIFT & self._even ^ self._even).to_bytes(self._size, "little"))


def _side_by_side(words: Sequence[int]) -> int:
    return int.from_bytes(struct.pack(f"<{len(words)}Q", *words), "little")
