"""Servers that unpack what they get, and pack what they answer."""

from __future__ import annotations

import gzip
import importlib
import zlib
from collections.abc import Callable, Mapping
from typing import cast

from directlane.core.codings.packers import PackKind
from directlane.core.emulation import Handler, ServerReply, ServerRequest, json_reply

__all__ = ["PACKED", "make_unpacking", "raw_deflate", "unpack"]

ROOM = 1 << 20
"""Bytes that an lz4 block may stand for: it does not say."""


def unpack(kind: PackKind, packed: bytes) -> bytes:
    """What the service does when it is told to unpack requests; by the libraries themselves."""
    match kind:
        case "gzip":
            return gzip.decompress(packed)
        case "zlib":
            return zlib.decompress(packed)
        case "zstd":
            return bytes(importlib.import_module("zstandard").decompress(packed))
        case "lz4_frame":
            return bytes(importlib.import_module("lz4.frame").decompress(packed))
        case "lz4_block":
            return bytes(importlib.import_module("lz4.block").decompress(packed, uncompressed_size=ROOM))
        case "snappy":
            return bytes(importlib.import_module("cramjam").snappy.decompress_raw(packed))


def make_unpacking(settings: Mapping[str, object]) -> Handler:
    """An application that unpacks each body and tells what it got."""
    kind = cast("PackKind", settings["kind"])

    def answer(request: ServerRequest) -> ServerReply:
        text = unpack(kind, request.content).decode()
        facts = {"text": text, "came": len(request.content), "coding": request.header("content-encoding")}
        return json_reply(facts)

    return answer


def raw_deflate(data: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-15)
    return packing.compress(data) + packing.flush()


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "zlib": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "two codings": ("deflate, gzip", lambda data: gzip.compress(zlib.compress(data))),
    "identity and gzip": ("identity, GZIP", gzip.compress),
}
"""Ways to pack an answer: the value of Content-Encoding, and the function."""
