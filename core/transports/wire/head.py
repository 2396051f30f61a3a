"""The head of a request as bytes, and what must not stand in it. No I/O."""

from __future__ import annotations

from typing import NamedTuple

from ...endpoint import Endpoint
from ...errors import InvalidRequestError
from ...message import Content, Headers
from ...syntax import check_method, check_target, header_line

__all__ = ["Head", "HeadMaker"]

# These belong to the connection, which is ours.
_OURS = frozenset({"connection", "keep-alive", "host", "transfer-encoding", "upgrade", "te", "trailer", "expect"})

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"})
"""Without a body, these say nothing of its length."""


class Head:
    """A request head that is ready to be sent.

    Attributes:
        data: The bytes, up to and with the empty line.
        length: Length of the body; None: it is sent in chunks.
        is_head: Whether the method is HEAD, whose answers have no body.
    """

    __slots__ = ("data", "is_head", "length")

    def __init__(self, data: bytes, length: int | None, *, is_head: bool) -> None:
        self.data: bytes = data
        self.length: int | None = length
        self.is_head: bool = is_head


class _Start(NamedTuple):
    """A head but for its framing, and what it was made from.

    Attributes:
        data: The bytes, up to and with the last of the caller's fields.
        declared: The length that the fields declare; None if they declare none.
        has_body: Whether an empty body is announced as well: requests of this method usually have one.
    """

    method: str
    target: str
    headers: Headers
    data: bytes
    declared: int | None
    has_body: bool


class HeadMaker:
    """Makes the heads for one endpoint.

    Most calls differ from the last one in their body alone: all but the framing of their head is there. A signed call
    has some fields of its own beside fields that stay: the lines of those are there.
    """

    __slots__ = ("_host", "_lines", "_start")

    def __init__(self, endpoint: Endpoint) -> None:
        self._host = f" HTTP/1.1\r\nHost: {endpoint.host_field}\r\n"
        # Each is replaced as a whole, so that a thread never sees the fields of one call with the bytes of another.
        self._start = _Start("", "", (), b"", None, has_body=False)
        self._lines: dict[tuple[str, str], str] = {}

    def make(self, method: str, target: str, headers: Headers, content: Content) -> Head:
        """The head of one request.

        Raises:
            InvalidRequestError: Method, target or a header field cannot be sent.
        """
        start = self._start
        if headers is not start.headers or target != start.target or method != start.method:
            start = self._start = self._started(method, target, headers)
        length = len(content) if isinstance(content, bytes) else start.declared
        if length is None:
            data = start.data + b"Transfer-Encoding: chunked\r\n\r\n"
        elif length or start.has_body:
            data = b"%bContent-Length: %d\r\n\r\n" % (start.data, length)
        else:
            data = start.data + b"\r\n"
        return Head(data, length, is_head=method == "HEAD")

    def _started(self, method: str, target: str, headers: Headers) -> _Start:
        check_target(target)
        check_method(method)
        known = self._lines
        lines: dict[tuple[str, str], str] = {}
        declared: int | None = None
        block = ""
        for field in headers:
            line = known.get(field)
            if line is None:
                name = field[0].lower()
                if name in _OURS:
                    continue
                if name == "content-length":
                    declared = _declared(field[1])
                    continue
                line = header_line(*field)
            lines[field] = line
            block += line
        self._lines = lines
        data = f"{method} {target}{self._host}{block}".encode("latin-1")
        return _Start(method, target, headers, data, declared, method not in _BODILESS)


def _declared(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 18):
        raise InvalidRequestError("header 'Content-Length' is not a number")
    return int(value)
