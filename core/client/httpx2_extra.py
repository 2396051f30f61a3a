"""Says how to get httpx2 where it is missing."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["needs_httpx2"]


@contextmanager
def needs_httpx2() -> Generator[None]:
    """Around an import that needs httpx2.

    Raises:
        ImportError: It is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "httpx2":
            raise
        raise ImportError(
            "the httpx2 door needs the package httpx2\nNext: pip install 'directlane[httpx2]'.", name="httpx2"
        ) from error
