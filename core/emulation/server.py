"""A small HTTP/1.1 server on loopback, in a thread of its own.

It knows HTTP (by way of h11) and how to misbehave on request; it knows no cloud. It is on the path of benchmarks of
clients, so a reply that is ready at once costs no task and one write.

    def handler(request: ServerRequest) -> ServerReply:
        return ServerReply(200, content=request.content)

    with LoopbackServer(handler) as server:
        httpx.post(server.url, content=b"x")

A handler runs in the server's event loop: it must not block. It returns a `ServerReply`, or an awaitable of one
(`async def` works as it is). How an answer can end badly is part of the reply: see `Ending`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import threading
from collections.abc import AsyncIterable, Awaitable, Callable
from http import HTTPStatus
from types import TracebackType
from typing import Self, cast

import h11

from ..endpoint import authority
from .exchange import Ending, ServerReply, ServerRequest, json_reply

__all__ = ["Ending", "Handler", "LoopbackServer", "ServerReply", "ServerRequest", "json_reply"]

BACKLOG = 1024
_log = logging.getLogger(__name__)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_TURNS_TO_ACCEPT = 5
"""From the accept of a connection to its `connection_made` the event loop needs two turns."""


Handler = Callable[[ServerRequest], ServerReply | Awaitable[ServerReply]]
"""Answers one request. Runs in the server's event loop, so it must not block."""


class LoopbackServer:
    """A server that runs from `start` to `stop`; also a context manager.

    Args:
        handler: Answers the requests. One that raises gives a 500 and a log line.
        host: Address to listen on. Default `127.0.0.1`.
        port: Port to listen on. Default 0: any free one.
    """

    def __init__(self, handler: Handler, host: str = "127.0.0.1", port: int = 0) -> None:
        self._handler = handler
        self._host = host
        self._port = port
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._connections: set[_Connection] = set()
        self._accepted = 0

    @property
    def host(self) -> str:
        """Where it listens."""
        return self._host

    @property
    def port(self) -> int:
        """Where it listens; 0 before the first start if none was given. It is kept over a restart."""
        return self._port

    @property
    def url(self) -> str:
        """`http://host:port`, without a trailing slash."""
        return f"http://{authority(self._host, self._port)}"

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._thread is not None

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._connections)

    @property
    def accepted_connections(self) -> int:
        """How many connections were ever accepted."""
        return self._accepted

    def start(self) -> None:
        """Listen; returns when connections are accepted. Harmless when running.

        Raises:
            OSError: The address or port cannot be used.
        """
        if self._thread is not None:
            return
        ready = threading.Event()
        failed: list[OSError] = []
        thread = threading.Thread(target=self._run, args=(ready, failed), name="directlane-loopback", daemon=True)
        thread.start()
        ready.wait()
        if failed:
            thread.join()
            raise failed[0]
        self._thread = thread

    def stop(self) -> None:
        """Close the listener and every connection at once; returns when all is gone. Harmless when called again."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None or self._stopping is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        thread.join()
        self._loop = self._stopping = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<LoopbackServer {self.url}, {'running' if self.is_running else 'stopped'}>"

    # --- in the server's thread ---------------------------------------------------------------------------------------

    def _run(self, ready: threading.Event, failed: list[OSError]) -> None:
        try:
            asyncio.run(self._serve(ready))
        except OSError as error:
            failed.append(error)
        finally:
            ready.set()

    async def _serve(self, ready: threading.Event) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._connection, self._host, self._port, backlog=BACKLOG)
        self._port = cast("int", server.sockets[0].getsockname()[1])
        self._loop, self._stopping = loop, asyncio.Event()
        ready.set()
        try:
            await self._stopping.wait()
        finally:
            # Accept no more, but let what was accepted become connections of ours before the listener closes: asyncio
            # forgets a socket that is between the two.
            for listener in server.sockets:
                loop.remove_reader(listener.fileno())
            for _ in range(_TURNS_TO_ACCEPT):
                await asyncio.sleep(0)
            server.close()
            tasks = [connection.task for connection in self._connections if connection.task is not None]
            for connection in tuple(self._connections):
                connection.abort()
            await asyncio.gather(*tasks, return_exceptions=True)
            while self._connections:  # noqa: ASYNC110  # `connection_lost` is called in the next turns of this loop
                await asyncio.sleep(0)
            await server.wait_closed()

    def _connection(self) -> _Connection:
        return _Connection(self._handler, self)

    def opened(self, connection: _Connection) -> None:
        """A connection tells that it is there."""
        self._connections.add(connection)
        self._accepted += 1

    def closed(self, connection: _Connection) -> None:
        """A connection tells that it is gone."""
        self._connections.discard(connection)


class _Connection(asyncio.Protocol):
    """One connection: requests come one after the other; the next is read when the last is answered."""

    __slots__ = (
        "_body",
        "_handler",
        "_has_no_body",
        "_head",
        "_http",
        "_owner",
        "_peer",
        "_transport",
        "_writable",
        "task",
    )

    def __init__(self, handler: Handler, owner: LoopbackServer) -> None:
        self._handler = handler
        self._owner = owner
        self._http = h11.Connection(h11.SERVER)
        self._head: h11.Request | None = None
        self._body: list[bytes] = []
        self._writable: asyncio.Future[None] | None = None
        self.task: asyncio.Task[None] | None = None
        """What answers the current request, if the answer was not ready at once."""

    # --- what the event loop calls ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # No name: the client has closed again before we came to look.
        self._peer = cast("tuple[str, int]", tuple((transport.get_extra_info("peername") or ("", 0))[:2]))
        self._owner.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # whichever way it ended, it is gone
        self._owner.closed(self)
        self.resume_writing()
        if self.task is not None:
            self.task.cancel()

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def data_received(self, data: bytes) -> None:
        self._http.receive_data(data)
        self._advance()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    # --- reading ------------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        http = self._http
        while self.task is None and not self._transport.is_closing():
            try:
                event = http.next_event()
            except h11.RemoteProtocolError as error:
                self._refuse(error)
                return
            if isinstance(event, h11.Request):
                self._head, self._body = event, []
            elif isinstance(event, h11.Data):
                self._body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                self._answer()
            else:  # it needs data, or waits for the end of our answer, or the client is gone
                if event is h11.NEED_DATA and http.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[])
                    self._transport.write(http.send(go_on) or b"")
                return

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        """The client does not speak HTTP: say so, if that is still possible, and hang up."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            status = error.error_status_hint
            self._write(ServerReply(status, (("connection", "close"),), str(error).encode()))
        self._transport.close()

    # --- answering ----------------------------------------------------------------------------------------------------

    def _answer(self) -> None:
        head = cast("h11.Request", self._head)
        request = ServerRequest(
            method=head.method.decode("ascii"),
            target=head.target.decode("latin-1"),
            raw_headers=list(head.headers),
            content=self._body[0] if len(self._body) == 1 else b"".join(self._body),
            peer=self._peer,
        )
        try:
            reply = self._handler(request)
        except Exception as error:  # noqa: BLE001  # whatever a handler raises is its answer: 500
            reply = _failed(error)
        if isinstance(reply, ServerReply) and isinstance(reply.content, bytes):
            self._write(reply)
        else:
            self.task = asyncio.get_running_loop().create_task(self._answer_later(reply))

    async def _answer_later(self, waiting: ServerReply | Awaitable[ServerReply]) -> None:
        try:
            try:
                reply = waiting if isinstance(waiting, ServerReply) else await waiting
            except Exception as error:  # noqa: BLE001  # as in `_answer`
                reply = _failed(error)
            if isinstance(reply.content, bytes):
                self._write(reply)
            else:
                await self._stream(reply, reply.content)
        finally:
            self.task = None
        if reply.ending is Ending.WHOLE:
            self._advance()  # requests that came meanwhile

    def _write(self, reply: ServerReply) -> None:
        """Send a reply whose body is there, as one piece."""
        if reply.ending is Ending.HANG:
            return
        if reply.ending is Ending.RESET:
            self._reset()
            return
        content = reply.content if isinstance(reply.content, bytes) else b""
        length = max(len(content), 2) if reply.ending is Ending.HALF else len(content)
        out = self._start(reply, ("content-length", str(length)))
        if reply.ending is Ending.HALF:
            self._transport.write(out + self._data(content[: len(content) // 2]))
            self._transport.close()
            return
        self._transport.write(out + self._data(content) + self._end())
        self._finish()

    async def _stream(self, reply: ServerReply, pieces: AsyncIterable[bytes]) -> None:
        self._transport.write(self._start(reply))
        source = aiter(pieces)
        try:
            async for piece in source:
                self._transport.write(self._data(piece))
                if self._transport.is_closing():
                    return  # the client is gone
                # A source may have every piece ready, without end. The loop gets its turn after each one: for other
                # connections, for `stop`, and to learn that the client has left.
                await (asyncio.sleep(0) if self._writable is None else self._writable)
        except Exception:  # noqa: BLE001  # whatever the stream raises, the connection breaks off
            _log.exception("The stream of a reply broke off")
            self._transport.abort()
            return
        finally:
            close = getattr(source, "aclose", None)
            if close is not None:
                await close()
        if reply.ending is Ending.HALF:
            self._transport.close()
        elif reply.ending is Ending.RESET:
            self._reset()
        elif reply.ending is Ending.WHOLE:
            self._transport.write(self._end())
            self._finish()

    def _start(self, reply: ServerReply, *more: tuple[str, str]) -> bytes:
        # An answer to HEAD, a 204 and a 304 have headers only; h11 refuses a body there.
        self._has_no_body = reply.status in (204, 304) or (self._head is not None and self._head.method == b"HEAD")
        fields = [*reply.headers, *more]
        reason = _REASONS.get(reply.status, b"")
        return self._http.send(h11.Response(status_code=reply.status, headers=fields, reason=reason)) or b""

    def _data(self, piece: bytes) -> bytes:
        if not piece or self._has_no_body:
            return b""
        return self._http.send(h11.Data(data=piece)) or b""

    def _end(self) -> bytes:
        return self._http.send(h11.EndOfMessage()) or b""

    def _finish(self) -> None:
        """Make ready for the next request on this connection, or close it if it must not have one."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self._transport.close()

    def _reset(self) -> None:
        sock = cast("socket.socket", self._transport.get_extra_info("socket"))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()


def _failed(error: Exception) -> ServerReply:
    _log.error("The handler of a loopback server failed", exc_info=error)
    return ServerReply(500, (), f"the handler failed: {type(error).__name__}".encode())


_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
