"""Request bodies that are streams, in both colours."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Generator

from ..message import Content

__all__ = ["pieces", "pieces_async"]


async def pieces_async(content: Content) -> AsyncGenerator[bytes]:
    """The pieces of a body. Plain iterables are taken too: making the next piece must then be quick."""
    if isinstance(content, bytes):
        yield content
    elif isinstance(content, AsyncIterable):
        async for piece in content:
            yield piece
    else:
        for piece in content:
            yield piece


def pieces(content: Content) -> Generator[bytes]:
    """The pieces of a body.

    Raises:
        TypeError: The body is an async iterable.
    """
    if isinstance(content, bytes):
        yield content
    elif isinstance(content, AsyncIterable):
        raise TypeError("an async iterable cannot be sent by the sync client\nNext: use AsyncClient, or give bytes.")
    else:
        yield from content
