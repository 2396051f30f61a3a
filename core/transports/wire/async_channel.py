"""The wire for async code, on asyncio: a pool of protocols for one endpoint, last in, first out."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator

from ...endpoint import Endpoint
from ...errors import ClosedError, InvalidRequestError, Phase, TransportError
from ...interfaces.transport import AsyncBody, AsyncChannel, AsyncStreamed, Timeouts
from ...message import Reply, Request
from .async_connection import AsyncConnection
from .callers import CallersError, callers_pieces_async
from .failures import broken, late, may_resend, translated
from .head import Head, HeadMaker
from .options import WireOptions
from .reader import BadAnswerError, ResponseReader

__all__ = ["AsyncWireChannel"]

_TURN = 256 * 1024
"""After so many bytes of a streamed body the event loop gets a turn, however fast the server takes them."""


class AsyncWireChannel(AsyncChannel):
    """The connections to one endpoint.

    Mutable state: the idle connections, and the event loop that all of them belong to. When that one has ended, the
    channel begins anew in the next: a program may call `asyncio.run` twice.
    """

    def __init__(self, endpoint: Endpoint, options: WireOptions) -> None:
        self._endpoint = endpoint
        self._options = options
        self._heads = HeadMaker(endpoint)
        self._max_body = math.inf if options.max_body is None else options.max_body
        self._keepalive = options.keepalive
        self._is_closed = False
        self._begin_in(asyncio.get_running_loop())

    def _begin_in(self, loop: asyncio.AbstractEventLoop) -> None:
        limit = self._options.max_connections
        self._loop = loop
        self._idle: deque[AsyncConnection] = deque()
        self._slots = asyncio.Semaphore(limit) if limit else None

    def _move(self) -> None:
        """Begin anew in the running event loop."""
        if not self._loop.is_closed():
            raise InvalidRequestError(
                "this client belongs to another event loop, which is not closed\n"
                "Next: make a client for each event loop."
            )
        self._begin_in(asyncio.get_running_loop())

    async def send(self, request: Request, timeouts: Timeouts) -> Reply:
        connection = await self._begin(request, timeouts, wants_pieces=False)
        reader = connection.reader
        try:
            reply = Reply(reader.status, reader.headers, reader.whole(), self._endpoint)
        except BaseException:
            self.drop(connection)
            raise
        self.give_back(connection)
        return reply

    async def stream(self, request: Request, timeouts: Timeouts) -> AsyncStreamed:
        connection = await self._begin(request, timeouts, wants_pieces=True)
        body = _AsyncWireBody(self, connection, timeouts.between_pieces)
        return AsyncStreamed(connection.reader.status, connection.reader.headers, body)

    async def warm(self, connections: int, timeouts: Timeouts) -> int:
        if asyncio.get_running_loop() is not self._loop:
            self._move()
        ends_at = self._loop.time() + timeouts.total
        wanted = min(connections, self._options.max_idle)
        while len(self._idle) < wanted:
            try:
                connection = await self._connection(timeouts, ends_at, must_be_new=True)
            except TransportError:
                break
            connection.rest(self._keepalive)
            if self._is_closed:
                connection.abort()
                break
            self._idle.append(connection)
            if self._slots is not None:
                self._slots.release()
        return min(len(self._idle), wanted)

    async def aclose(self) -> None:
        self._is_closed = True
        while self._idle:
            connection = self._idle.pop()
            if not self._loop.is_closed():  # otherwise it ended with its loop
                connection.abort()
        # Let the sockets be closed in the next turn of the loop, before it may be closed itself.
        await asyncio.sleep(0)

    # --- one exchange -------------------------------------------------------------------------------------------------

    async def _begin(self, request: Request, timeouts: Timeouts, *, wants_pieces: bool) -> AsyncConnection:
        """Send the request and wait for its answer (if `wants_pieces`: for its head)."""
        if asyncio.get_running_loop() is not self._loop:
            self._move()
        head = self._heads.make(request.method, request.target, request.headers, request.content)
        deadline = self._loop.time() + timeouts.total
        max_body = math.inf if wants_pieces else self._max_body
        connection = await self._connection(timeouts, deadline)
        while True:
            reader = connection.reader
            phase = Phase.SEND
            try:
                answered = connection.begin(
                    is_head=head.is_head, max_body=max_body, deadline=deadline, wants_pieces=wants_pieces
                )
                content = request.content
                if isinstance(content, bytes):
                    connection.write(head.data + content if content else head.data)
                    phase = Phase.WAIT
                else:
                    await self._send_stream(connection, head, request)
                    phase = Phase.WAIT
                await answered
                connection.check()
                return connection
            except BaseException as error:
                self.drop(connection)
                if not may_resend(error, request, timeouts, reader, was_used=connection.was_used):
                    if isinstance(error, CallersError):
                        raise error.error from error.error.__cause__
                    if reader.has_head:
                        phase = Phase.STREAM
                    failure = self.translated(error, phase, timeouts.total)
                    if failure is None:
                        raise
                    raise failure from error
            # A new one: another that rested may be closed as well, and a request is never sent three times.
            connection = await self._connection(timeouts, deadline, must_be_new=True)

    @staticmethod
    async def _send_stream(connection: AsyncConnection, head: Head, request: Request) -> None:
        connection.write(head.data)
        sent = 0
        turn = _TURN
        async for piece in callers_pieces_async(request.content):
            if sent >= turn:
                turn = sent + _TURN
                await asyncio.sleep(0)
            if connection.reader.has_head:
                # An answer before the server has the whole request (413, say): the connection is out of step.
                connection.expires_at = 0.0
                return
            await connection.drain()
            sent += len(piece)
            if head.length is None:
                connection.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            elif sent > head.length:
                raise InvalidRequestError(f"the body is longer than its Content-Length of {head.length} bytes")
            else:
                connection.write(piece)
            await connection.drain()
        if head.length is None:
            connection.write(b"0\r\n\r\n")
        elif sent != head.length:
            raise InvalidRequestError(f"the body has {sent} bytes, its Content-Length says {head.length}")

    def translated(self, error: BaseException, phase: Phase, seconds: float) -> TransportError | None:
        """See `failures.translated`."""
        return translated(self._endpoint, error, phase, seconds)

    def now(self) -> float:
        """The time of the event loop."""
        return self._loop.time()

    # --- the pool -----------------------------------------------------------------------------------------------------

    async def _connection(self, timeouts: Timeouts, deadline: float, *, must_be_new: bool = False) -> AsyncConnection:
        if self._is_closed:
            raise ClosedError(f"the channel to {self._endpoint.id} is closed")
        slots = self._slots
        if slots is None:
            return (None if must_be_new else self._rested()) or await self._connect(timeouts, deadline)
        ends_at = min(deadline, self._loop.time() + timeouts.connect)
        try:
            async with asyncio.timeout_at(ends_at):
                await slots.acquire()
        except TimeoutError as error:
            raise late(self._endpoint, Phase.CONNECT, timeouts.connect) from error
        try:
            if self._is_closed:
                raise ClosedError(f"the channel to {self._endpoint.id} is closed")
            return (None if must_be_new else self._rested()) or await self._connect(timeouts, ends_at)
        except BaseException:
            slots.release()
            raise

    def _rested(self) -> AsyncConnection | None:
        """The connection that was used last and can be used again."""
        now = self._loop.time()
        idle = self._idle
        while idle:
            connection = idle.pop()
            if now < connection.stale_at and not connection.has_news():
                return connection
            connection.abort()
        return None

    async def _connect(self, timeouts: Timeouts, ends_at: float) -> AsyncConnection:
        options, loop = self._options, self._loop
        last = ends_at
        ends_at = min(ends_at, loop.time() + timeouts.connect)
        limit = asyncio.timeout(None)

        def ring() -> None:
            # Rings late if the loop was held up. For as long it has not looked at the socket: that time is not the far
            # side's, and the connection may stand already.
            now = loop.time()
            limit.reschedule(min(now + (now - ends_at), last))

        def make() -> AsyncConnection:
            return AsyncConnection(loop, ResponseReader(options.max_head), loop.time() + options.max_age)

        host = self._endpoint.host
        tls = None if options.tls is None else options.tls.current()
        name = None if tls is None else self._endpoint.tls_name
        timer = loop.call_at(ends_at, ring)
        try:
            async with limit:
                if options.unix_socket is not None:
                    _, connection = await loop.create_unix_connection(
                        make, options.unix_socket, ssl=tls, server_hostname=name
                    )
                else:
                    # asyncio and uvloop set TCP_NODELAY by themselves.
                    _, connection = await loop.create_connection(
                        make, host, self._endpoint.port, ssl=tls, server_hostname=name
                    )
                    connection.watch_peer(options.tcp_keepalive)
        except TimeoutError as error:
            raise late(self._endpoint, Phase.CONNECT, timeouts.connect) from error
        except OSError as error:
            raise broken(self._endpoint, Phase.CONNECT, error) from error
        finally:
            timer.cancel()
        if connection.has_news():
            # Closed at once, or an answer to nothing. Not a byte was sent yet.
            connection.abort()
            early = BadAnswerError("it closed the connection, or spoke, before it was asked")
            raise broken(self._endpoint, Phase.CONNECT, early)
        return connection

    def give_back(self, connection: AsyncConnection) -> None:
        """An exchange is over: keep the connection if it can carry another one."""
        connection.was_used = True
        now = connection.rest(self._keepalive)
        idle = self._idle
        is_fit = connection.reader.is_reusable and not connection.has_unsent and now < connection.stale_at
        if not is_fit or self._is_closed or len(idle) >= self._options.max_idle:
            self.drop(connection)
            return
        idle.append(connection)
        if self._slots is not None:
            self._slots.release()
        if len(idle) > 1 and now >= idle[0].stale_at:
            idle.popleft().abort()

    def drop(self, connection: AsyncConnection) -> None:
        """Close a connection that was in use."""
        connection.abort()
        if self._slots is not None:
            self._slots.release()


class _AsyncWireBody(AsyncBody):
    """The body of one streamed answer."""

    def __init__(self, channel: AsyncWireChannel, connection: AsyncConnection, gap: float) -> None:
        self._channel = channel
        self._connection: AsyncConnection | None = connection
        self._gap = gap

    async def __aiter__(self) -> AsyncIterator[bytes]:
        channel = self._channel
        while (connection := self._connection) is not None:
            try:
                collected = connection.reader.take()
                if not collected and not connection.reader.is_complete:
                    connection.limit(channel.now() + self._gap)
                    connection.resume_reading()
                    await connection.wait_more()
                    continue
            except BaseException as error:
                await self.aclose()
                failure = channel.translated(error, Phase.STREAM, self._gap)
                if failure is None:
                    raise
                raise failure from error
            if connection.reader.is_complete:
                self._connection = None
                channel.give_back(connection)
            for piece in collected:
                yield piece

    def allow(self, seconds: float) -> bool:
        self._gap = seconds
        return True

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._channel.drop(connection)
