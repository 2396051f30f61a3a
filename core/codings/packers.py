"""Packs request bodies. Each packer is one function from bytes to bytes, the same bytes for the same input.

An empty body stays empty: there is nothing to unpack.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Literal, TypeAlias, cast

from .libraries import need, zstd_packer

__all__ = ["PackKind", "Packer", "packer"]

PackKind: TypeAlias = Literal["gzip", "zlib", "zstd", "lz4_frame", "lz4_block", "snappy"]
"""How a request body can be packed."""

Packer: TypeAlias = Callable[[bytes], bytes]

_LEVEL = 6
"""Of gzip and zlib: the default of the library, in C as in Java and Go."""


def packer(kind: PackKind) -> Packer:
    """The function that packs.

    `lz4_block` and `snappy` are the bare formats: no frame and no length in front, as the vendors' SDKs send them.

    Raises:
        ValueError: The library is not installed; the text names the extra.
    """
    pack = _packer(kind)
    return lambda content: pack(content) if content else content


def _packer(kind: PackKind) -> Packer:
    match kind:
        case "gzip":
            # No time in the head: the same body is packed into the same bytes, and so into the same digest.
            return lambda content: gzip.compress(content, _LEVEL, mtime=0)
        case "zlib":
            return lambda content: zlib.compress(content, _LEVEL)
        case "zstd":
            return zstd_packer()
        case "lz4_frame":
            frame = need(kind)
            return lambda content: cast("bytes", frame.compress(content, content_checksum=True))
        case "lz4_block":
            block = need(kind)
            return lambda content: cast("bytes", block.compress(content, store_size=False))
        case "snappy":
            snappy = need(kind).snappy
            return lambda content: bytes(snappy.compress_raw(content))
