"""A channel that reaches a function instead of a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ...endpoint import Endpoint
from ...errors import ClosedError, Phase, TransportError
from ...interfaces.transport import AsyncBody, AsyncChannel, AsyncStreamed, Timeouts
from ...message import Reply, Request
from ..bodies import pieces_async
from ..memory import MemoryServer, Scripted, body_of

__all__ = ["AsyncMemoryChannel"]


class AsyncMemoryChannel(AsyncChannel):
    """Asks the server function of one endpoint."""

    def __init__(self, endpoint: Endpoint, server: MemoryServer | None) -> None:
        self._endpoint = endpoint
        self._server = server
        self._is_closed = False

    async def send(self, request: Request, timeouts: Timeouts) -> Reply:
        streamed = await self.stream(request, timeouts)
        content = b"".join([piece async for piece in streamed.body])
        return Reply(streamed.status, streamed.headers, content, self._endpoint)

    async def stream(self, request: Request, timeouts: Timeouts) -> AsyncStreamed:
        if self._is_closed:
            raise ClosedError(f"the channel to {self._endpoint.id} is closed")
        if self._server is None:
            raise TransportError(f"cannot connect to {self._endpoint.authority}: nobody listens", phase=Phase.CONNECT)
        whole = b"".join([piece async for piece in pieces_async(request.content)])
        scripted = self._server(Request(request.method, request.target, request.headers, whole), timeouts)
        if isinstance(scripted, TransportError):
            raise scripted
        return AsyncStreamed(scripted.status, scripted.headers, AsyncMemoryBody(scripted))

    async def aclose(self) -> None:
        self._is_closed = True


class AsyncMemoryBody(AsyncBody):
    """The pieces of a scripted answer."""

    def __init__(self, scripted: Scripted) -> None:
        self._pieces = body_of(scripted)
        self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if self._is_closed:
                return
            if isinstance(piece, TransportError):
                raise piece
            yield piece

    async def aclose(self) -> None:
        self._is_closed = True
