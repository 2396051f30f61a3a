"""When the first event of a streamed answer is there, and whether it says that the answer failed. Without I/O.

Until then the call may still go elsewhere: the caller has seen nothing. The events of `text/event-stream` are read as
the HTML standard says (9.2.6); of every other answer the first piece is the first event. A comment is no event: servers
send comments while they have nothing to say.
"""

from __future__ import annotations

import json
import re
from typing import cast

from ..message import Headers, header

__all__ = ["FirstEvent"]

_LONGEST = 64 * 1024
"""Bytes that are held back at most. A first event that is longer is handed on unread: it is no error text."""

_BLANK_LINE = re.compile(rb"(?>\r\n|\r|\n)(?>\r\n|\r|\n)")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


class FirstEvent:
    """Looks at the pieces of one answer until its first event is there.

    Mutable state: all of it changes in `feed`.

    Attributes:
        is_there: Whether it is.
        fault: What is wrong, if the first event says so; None if nothing. Never quotes the answer.
    """

    __slots__ = ("_is_event_stream", "_text", "fault", "is_there")

    def __init__(self, headers: Headers) -> None:
        media_type = (header(headers, "content-type") or "").partition(";")[0].strip().lower()
        coding = (header(headers, "content-encoding") or "identity").strip().lower()
        # What is still compressed cannot be read here.
        self._is_event_stream = media_type == "text/event-stream" and coding == "identity"
        self._text = b""
        self.is_there: bool = False
        self.fault: str | None = None

    def feed(self, piece: bytes) -> None:
        """One more piece that is not empty."""
        if not self._is_event_stream:
            self.is_there = True
            return
        self._text += piece
        while (end := _BLANK_LINE.search(self._text)) is not None:
            block, self._text = self._text[: end.start()], self._text[end.end() :]
            if self._is_event(block.removeprefix(_BOM)):
                self.is_there = True
                self._text = b""
                return
        self.is_there = len(self._text) > _LONGEST

    def _is_event(self, block: bytes) -> bool:
        name = b""
        data: list[bytes] = []
        for line in _LINE_END.split(block):
            field, _, value = line.partition(b":")
            if field == b"event":
                name = value.removeprefix(b" ")
            elif field == b"data":
                data.append(value.removeprefix(b" "))
        if name == b"error":
            self.fault = "the first event of the stream is an error"
        elif data and _has_error(b"\n".join(data)):
            self.fault = 'the first event of the stream has an "error"'
        return self.fault is not None or bool(data)


def _has_error(data: bytes) -> bool:
    """Whether it is a JSON object with a top-level `error` that says something."""
    if b'"error"' not in data:
        return False
    try:
        value: object = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and bool(cast("dict[str, object]", value).get("error"))
