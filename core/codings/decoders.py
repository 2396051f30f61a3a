"""Unpacks compressed bodies piece by piece. No I/O.

Whatever comes in, a decoder gives pieces of bounded size: the memory that a few bytes can claim (a "bomb") is bounded
before they are counted.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Protocol

from .libraries import Unzstd, zstd_decompressor

__all__ = ["DECODERS", "BodyDecoder", "CodingError", "Decoder"]

_PIECE = 64 * 1024
_ZSTD_SLICE = 256
"""Four bytes of zstd can stand for 128 KiB, and its libraries give all at once: few bytes go in at a time."""


class CodingError(Exception):
    """The bytes are not what the coding says, or stand for more than is taken."""


class Decoder(Protocol):
    """Undoes one coding."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What these bytes stand for. Run it to its end.

        Raises:
            CodingError: They are no such thing.
        """
        ...

    def end(self) -> None:
        """No more bytes come.

        Raises:
            CodingError: The body is not complete.
        """
        ...


class _Inflate(Protocol):
    """What `zlib.decompressobj` makes; its class has no public name."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gzip:
    """Members of gzip, one behind the other (RFC 1952). Zero bytes behind the last are padding."""

    def __init__(self) -> None:
        self._inflate: _Inflate = zlib.decompressobj(31)
        self._is_whole = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while True:
            if self._is_whole:
                data = data.lstrip(b"\0")
                if not data:
                    return
                self._inflate = zlib.decompressobj(31)
                self._is_whole = False
            out = _inflated(self._inflate, data)
            if out:
                yield out
            if self._inflate.eof:
                self._is_whole = True
                data = self._inflate.unused_data
                continue
            data = self._inflate.unconsumed_tail
            # A full piece: there may be more, even when all input was taken.
            if not data and len(out) < _PIECE:
                return

    def end(self) -> None:
        if not self._is_whole:
            raise CodingError("the gzip body ends in the middle")


class _Deflate:
    """`deflate` is zlib (RFC 1950) by the book, and raw deflate (RFC 1951) with some servers: the start tells."""

    def __init__(self) -> None:
        self._start = b""
        self._inflate: _Inflate | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        inflate = self._inflate
        if inflate is None:
            data = self._start + data
            self._start = data
            if len(data) < 2:
                return
            # No raw stream that an encoder makes begins like a zlib head: its first block would be a stored one with
            # padding that is not zero.
            is_zlib = data[0] & 15 == 8 and (data[0] << 8 | data[1]) % 31 == 0
            inflate = self._inflate = zlib.decompressobj(15 if is_zlib else -15)
        while True:
            out = _inflated(inflate, data)
            if out:
                yield out
            if inflate.unused_data:
                raise CodingError("there are bytes behind the end of the deflate body")
            data = inflate.unconsumed_tail
            if inflate.eof or (not data and len(out) < _PIECE):
                return

    def end(self) -> None:
        if self._inflate is None or not self._inflate.eof:
            raise CodingError("the deflate body ends in the middle")


class _Zstd:
    """Frames of zstd, one behind the other (RFC 8878)."""

    def __init__(self) -> None:
        self._make, self._error = zstd_decompressor()
        self._frame: Unzstd | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _ZSTD_SLICE):
            rest = data[start : start + _ZSTD_SLICE]
            while rest:
                if self._frame is None:
                    self._frame = self._make()
                try:
                    out = self._frame.decompress(rest)
                except self._error as error:
                    raise CodingError(f"the zstd body is broken: {error}") from None
                if out:
                    yield out
                rest = b""
                if self._frame.eof:
                    rest = self._frame.unused_data
                    self._frame = None

    def end(self) -> None:
        if self._frame is not None:
            raise CodingError("the zstd body ends in the middle")


DECODERS: dict[str, type[_Gzip | _Deflate | _Zstd]] = {
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
    "zstd": _Zstd,
}
"""By the name of the coding, lower case."""


class BodyDecoder:
    """Undoes the codings of one body.

    Args:
        codings: In the order in which they were applied; each a key of `DECODERS`.
        limit: Bytes that the body may stand for, after any of its codings. None: any.
    """

    def __init__(self, codings: Sequence[str], limit: int | None) -> None:
        self._decoders: list[Decoder] = [DECODERS[coding]() for coding in reversed(codings)]
        self._counts = [0] * len(self._decoders)
        self._limit = limit
        self._has_begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What these bytes stand for. Run it to its end.

        Raises:
            CodingError: The body is broken, or too long.
        """
        if not data:
            return iter(())
        self._has_begun = True
        return self._through(0, data)

    def end(self) -> None:
        """The body is over. One without a single byte is well: an answer to HEAD has none.

        Raises:
            CodingError: It is not complete.
        """
        if self._has_begun:
            for decoder in self._decoders:
                decoder.end()

    def _through(self, place: int, data: bytes) -> Iterator[bytes]:
        for piece in self._decoders[place].feed(data):
            self._counts[place] += len(piece)
            if self._limit is not None and self._counts[place] > self._limit:
                raise CodingError(f"the body stands for more than {self._limit} bytes (setting `max_decoded_bytes`)")
            if place + 1 == len(self._decoders):
                yield piece
            else:
                yield from self._through(place + 1, piece)


def _inflated(inflate: _Inflate, data: bytes) -> bytes:
    try:
        return inflate.decompress(data, _PIECE)
    except zlib.error as error:
        raise CodingError(f"the compressed body is broken: {error}") from None
