"""Reads answers: bytes go in, an answer comes out. No I/O.

The parser is llhttp, by way of `httptools`, in its strict mode. What it leaves open is decided here: how long a head,
a trailer and a body may be, that a HEAD answer has no body, that `chunked` is the only transfer coding, that a body
without framing ends with the connection, that interim answers are skipped, and that bytes behind an answer make the
connection unfit for another one.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import httptools

from ...message import Headers

__all__ = ["BadAnswerError", "ResponseReader", "hinted_end"]

_HINT = re.compile(r"(?:^|[,;\s])timeout=(\d{1,9})", re.IGNORECASE)
_MARGIN = 0.5


class BadAnswerError(Exception):
    """The bytes are no HTTP/1.1 answer, or one that is not taken."""


@dataclass(slots=True)
class _Known:
    """The head of an answer, and what the parser made of it."""

    head: bytes
    body_bytes: int
    status: int
    headers: Headers
    keep_alive_hint: str | None


class ResponseReader:
    """Reads the answers of one connection, one after the other.

    Mutable state: all of it, changed by `begin`, `feed` and `end`; the `on_...` methods are the parser's.

    Attributes:
        status: HTTP status code of the answer; 0 before its head is complete.
        headers: Its header fields; empty before its head is complete.
        has_head: Whether the head is complete.
        is_complete: Whether the answer is complete.
        has_begun: Whether any byte of the answer came.
        body_bytes: How many bytes of the body came.
    """

    __slots__ = (
        "_fields",
        "_has_framing",
        "_has_surplus",
        "_head_bytes",
        "_is_chunked",
        "_is_head_method",
        "_is_interim",
        "_keeps_alive",
        "_known",
        "_left",
        "_length",
        "_max_body",
        "_max_head",
        "_needs_parser",
        "_parser",
        "_pieces",
        "_quiet_bytes",
        "_trailer_bytes",
        "body_bytes",
        "has_begun",
        "has_head",
        "headers",
        "is_complete",
        "keep_alive_hint",
        "status",
    )

    def __init__(self, max_head: int) -> None:
        self._max_head = max_head
        self._needs_parser = True
        self._pieces: list[bytes] = []
        self._known: _Known | None = None
        self._parser: httptools.HttpResponseParser
        self.begin(is_head=False)
        self._begin_parsing()

    def begin(self, *, is_head: bool, max_body: float = math.inf) -> None:
        """Get ready for the answer to the next request, whose body may have `max_body` bytes."""
        self._is_head_method = is_head
        self._max_body = max_body
        if self._pieces:
            self._pieces = []
        self.status: int = 0
        self.headers: Headers = ()
        self.has_begun: bool = False
        self.has_head: bool = False
        self.is_complete: bool = False

    def _begin_parsing(self) -> None:
        """Get ready what only an answer needs whose head is not that of the last one."""
        if self._needs_parser:
            self._parser = httptools.HttpResponseParser(self)
            self._needs_parser = False
        self._fields: list[tuple[str, str]] = []
        self._head_bytes = 0
        self._quiet_bytes = 0
        self._trailer_bytes = 0
        self.body_bytes: int = 0
        self._has_framing = False
        self._has_surplus = False
        self._length = 0
        self._left = 0
        self._is_chunked = False
        self._is_interim = False
        self._keeps_alive = False
        self.keep_alive_hint: str | None = None

    def feed(self, data: bytes) -> None:
        """Take in what came.

        Raises:
            BadAnswerError: It cannot be the answer.
        """
        if self.has_begun:
            self._feed(data)
        else:
            self.has_begun = True
            if not self._recall(data):
                self._begin_parsing()
                self._feed(data)
                self._remember(data)

    def _feed(self, data: bytes) -> None:
        if self.is_complete:
            self._has_surplus = True
        elif self._left:
            self._take_body(data)
        elif self.has_head:
            before = self.body_bytes
            self._parse(data)
            if self.body_bytes != before:
                self._quiet_bytes = 0
            elif not self.is_complete:
                self._quiet_bytes += len(data)
                if self._quiet_bytes > self._max_head:
                    raise BadAnswerError(f"more than {self._max_head} bytes that are no body, behind the head")
        elif len(data) <= self._max_head - self._head_bytes:
            self._head_bytes += len(data)
            self._parse(data)
            if self.has_head and not self.is_complete:
                self._leave_parser()
        else:
            # The limit lies within these bytes: the head must end before it, however the bytes were cut on their way.
            left = self._max_head - self._head_bytes
            self._head_bytes = self._max_head
            self._parse(data[:left])
            if not self.has_head:
                raise BadAnswerError(f"a head of more than {self._max_head} bytes")
            self._feed(data[left:])

    def _recall(self, data: bytes) -> bool:
        """Take in an answer whose head is, byte for byte, that of the last one: the same bytes mean the same.

        Most answers of one instance differ in their body alone, and the parser with its callbacks is the dearest part
        of reading one.
        """
        known = self._known
        if known is None or self._is_head_method or not data.startswith(known.head):
            return False
        length = len(data) - len(known.head)
        left = known.body_bytes - length
        if left < 0 or known.body_bytes > self._max_body:
            return False
        self.status = known.status
        self.headers = known.headers
        self.keep_alive_hint = known.keep_alive_hint
        self.body_bytes = length
        self._left = left
        self.has_head = self._has_framing = self._keeps_alive = True
        self._has_surplus = False
        self.is_complete = not left
        if length:
            self._pieces.append(data[-length:])
        return True

    def _remember(self, data: bytes) -> None:
        """Remember a head that came as a whole, if the length of what follows is known and the connection stays."""
        is_plain = self.has_head and not (self._is_chunked or self._is_head_method or self._has_surplus)
        if is_plain and self._keeps_alive and (self.is_complete or self._left):
            head = data[: len(data) - self.body_bytes]
            length = self.body_bytes + self._left
            self._known = _Known(head, length, self.status, self.headers, self.keep_alive_hint)
        else:
            self._known = None

    def _leave_parser(self) -> None:
        """The rest of a body of known length needs no parser, which would copy every piece."""
        if self._length > self.body_bytes and not self._is_chunked:
            self._left = self._length - self.body_bytes
            self._keeps_alive = self._parser.should_keep_alive()
            self._needs_parser = True
            if self._length > self._max_body:
                raise BadAnswerError(f"a body of more than {self._max_body} bytes")

    def _take_body(self, data: bytes) -> None:
        size = len(data)
        if size > self._left:
            self._has_surplus = True
            data = data[: self._left]
            size = self._left
        self._pieces.append(data)
        self.body_bytes += size
        self._left -= size
        self.is_complete = not self._left

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            # What a method below raised. It may be an interrupt that came just then: that is not swallowed.
            self._needs_parser = True
            raise error.__context__ or error from None
        except httptools.HttpParserUpgrade:
            self._needs_parser = True
            if not self.is_complete:
                raise BadAnswerError("an upgrade to another protocol that was not asked for") from None
            self._has_surplus = True
        except httptools.HttpParserError as error:
            self._needs_parser = True
            if not self.is_complete:
                raise BadAnswerError(f"no HTTP/1.1 answer: {error}") from None
            self._has_surplus = True

    def end(self) -> None:
        """The connection has ended.

        Raises:
            BadAnswerError: The answer is not complete.
        """
        if self.is_complete:
            return
        if not self.has_head or self._has_framing:
            raise BadAnswerError("the connection was closed before the answer was complete")
        self.is_complete = True

    @property
    def is_reusable(self) -> bool:
        """Whether the connection can carry another request: the answer ended cleanly, and nothing came behind it."""
        return self.is_complete and self._keeps_alive and not self._has_surplus

    def take(self) -> list[bytes]:
        """The pieces of the body that came since the last time."""
        pieces = self._pieces
        self._pieces = []
        return pieces

    def whole(self) -> bytes:
        """The body of an answer that is complete and of which nothing was taken."""
        pieces = self._pieces
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return content

    # --- the parser's -------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Another message begins."""
        if self.is_complete:
            self._has_surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header field (or, behind a chunked body, a trailer field)."""
        size = len(name)
        if self.has_head:
            self._trailer_bytes += size + len(value) + 4
            if self._trailer_bytes > self._max_head and not self.is_complete:
                raise BadAnswerError(f"a trailer of more than {self._max_head} bytes")
            return
        if size == 14 and name.lower() == b"content-length":
            self._has_framing = value != b"0"
            self._length = int(value)
        elif size == 17 and name.lower() == b"transfer-encoding":
            if self._has_framing or value.lower() != b"chunked":
                raise BadAnswerError("a transfer coding other than chunked")
            self._has_framing = self._is_chunked = True
        elif size == 10 and name.lower() == b"keep-alive":
            self.keep_alive_hint = value.decode("latin-1")
        self._fields.append((name.decode("latin-1"), value.decode("latin-1").rstrip(" \t")))

    def on_headers_complete(self) -> None:
        """The head is complete."""
        if self.is_complete:
            return
        status = self._parser.get_status_code()
        if self._parser.get_http_version() not in ("1.1", "1.0") or not 100 <= status <= 999:
            raise BadAnswerError("a version or status that HTTP/1.1 does not know")
        if status < 200:
            # An interim answer; the real one follows.
            self._is_interim = True
            return
        self.status = status
        self.headers = tuple(self._fields)
        self.has_head = True
        if self._is_head_method:
            # The parser would wait for the body that the head announces: it is not used again.
            self._keeps_alive = self._parser.should_keep_alive()
            self._needs_parser = True
            self.is_complete = True

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        if self.is_complete:
            self._has_surplus = True
        else:
            self.body_bytes += len(data)
            if self.body_bytes > self._max_body:
                raise BadAnswerError(f"a body of more than {self._max_body} bytes")
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        """The message is complete."""
        if self._is_interim:
            self._is_interim = False
            self._has_framing = self._is_chunked = False
            self._length = 0
            self._fields = []
            self.keep_alive_hint = None
        elif not self.is_complete:
            # A 204 that announces a body: whether one follows is anybody's guess.
            is_doubtful = self.status == 204 and self._has_framing
            self._keeps_alive = self._parser.should_keep_alive() and not is_doubtful
            self.is_complete = True


def hinted_end(hint: str, now: float) -> float:
    """When a server that sends `Keep-Alive: timeout=N` will close the connection, with a margin for the way."""
    match = _HINT.search(hint)
    return now + int(match[1]) - _MARGIN if match else math.inf
