"""What a handler of a loopback server gets and gives: plain records."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl

from ..message import Headers

__all__ = ["Ending", "ServerReply", "ServerRequest", "json_reply"]


@dataclass(frozen=True, slots=True)
class ServerRequest:
    """One whole request, as it came over the wire.

    Args:
        method: HTTP method.
        target: Path and query, undecoded.
        raw_headers: Header fields as bytes, names in lower case.
        content: The whole body, without its transfer coding.
        peer: Address and port of the client: equal for two requests on one connection.
    """

    method: str
    target: str
    raw_headers: list[tuple[bytes, bytes]] = field(repr=False)
    content: bytes = field(repr=False)
    peer: tuple[str, int]

    @property
    def path(self) -> str:
        """The target without its query, undecoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The query, decoded; the last value of a name that repeats."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def headers(self) -> Headers:
        """The header fields as text, names in lower case."""
        return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in self.raw_headers)

    def header(self, name: str) -> str | None:
        """The first value of a header field, or None; case does not matter."""
        wanted = name.lower().encode("latin-1")
        for key, value in self.raw_headers:
            if key == wanted:
                return value.decode("latin-1")
        return None

    def json(self) -> Any:  # JSON has no static type: the handler knows what it expects
        """The body as JSON.

        Raises:
            ValueError: It is not JSON.
        """
        return json.loads(self.content)


class Ending(Enum):
    """How a reply ends."""

    WHOLE = "whole"
    """As it should."""
    HANG = "hang"
    """Nothing is sent (of a stream: nothing after its last piece), and the connection stays open."""
    RESET = "reset"
    """Nothing is sent (of a stream: nothing after its last piece), and the connection is reset (RST)."""
    HALF = "half"
    """The full length is declared, half of the body is sent (of a stream: no end mark), the connection is closed."""


@dataclass(frozen=True, slots=True)
class ServerReply:
    """What a handler answers.

    Args:
        status: HTTP status code.
        headers: Header fields. The length of the body is added.
        content: The body; or a stream of pieces, sent as they come (chunked). A stream that raises breaks the
            connection off.
        ending: How it ends. Default: as it should.
    """

    status: int = 200
    headers: Headers = ()
    content: bytes | AsyncIterable[bytes] = field(default=b"", repr=False)
    ending: Ending = Ending.WHOLE


def json_reply(data: object, status: int = 200, headers: Headers = ()) -> ServerReply:
    """A reply with a JSON body."""
    return ServerReply(status, (("content-type", "application/json"), *headers), json.dumps(data).encode())
