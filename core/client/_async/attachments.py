"""What helpers keep for each endpoint: it lives as long as the endpoint is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, cast

__all__ = ["AsyncAttachments", "AsyncCloseable"]


class AsyncCloseable(Protocol):
    """Something that is closed at the end."""

    async def aclose(self) -> None:
        """Free what it holds."""
        ...


A = TypeVar("A", bound=AsyncCloseable)


class AsyncAttachments:
    """Things by place and owner.

    Mutable state: `_kept`. Its single steps are atomic; nothing is added to a place while it is dropped, because an
    endpoint is dropped only when nobody holds a lease on it.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[object, object], AsyncCloseable] = {}

    def get(self, place: object, owner: object, make: Callable[[], A]) -> A:
        """What `owner` keeps at `place`; made when it is asked for first. `make` does no I/O."""
        kept = self._kept.get((place, owner))
        if kept is None:
            # Of two threads that make one, one throws an unused one away.
            kept = self._kept.setdefault((place, owner), make())
        return cast("A", kept)  # one owner keeps one type

    def __len__(self) -> int:
        return len(self._kept)

    async def drop(self, place: object) -> None:
        """Close what is kept at this place."""
        for key in [key for key in list(self._kept) if key[0] is place]:
            kept = self._kept.pop(key, None)
            if kept is not None:
                await kept.aclose()

    async def aclose(self) -> None:
        """Close everything."""
        while self._kept:
            _, kept = self._kept.popitem()
            await kept.aclose()
