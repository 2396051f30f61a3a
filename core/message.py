"""Requests and replies: plain records that belong to no HTTP library.

The HTTP world has split into several libraries that do not know each other's types. The core speaks these words only;
each library is met in one transport module.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, cast

from .errors import CallError

if TYPE_CHECKING:
    from .endpoint import Endpoint

__all__ = ["Content", "Headers", "Reply", "Request", "StatusError", "header", "headers_from"]

Headers = tuple[tuple[str, str], ...]
"""Header fields in order, names as they were given. A name may repeat."""

Content = bytes | Iterable[bytes] | AsyncIterable[bytes]
"""A body: bytes, or a stream of bytes. A stream can be sent once, so its call is repeated only if nothing was sent."""


_LOGIN = re.compile(r"//[^/]*@")


def header(headers: Headers, name: str) -> str | None:
    """The first value of a header field; names are compared without regard to case."""
    wanted = name.lower()
    for key, value in headers:
        if key.lower() == wanted:
            return value
    return None


def headers_from(headers: Iterable[tuple[str, str]] | Mapping[str, str] | None) -> Headers:
    """Header fields from what people write: a mapping, pairs, or nothing."""
    if not headers:
        return ()
    if isinstance(headers, tuple):
        return headers
    pairs = cast("Mapping[str, str]", headers).items() if isinstance(headers, Mapping) else headers
    return tuple((str(name), str(value)) for name, value in pairs)


@dataclass(slots=True)
class Request:
    """One request. A value: nobody changes it (it is not frozen, because that would cost a call 0.5 us each time).

    Args:
        method: HTTP method, upper case.
        target: For an instance: path and query (`/v1/x?y=1`), put behind the provider's prefix. For a control plane: an
            absolute URL. The same two forms as in RFC 9112.
        headers: Header fields.
        content: The body. Default: none.
    """

    method: str
    target: str
    headers: Headers = ()
    content: Content = field(default=b"", repr=False)

    @property
    def is_replayable(self) -> bool:
        """Whether the body can be sent a second time."""
        return isinstance(self.content, bytes)

    def __repr__(self) -> str:
        # Header values may be secrets, and a query or a login in the URL may hold one: only what helps to recognise
        # the request.
        names = ", ".join(name for name, _ in self.headers)
        target = _LOGIN.sub("//", self.target.partition("?")[0])
        return f"<Request {self.method} {target} headers: {names or 'none'}>"


@dataclass(slots=True)
class Reply:
    """A whole answer, whatever its status. A value, not frozen for the same reason as `Request`.

    Args:
        status: HTTP status code.
        headers: Header fields.
        content: The body as it came over the wire (no decompression).
        endpoint: Who answered; None for a control plane.
        attempts: How many attempts the call took, this one included.
    """

    status: int
    headers: Headers = ()
    content: bytes = field(default=b"", repr=False)
    endpoint: Endpoint | None = None
    attempts: int = 1

    @property
    def ok(self) -> bool:
        """Whether the status says success (2xx)."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body as UTF-8 text; bytes that are not UTF-8 become replacement characters."""
        return self.content.decode("utf-8", errors="replace")

    def header(self, name: str) -> str | None:
        """The first value of a header field, or None."""
        return header(self.headers, name)

    def json(self) -> Any:  # JSON has no static type: the caller knows what the model answers
        """The body as JSON.

        Raises:
            ValueError: The body is not JSON.
        """
        try:
            return json.loads(self.content)
        except RecursionError:
            raise ValueError("the body is JSON that is nested too deeply to be read") from None

    def raise_for_status(self) -> Self:
        """This reply, if its status says success.

        Raises:
            StatusError: The status is not 2xx. The error carries this reply.
        """
        if not self.ok:
            raise StatusError(self)
        return self

    def __repr__(self) -> str:
        by = f" from {self.endpoint.id}" if self.endpoint else ""
        tries = f", {self.attempts} attempts" if self.attempts > 1 else ""
        return f"<Reply {self.status}{by}, {len(self.content)} bytes{tries}>"


class StatusError(CallError):
    """The answer has a status that is not success.

    The text does not quote the body: a service may echo in it what it was sent, a token say.

    Attributes:
        reply: The answer, body included.
    """

    def __init__(self, reply: Reply) -> None:
        by = f" from {reply.endpoint.id}" if reply.endpoint else ""
        tries = f" after {reply.attempts} attempts" if reply.attempts > 1 else ""
        super().__init__(f"status {reply.status}{by}{tries}\nNext: read the answer in `error.reply`.")
        self.reply = reply
