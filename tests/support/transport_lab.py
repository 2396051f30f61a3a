"""Two ways to be a server for the transport contract: over a socket and in memory. One script drives both."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

from directlane import Endpoint, Phase, Request, Transport, TransportError
from directlane.core.emulation.server import Ending, LoopbackServer, ServerReply, ServerRequest
from directlane.core.interfaces.transport import Timeouts
from directlane.core.transports.aiohttp_transport import AiohttpTransport
from directlane.core.transports.auto_transport import AutoTransport
from directlane.core.transports.httpx_transport import HttpxTransport
from directlane.core.transports.memory import MemoryServer, Scripted
from directlane.core.transports.memory_transport import MemoryTransport
from directlane.core.transports.wire_transport import WireTransport

__all__ = ["LABS", "Answer", "Lab"]


@dataclass(frozen=True)
class Answer:
    """What the server is told to answer."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    pieces: Sequence[bytes] = (b"ok",)
    is_chunked: bool = False
    ending: Ending = Ending.WHOLE


@dataclass
class Lab(ABC):
    """A transport, an endpoint that it reaches, and one that refuses."""

    one_colour: ClassVar[str | None] = None
    """`_async` or `_sync` if the transport has no other side; that side must fail when it is opened."""
    needs: ClassVar[str | None] = None
    """The module that must be there, which is an extra of the same name."""

    answer: Answer = field(default_factory=Answer)
    seen: list[Request] = field(default_factory=list[Request])
    transport: Transport = field(init=False)
    endpoint: Endpoint = field(init=False)
    refusing: Endpoint = field(init=False)

    @abstractmethod
    def running(self) -> Iterator[Lab]: ...


class SocketLab(Lab):
    """Over a real socket."""

    kind: type[Transport]

    def running(self) -> Iterator[Lab]:
        self.transport = self.kind()
        with LoopbackServer(self._handle) as server, _closed_port() as port:
            self.endpoint = Endpoint(server.host, server.port)
            self.refusing = Endpoint("127.0.0.1", port)
            yield self

    def _handle(self, request: ServerRequest) -> ServerReply:
        self.seen.append(Request(request.method, request.target, request.headers, request.content))
        answer = self.answer
        if answer.is_chunked:
            return ServerReply(answer.status, answer.headers, _stream(answer.pieces), answer.ending)
        return ServerReply(answer.status, answer.headers, b"".join(answer.pieces), answer.ending)


class HttpxLab(SocketLab):
    kind = HttpxTransport


class AutoLab(SocketLab):
    kind = AutoTransport


class WireLab(SocketLab):
    kind = WireTransport


class AiohttpLab(SocketLab):
    kind = AiohttpTransport
    one_colour = "_async"
    needs = "aiohttp"


class MemoryLab(Lab):
    def running(self) -> Iterator[Lab]:
        self.endpoint = Endpoint("10.0.0.1", 80)
        self.refusing = Endpoint("10.0.0.2", 80)
        servers: dict[str, MemoryServer] = {"10.0.0.1:80": self._serve}
        self.transport = MemoryTransport(servers=servers)
        yield self

    def _serve(self, request: Request, timeouts: Timeouts) -> Scripted | TransportError:
        answer = self.answer
        headers = (*request.headers, ("host", self.endpoint.authority))
        self.seen.append(Request(request.method, request.target, headers, request.content))
        if answer.ending is Ending.HANG:
            return TransportError("too late", phase=Phase.WAIT, timed_out=True)
        if answer.ending is Ending.RESET:
            return TransportError("reset", phase=Phase.WAIT)
        if answer.ending is Ending.HALF:
            half = b"".join(answer.pieces)[: sum(map(len, answer.pieces)) // 2]
            return Scripted(answer.status, answer.headers, [half, TransportError("half", phase=Phase.STREAM)])
        return Scripted(answer.status, answer.headers, answer.pieces)


LABS: dict[str, type[Lab]] = {
    "auto": AutoLab,
    "httpx": HttpxLab,
    "wire": WireLab,
    "aiohttp": AiohttpLab,
    "memory": MemoryLab,
}


async def _stream(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@contextmanager
def _closed_port() -> Generator[int, None, None]:
    """A port that is bound and not listened on, so that nobody else can get it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
