"""Unpacking: what the libraries packed, in pieces of any size; what is broken; what stands for too much."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directlane.core.codings.decoders import BodyDecoder, CodingError

zstandard = pytest.importorskip("zstandard", reason="zstd: pip install 'directlane[zstd]'")


def _raw_deflate(data: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-15)
    return packing.compress(data) + packing.flush()


def _zstd(data: bytes) -> bytes:
    return bytes(zstandard.compress(data))


PACKS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "zlib": ("deflate", zlib.compress),
    "raw": ("deflate", _raw_deflate),
    "zstd": ("zstd", _zstd),
}

BOTH = pytest.mark.parametrize("name", list(PACKS))


def unpacked(codings: tuple[str, ...], packed: bytes, step: int = 1 << 20, limit: int | None = None) -> bytes:
    decoder = BodyDecoder(codings, limit)
    pieces = [
        piece for start in range(0, len(packed), step) for piece in decoder.feed(packed[start : start + step]) if piece
    ]
    decoder.end()
    return b"".join(pieces)


@BOTH
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=3000), step=st.integers(1, 700))
def test_what_was_packed_comes_back_in_pieces_of_any_size(name: str, data: bytes, step: int) -> None:
    coding, pack = PACKS[name]
    assert unpacked((coding,), pack(data), step) == data


@BOTH
@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 131_072, 1_000_000])
def test_bodies_around_the_size_of_a_piece(name: str, size: int) -> None:
    coding, pack = PACKS[name]
    for data in (b"\0" * size, os.urandom(size), b"abcdefgh" * (size // 8)):
        assert unpacked((coding,), pack(data)) == data


@pytest.mark.parametrize("name", ["gzip", "zstd"])
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_bodies_of_several_members_are_one_body(name: str, step: int) -> None:
    coding, pack = PACKS[name]
    assert unpacked((coding,), pack(b"one") + pack(b"") + pack(b"two"), step) == b"onetwo"


def test_zeros_behind_a_gzip_body_are_padding() -> None:
    assert unpacked(("gzip",), gzip.compress(b"x") + b"\0" * 20, 3) == b"x"


@BOTH
def test_a_body_that_ends_in_the_middle_is_an_error(name: str) -> None:
    coding, pack = PACKS[name]
    packed = pack(os.urandom(500))
    for length in range(1, len(packed)):
        with pytest.raises(CodingError, match="ends in the middle"):
            unpacked((coding,), packed[:length])


@pytest.mark.parametrize("name", ["gzip", "zlib", "raw"])
def test_bytes_behind_the_end_are_an_error(name: str) -> None:
    coding, pack = PACKS[name]
    with pytest.raises(CodingError):
        unpacked((coding,), pack(b"x" * 100) + b"surplus")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
@settings(max_examples=150, deadline=None)
@given(data=st.binary(min_size=1, max_size=300), step=st.integers(1, 50))
def test_any_bytes_are_decoded_or_refused(coding: str, data: bytes, step: int) -> None:
    with suppress(CodingError):
        unpacked((coding,), data, step, limit=1_000_000)


@BOTH
def test_a_bomb_is_stopped_and_its_pieces_stay_small(name: str) -> None:
    coding, pack = PACKS[name]
    bomb = pack(b"\0" * 100_000_000)
    decoder = BodyDecoder((coding,), 1_000_000)
    sizes: list[int] = []
    with pytest.raises(CodingError, match="max_decoded_bytes"):
        sizes.extend(len(piece) for piece in decoder.feed(bomb))
    assert sum(sizes) <= 1_000_000


def test_a_bomb_inside_another_coding_is_stopped() -> None:
    nested = gzip.compress(gzip.compress(b"\0" * 50_000_000))
    with pytest.raises(CodingError, match="max_decoded_bytes"):
        unpacked(("gzip", "gzip"), nested, limit=1_000_000)


def test_codings_are_undone_in_reverse_order() -> None:
    assert unpacked(("deflate", "gzip"), gzip.compress(zlib.compress(b"body")), 2) == b"body"


def test_a_body_exactly_at_the_limit_is_taken() -> None:
    assert unpacked(("gzip",), gzip.compress(b"x" * 1000), limit=1000) == b"x" * 1000


def test_a_zstd_window_that_is_too_large_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    packing = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = packing.compress(os.urandom(300_000)) + packing.flush()
    with pytest.raises(CodingError, match="zstd"):
        unpacked(("zstd",), packed)
