"""The head of a request as bytes, and what must not stand in it. No I/O."""

from __future__ import annotations

from ...endpoint import Endpoint
from ...errors import InvalidRequestError
from ...message import Content, Headers
from ...syntax import check_headers, check_method, check_target, is_clean_block

__all__ = ["Head", "HeadMaker"]

# These belong to the connection, which is ours.
_OURS = frozenset({"connection", "keep-alive", "host", "transfer-encoding", "upgrade", "te", "trailer", "expect"})


class Head:
    """A request head that is ready to be sent.

    Attributes:
        data: The bytes, up to and with the empty line.
        length: Length of the body; None: it is sent in chunks.
        is_head: Whether the method is HEAD, whose answers have no body.
    """

    __slots__ = ("data", "is_head", "length")

    def __init__(self, data: bytes, length: int | None, *, is_head: bool) -> None:
        self.data = data
        self.length = length
        self.is_head = is_head


class HeadMaker:
    """Makes the heads for one endpoint.

    The header fields of a call without fields of its own are the same tuple each time, so their block is made once.
    """

    __slots__ = ("_host", "_last")

    def __init__(self, endpoint: Endpoint) -> None:
        default = 443 if endpoint.scheme == "https" else 80
        name = endpoint.authority.removesuffix(f":{default}") if endpoint.port == default else endpoint.authority
        self._host = f" HTTP/1.1\r\nHost: {name}\r\n"
        # One reference, so that a thread never sees the fields of one call with the block of another.
        self._last: tuple[Headers, str, int | None] = ((), "", None)

    def make(self, method: str, target: str, headers: Headers, content: Content) -> Head:
        """The head of one request.

        Raises:
            InvalidRequestError: Method, target or a header field cannot be sent.
        """
        known, block, declared = self._last
        if headers is not known:
            block, declared = _block_of(headers)
            self._last = (headers, block, declared)
        if isinstance(content, bytes):
            length: int | None = len(content)
        else:
            length = declared
        if length is None:
            framing = "Transfer-Encoding: chunked\r\n\r\n"
        elif length or method not in ("GET", "HEAD", "OPTIONS", "DELETE", "TRACE"):
            framing = f"Content-Length: {length}\r\n\r\n"
        else:
            framing = "\r\n"
        check_target(target)
        check_method(method)
        data = f"{method} {target}{self._host}{block}{framing}".encode("latin-1")
        return Head(data, length, is_head=method == "HEAD")


def _block_of(headers: Headers) -> tuple[str, int | None]:
    kept = [pair for pair in headers if pair[0].lower() not in _OURS]
    length: int | None = None
    for name, value in kept:
        if name.lower() == "content-length":
            if not (value.isascii() and value.isdigit() and len(value) <= 18):
                raise InvalidRequestError("header 'Content-Length' is not a number")
            length = int(value)
    fields = [pair for pair in kept if pair[0].lower() != "content-length"]
    block = "".join([f"{name}: {value}\r\n" for name, value in fields])
    # One match says that all is well; only a bad block is looked at field by field.
    if block.count("\r\n") != len(fields) or not is_clean_block(block):
        check_headers(fields)
    return block, length
