"""A raw server that sends exactly the bytes it is told to, and callers of every colour."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import h11

from directlane import AsyncChannel, Channel, Endpoint, Reply, Request, Timeouts, Transport
from directlane.core.transports.wire_transport import WireTransport

__all__ = [
    "GET",
    "PATIENT",
    "POST",
    "AsyncCaller",
    "Caller",
    "RawServer",
    "SyncCaller",
    "read_request",
]

PATIENT = Timeouts(connect=5, total=10)
GET = Request("GET", "/")
POST = Request("POST", "/x", (("X-One", "1"),), b"hello")
T = TypeVar("T")


class RawServer:
    """Runs `script(connection, number)` in a thread for each connection; closes the connection behind it."""

    def __init__(self, script: Callable[[socket.socket, int], None], family: socket.AddressFamily = socket.AF_INET):
        self._script = script
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self._listener.listen(256)
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._is_stopping = False
        self.accepted = 0
        self._lock = threading.Lock()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    @property
    def endpoint(self) -> Endpoint:
        host, port = self._listener.getsockname()[:2]
        return Endpoint(host, port)

    @property
    def open_connections(self) -> int:
        """How many connections the script still holds."""
        with self._lock:
            return len(self._open)

    def wait_until_idle(self) -> None:
        """Until no script runs any more."""
        for thread in list(self._threads):
            thread.join(10)

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._is_stopping = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "the script does not end when its connection does"

    def _accept(self) -> None:
        while not self._is_stopping:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(connection)
                self.accepted += 1
                number = self.accepted
            thread = threading.Thread(target=self._run, args=(connection, number), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, connection: socket.socket, number: int) -> None:
        try:
            with contextlib.suppress(OSError):
                self._script(connection, number)
        finally:
            with self._lock:
                self._open.discard(connection)
                connection.close()


def read_request(connection: socket.socket) -> tuple[h11.Request, bytes] | None:
    """The next request with its body; None at the end of the connection."""
    parser = h11.Connection(h11.SERVER)
    head: h11.Request | None = None
    body = b""
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA:
            data = connection.recv(65_536)
            if not data:
                return None
            parser.receive_data(data)
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            return head, body
        else:
            return None


# --- callers ----------------------------------------------------------------------------------------------------------


class Caller(ABC):
    """Calls one endpoint through the wire, in one colour."""

    def open(self, endpoint: Endpoint, transport: Transport | None = None) -> Self:
        """Open the channel; closed with the caller."""
        self._open(transport or WireTransport(), endpoint)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @abstractmethod
    def _open(self, transport: Transport, endpoint: Endpoint) -> None: ...

    @abstractmethod
    def send(self, request: Request, timeouts: Timeouts = PATIENT) -> Reply: ...

    @abstractmethod
    def stream(self, request: Request, timeouts: Timeouts = PATIENT) -> Reply:
        """As `send`, by way of a streamed reply."""

    @abstractmethod
    def idle(self) -> None:
        """Let an event loop have a few turns."""

    @abstractmethod
    def close(self) -> None: ...


class SyncCaller(Caller):
    channel: Channel

    def _open(self, transport: Transport, endpoint: Endpoint) -> None:
        self.channel = transport.open(endpoint)

    def send(self, request: Request, timeouts: Timeouts = PATIENT) -> Reply:
        return self.channel.send(request, timeouts)

    def stream(self, request: Request, timeouts: Timeouts = PATIENT) -> Reply:
        streamed = self.channel.stream(request, timeouts)
        try:
            return Reply(streamed.status, streamed.headers, b"".join(streamed.body))
        finally:
            streamed.body.close()

    def idle(self) -> None:
        pass

    def close(self) -> None:
        self.channel.close()


class AsyncCaller(Caller):
    channel: AsyncChannel

    def __init__(self, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> None:
        self._runner = asyncio.Runner(loop_factory=loop_factory)
        self._is_closed = False

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something in the loop of this caller."""
        return self._runner.run(coroutine)

    def _open(self, transport: Transport, endpoint: Endpoint) -> None:
        async def opened() -> AsyncChannel:
            return transport.open_async(endpoint)

        self.channel = self.run(opened())

    def send(self, request: Request, timeouts: Timeouts = PATIENT) -> Reply:
        return self.run(self.channel.send(request, timeouts))

    def stream(self, request: Request, timeouts: Timeouts = PATIENT) -> Reply:
        async def collected() -> Reply:
            streamed = await self.channel.stream(request, timeouts)
            try:
                pieces = [piece async for piece in streamed.body]
            finally:
                await streamed.body.aclose()
            return Reply(streamed.status, streamed.headers, b"".join(pieces))

        return self.run(collected())

    def idle(self) -> None:
        self.run(asyncio.sleep(0.01))

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if hasattr(self, "channel"):
            self.run(self.channel.aclose())
        self._runner.close()
