# Made by tools/unasync.py from core/client/_async/door.py. Change that file, then run the tool.
"""The door: what the transports of httpx and httpx2 do with a request. Knows neither library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from ...message import Content
from ..door_words import DoorErrors, DoorRequest, DoorWords
from .service import Service
from .stream import ReplyStream

__all__ = ["Door", "DoorStream"]


class Door:
    """Sends requests of an HTTP library to the instances of one service.

    Args:
        service: Where requests go.
        errors: The library's error classes.
    """

    __slots__ = ("_service", "words")

    def __init__(self, service: Service, errors: DoorErrors) -> None:
        self._service = service
        self.words = DoorWords(service.name, errors)

    def send(self, request: DoorRequest) -> ReplyStream:
        """The answer, whose body may still be on the wire. Raises the library's errors."""
        options, is_streamed = self.words.options(request)
        content: Content
        if is_streamed:
            content = cast("Iterable[bytes]", request.stream)
        else:
            content = request.read()
        try:
            return self._service.open_stream(content, **options)
        except Exception as error:
            raise self.words.error(error, request) from error


class DoorStream:
    """The body of an answer. A subclass adds the library's own type."""

    def __init__(self, reply: ReplyStream, request: DoorRequest, words: DoorWords) -> None:
        self._reply = reply
        self._request = request
        self._words = words

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._reply.iter_bytes():
                yield piece
        except Exception as error:
            raise self._words.error(error, self._request) from error

    def close(self) -> None:
        self._reply.close()
