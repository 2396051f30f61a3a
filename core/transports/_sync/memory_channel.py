# Made by tools/unasync.py from core/transports/_async/memory_channel.py. Change that file, then run the tool.
"""A channel that reaches a function instead of a socket."""

from __future__ import annotations

from collections.abc import Iterator

from ...endpoint import Endpoint
from ...errors import ClosedError, Phase, TransportError
from ...interfaces.transport import Body, Channel, Streamed, Timeouts
from ...message import Reply, Request
from ..bodies import pieces
from ..memory import MemoryServer, Scripted, body_of

__all__ = ["MemoryChannel"]


class MemoryChannel(Channel):
    """Asks the server function of one endpoint."""

    def __init__(self, endpoint: Endpoint, server: MemoryServer | None) -> None:
        self._endpoint = endpoint
        self._server = server
        self._is_closed = False

    def send(self, request: Request, timeouts: Timeouts) -> Reply:
        streamed = self.stream(request, timeouts)
        content = b"".join([piece for piece in streamed.body])
        return Reply(streamed.status, streamed.headers, content, self._endpoint)

    def stream(self, request: Request, timeouts: Timeouts) -> Streamed:
        if self._is_closed:
            raise ClosedError(f"the channel to {self._endpoint.id} is closed")
        if self._server is None:
            raise TransportError(f"cannot connect to {self._endpoint.authority}: nobody listens", phase=Phase.CONNECT)
        whole = b"".join([piece for piece in pieces(request.content)])
        scripted = self._server(Request(request.method, request.target, request.headers, whole), timeouts)
        if isinstance(scripted, TransportError):
            raise scripted
        return Streamed(scripted.status, scripted.headers, MemoryBody(scripted))

    def close(self) -> None:
        self._is_closed = True


class MemoryBody(Body):
    """The pieces of a scripted answer."""

    def __init__(self, scripted: Scripted) -> None:
        self._pieces = body_of(scripted)
        self._is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if self._is_closed:
                return
            if isinstance(piece, TransportError):
                raise piece
            yield piece

    def close(self) -> None:
        self._is_closed = True
