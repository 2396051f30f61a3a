"""Packing: the libraries unpack what we pack, and the same body is packed into the same bytes."""

from __future__ import annotations

import gzip
import importlib
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from typing import Any, get_args

import pytest

from directlane.core.codings.packers import PackKind, packer

BODY = b'[{"money_credit": 3000000}]' * 50 + os.urandom(1000)


def _library(name: str, extra: str) -> Any:
    return pytest.importorskip(name, reason=f"pip install 'directlane[{extra}]'")


def unpacker(kind: PackKind) -> Callable[[bytes], bytes]:
    match kind:
        case "gzip":
            return gzip.decompress
        case "zlib":
            return zlib.decompress
        case "zstd":
            return lambda data: bytes(_library("zstandard", "zstd").decompress(data))
        case "lz4_frame":
            return lambda data: bytes(_library("lz4.frame", "lz4").decompress(data))
        case "lz4_block":
            return lambda data: bytes(_library("lz4.block", "lz4").decompress(data, uncompressed_size=len(BODY)))
        case "snappy":
            return lambda data: bytes(_library("cramjam", "snappy").snappy.decompress_raw(data))


def available(kind: PackKind) -> Callable[[bytes], bytes]:
    try:
        return packer(kind)
    except ValueError as error:
        pytest.skip(str(error))


KINDS = pytest.mark.parametrize("kind", get_args(PackKind))


@KINDS
def test_the_library_unpacks_it(kind: PackKind) -> None:
    pack = available(kind)
    packed = pack(BODY)
    assert unpacker(kind)(packed) == BODY
    assert len(packed) < len(BODY)
    assert pack(BODY) == packed


@KINDS
def test_an_empty_body_stays_empty(kind: PackKind) -> None:
    assert available(kind)(b"") == b""


@pytest.mark.parametrize(
    ("kind", "extra"), [("zstd", "zstd"), ("lz4_frame", "lz4"), ("lz4_block", "lz4"), ("snappy", "snappy")]
)
def test_a_missing_library_is_told_with_its_extra(kind: PackKind, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, package: str | None = None) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ValueError, match=rf"{kind}.*directlane\[{extra}\]"):
        packer(kind)


def test_importing_directlane_imports_no_library() -> None:
    # httpx imports zstandard by itself, if it is there.
    late = ("lz4", "cramjam", "aiohttp")
    code = f"import directlane, sys; directlane.Client; print([name for name in {late} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
