"""The caller's own body: whatever it raises belongs to the caller, and is never taken for a failure of the connection.

A body that reads a file may raise an OSError, as a socket does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from ...message import Content
from ..bodies import pieces, pieces_async

__all__ = ["CallersError", "callers_pieces", "callers_pieces_async"]


class CallersError(Exception):
    """Carries what the body raised.

    Attributes:
        error: That.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def callers_pieces(content: Content) -> Iterator[bytes]:
    """The pieces of a body that are not empty.

    Raises:
        CallersError: The body raised something.
    """
    try:
        for piece in pieces(content):
            if piece:
                yield piece
    except Exception as error:
        raise CallersError(error) from error


async def callers_pieces_async(content: Content) -> AsyncIterator[bytes]:
    """As `callers_pieces`, for async code."""
    try:
        async for piece in pieces_async(content):
            if piece:
                yield piece
    except Exception as error:
        raise CallersError(error) from error
