"""The libraries behind the codings that Python itself does not bring: imported when first needed, each an extra."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, cast

__all__ = ["MissingLibraryError", "Unzstd", "need", "zstd_decompressor", "zstd_packer"]

_WINDOW_LOG = 23
"""A zstd body may ask for a window of 8 MiB, as RFC 9659 has it for the web; more is refused."""


class MissingLibraryError(ValueError):
    """A library is not installed. The text names the extra that brings it."""


class _Library(NamedTuple):
    extra: str
    modules: tuple[str, ...]


_LIBRARIES = {
    "zstd": _Library("zstd", ("compression.zstd", "zstandard")),
    "lz4_frame": _Library("lz4", ("lz4.frame",)),
    "lz4_block": _Library("lz4", ("lz4.block",)),
    "snappy": _Library("snappy", ("cramjam",)),
}


class Unzstd(Protocol):
    """What unpacks one zstd frame."""

    @property
    def eof(self) -> bool:
        """Whether the frame is complete."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What came behind the frame."""
        ...

    def decompress(self, data: bytes, /) -> bytes:
        """What these bytes give."""
        ...


def need(coding: str) -> Any:
    """The library for a coding: the first one that is there.

    Raises:
        MissingLibraryError: None is.
    """
    library = _LIBRARIES[coding]
    for name in library.modules:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise MissingLibraryError(
        f"{coding!r} needs a package that is not installed: pip install 'directlane[{library.extra}]'"
    )


def zstd_decompressor() -> tuple[Callable[[], Unzstd], type[Exception]]:
    """What makes the unpacker of a frame, and the error that it raises.

    Raises:
        MissingLibraryError: There is no library for zstd.
    """
    library = need("zstd")
    if library.__name__ == "zstandard":
        context = library.ZstdDecompressor
        return lambda: cast("Unzstd", context(max_window_size=1 << _WINDOW_LOG).decompressobj()), library.ZstdError
    options = {library.DecompressionParameter.window_log_max: _WINDOW_LOG}
    return lambda: cast("Unzstd", library.ZstdDecompressor(options=options)), library.ZstdError


def zstd_packer() -> Callable[[bytes], bytes]:
    """What packs bytes into one zstd frame that tells its size. Default level of the library (3).

    Raises:
        MissingLibraryError: There is no library for zstd.
    """
    return cast("Callable[[bytes], bytes]", need("zstd").compress)
