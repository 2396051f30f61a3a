"""The door: what the transports of httpx and httpx2 do with a request. Knows neither library."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import cast

from ...message import Content
from ..door_words import DoorErrors, DoorRequest, DoorWords
from .service import AsyncService
from .stream import AsyncReplyStream

__all__ = ["AsyncDoor", "AsyncDoorStream"]


class AsyncDoor:
    """Sends requests of an HTTP library to the instances of one service.

    Args:
        service: Where requests go.
        errors: The library's error classes.
    """

    __slots__ = ("_service", "words")

    def __init__(self, service: AsyncService, errors: DoorErrors) -> None:
        self._service = service
        self.words = DoorWords(service.name, errors)

    async def send(self, request: DoorRequest) -> AsyncReplyStream:
        """The answer, whose body may still be on the wire. Raises the library's errors."""
        options, is_streamed = self.words.options(request)
        content: Content
        if is_streamed:
            content = cast("AsyncIterable[bytes]", request.stream)
        else:
            content = await request.aread()
        try:
            return await self._service.open_stream(content, **options)
        except Exception as error:
            raise self.words.error(error, request) from error


class AsyncDoorStream:
    """The body of an answer. A subclass adds the library's own type."""

    def __init__(self, reply: AsyncReplyStream, request: DoorRequest, words: DoorWords) -> None:
        self._reply = reply
        self._request = request
        self._words = words

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._reply.aiter_bytes():
                yield piece
        except Exception as error:
            raise self._words.error(error, self._request) from error

    async def aclose(self) -> None:
        await self._reply.aclose()
