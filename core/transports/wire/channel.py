"""The wire for sync code: a pool of blocking sockets for one endpoint, last in, first out.

The connection that was used last is used next, so that a quiet time leaves few of them awake. Taking one and giving it
back are single operations of a deque, which are atomic: there is no lock.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator

from ...endpoint import Endpoint
from ...errors import ClosedError, InvalidRequestError, Phase, TransportError
from ...interfaces.transport import Body, Channel, Streamed, Timeouts
from ...message import Reply, Request
from .callers import CallersError, callers_pieces
from .connection import Connection, connect
from .failures import broken, late, may_resend, translated
from .head import Head, HeadMaker
from .options import WireOptions
from .reader import BadAnswerError

__all__ = ["WireChannel"]

_SLICE = 256 * 1024
"""A body is sent in slices of this size, with a look for an early answer between them."""

_SMALL = 8 * 1024
"""Up to this size, head and body are copied into one piece: that is cheaper than a call with two."""


class WireChannel(Channel):
    """The connections to one endpoint. Mutable state: the idle connections."""

    def __init__(self, endpoint: Endpoint, options: WireOptions) -> None:
        self._endpoint = endpoint
        self._options = options
        self._heads = HeadMaker(endpoint)
        self._idle: deque[Connection] = deque()
        self._slots = threading.Semaphore(options.max_connections) if options.max_connections else None
        self._max_body = math.inf if options.max_body is None else options.max_body
        self._keepalive = options.keepalive
        self._is_closed = False

    def send(self, request: Request, timeouts: Timeouts) -> Reply:
        connection = self._begin(request, timeouts, self._max_body)
        reader = connection.reader
        try:
            while not reader.is_complete:
                connection.rearm()
                self.read_once(connection)
            reply = Reply(reader.status, reader.headers, reader.whole(), self._endpoint)
        except BaseException as error:
            self.drop(connection)
            failure = self.translated(error, Phase.STREAM, timeouts.total)
            if failure is None:
                raise
            raise failure from error
        self.give_back(connection)
        return reply

    def stream(self, request: Request, timeouts: Timeouts) -> Streamed:
        connection = self._begin(request, timeouts, math.inf)
        body = _WireBody(self, connection, timeouts.between_pieces)
        return Streamed(connection.reader.status, connection.reader.headers, body)

    def warm(self, connections: int, timeouts: Timeouts) -> int:
        ends_at = time.monotonic() + timeouts.total
        wanted = min(connections, self._options.max_idle)
        while len(self._idle) < wanted:
            try:
                connection = self._connection(timeouts, ends_at, must_be_new=True)
            except TransportError:
                break
            connection.rest(self._keepalive)
            self._idle.append(connection)
            if self._slots is not None:
                self._slots.release()
        if self._is_closed:
            self._close_idle()
        return min(len(self._idle), wanted)

    def close(self) -> None:
        self._is_closed = True
        self._close_idle()

    # --- one exchange -------------------------------------------------------------------------------------------------

    def _begin(self, request: Request, timeouts: Timeouts, max_body: float) -> Connection:
        """Send the request and read the head of its answer."""
        head = self._heads.make(request.method, request.target, request.headers, request.content)
        ends_at = time.monotonic() + timeouts.total
        connection = self._connection(timeouts, ends_at)
        abort = timeouts.abort
        while True:
            if abort is not None:
                connection.watched_by(abort)
            reader = connection.reader
            phase = Phase.SEND
            try:
                reader.begin(is_head=head.is_head, max_body=max_body)
                connection.ends_at = ends_at
                connection.rearm()
                self._send(connection, head, request)
                phase = Phase.WAIT
                while not reader.has_head:
                    self.read_once(connection)
                    if not reader.has_head:
                        connection.rearm()
                return connection
            except BaseException as error:
                self.drop(connection)
                is_over = abort is not None and abort.is_called
                if is_over or not may_resend(error, request, timeouts, reader, was_used=connection.was_used):
                    if isinstance(error, CallersError):
                        raise error.error from error.error.__cause__
                    if reader.has_head:
                        phase = Phase.STREAM
                    failure = self.translated(error, phase, timeouts.total)
                    if failure is None:
                        raise
                    raise failure from error
            # A new one: another that rested may be closed as well, and a request is never sent three times.
            connection = self._connection(timeouts, ends_at, must_be_new=True)

    def _send(self, connection: Connection, head: Head, request: Request) -> None:
        content = request.content
        try:
            if isinstance(content, bytes):
                if len(content) <= _SMALL:
                    connection.send(head.data + content if content else head.data)
                    return
                if len(content) <= _SLICE:
                    connection.send_both(head.data, content)
                    return
                connection.send(head.data)
                view = memoryview(content)
                for start in range(0, len(content), _SLICE):
                    self._look_for_early_answer(connection)
                    connection.rearm()
                    connection.send(view[start : start + _SLICE])
            else:
                self._send_stream(connection, head, request)
        except (_EarlyAnswerError, BrokenPipeError, ConnectionResetError):
            # The server may have answered before it had the whole request (413, say). An answer is worth more than the
            # error; but the connection is out of step and must not be used again.
            connection.expires_at = 0.0
            while not connection.reader.has_head:
                connection.rearm()
                self.read_once(connection)

    def _look_for_early_answer(self, connection: Connection) -> None:
        if connection.has_news():
            # An interim answer, which asks for the rest of the body, is no reason to stop.
            connection.rearm()
            self.read_once(connection)
            if connection.reader.has_head:
                raise _EarlyAnswerError

    def _send_stream(self, connection: Connection, head: Head, request: Request) -> None:
        connection.send(head.data)
        sent = 0
        for piece in callers_pieces(request.content):
            self._look_for_early_answer(connection)
            connection.rearm()
            sent += len(piece)
            if head.length is None:
                connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            elif sent > head.length:
                raise InvalidRequestError(f"the body is longer than its Content-Length of {head.length} bytes")
            else:
                connection.send(piece)
        if head.length is None:
            connection.send(b"0\r\n\r\n")
        elif sent != head.length:
            raise InvalidRequestError(f"the body has {sent} bytes, its Content-Length says {head.length}")

    @staticmethod
    def read_once(connection: Connection) -> None:
        """Read what comes next into the connection's reader."""
        data = connection.receive()
        if data:
            connection.reader.feed(data)
        else:
            connection.reader.end()

    def translated(self, error: BaseException, phase: Phase, seconds: float) -> TransportError | None:
        """See `failures.translated`."""
        return translated(self._endpoint, error, phase, seconds)

    # --- the pool -----------------------------------------------------------------------------------------------------

    def _connection(self, timeouts: Timeouts, ends_at: float, *, must_be_new: bool = False) -> Connection:
        if self._is_closed:
            raise ClosedError(f"the channel to {self._endpoint.id} is closed")
        slots = self._slots
        if slots is None:
            return (None if must_be_new else self._rested()) or self._connect(timeouts, ends_at)
        began = time.monotonic()
        seconds = min(timeouts.connect, ends_at - began)
        if not slots.acquire(timeout=max(seconds, 0)):
            raise late(self._endpoint, Phase.CONNECT, timeouts.connect)
        try:
            if self._is_closed:
                raise ClosedError(f"the channel to {self._endpoint.id} is closed")
            rested = None if must_be_new else self._rested()
            return rested or self._connect(timeouts, min(ends_at, began + timeouts.connect))
        except BaseException:
            slots.release()
            raise

    def _rested(self) -> Connection | None:
        """The connection that was used last and can be used again."""
        now = time.monotonic()
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if now < connection.stale_at and not connection.has_news():
                return connection
            connection.close()

    def _connect(self, timeouts: Timeouts, ends_at: float) -> Connection:
        seconds = min(timeouts.connect, ends_at - time.monotonic())
        try:
            connection = connect(self._endpoint, self._options, seconds)
        except TimeoutError as error:
            raise late(self._endpoint, Phase.CONNECT, timeouts.connect) from error
        except OSError as error:
            raise broken(self._endpoint, Phase.CONNECT, error) from error
        if connection.has_news():
            # Closed at once, or an answer to nothing. Not a byte was sent yet.
            connection.close()
            early = connection.failure or BadAnswerError("it closed the connection, or spoke, before it was asked")
            raise broken(self._endpoint, Phase.CONNECT, early) from early
        return connection

    def give_back(self, connection: Connection) -> None:
        """An exchange is over: keep the connection if it can carry another one."""
        abort = connection.abort
        if abort is not None:
            connection.abort = None
            if not abort.forget():
                self.drop(connection)
                return
        idle = self._idle
        connection.was_used = True
        now = connection.rest(self._keepalive)
        is_fit = connection.reader.is_reusable and now < connection.stale_at
        if not is_fit or self._is_closed or len(idle) >= self._options.max_idle:
            self.drop(connection)
            return
        idle.append(connection)
        if self._slots is not None:
            self._slots.release()
        if len(idle) > 1:
            self._drop_oldest(now)
        if self._is_closed:
            # Closed by another thread since the look above.
            self._close_idle()

    def _close_idle(self) -> None:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return
            connection.close()

    def _drop_oldest(self, now: float) -> None:
        """Close the connection that has rested longest, if its time is over: one look per call, no timer."""
        idle = self._idle
        try:
            if now < idle[0].stale_at:
                return
            oldest = idle.popleft()
        except IndexError:
            return  # other threads have taken them
        if now < oldest.stale_at:
            idle.appendleft(oldest)
        else:
            oldest.close()

    def drop(self, connection: Connection) -> None:
        """Close a connection that was in use."""
        abort = connection.abort
        if abort is not None:
            # Once closed, its descriptor may be another connection's.
            connection.abort = None
            abort.forget()
        connection.close()
        if self._slots is not None:
            self._slots.release()


class _EarlyAnswerError(Exception):
    """The server sends before it has the whole request."""


class _WireBody(Body):
    """The body of one streamed answer."""

    def __init__(self, channel: WireChannel, connection: Connection, gap: float) -> None:
        self._channel = channel
        self._connection: Connection | None = connection
        self._gap = gap

    def __iter__(self) -> Iterator[bytes]:
        channel = self._channel
        while (connection := self._connection) is not None:
            try:
                collected = connection.reader.take()
                if not collected and not connection.reader.is_complete:
                    connection.ends_at = time.monotonic() + self._gap
                    connection.rearm()
                    channel.read_once(connection)
                    continue
            except BaseException as error:
                self.close()
                failure = channel.translated(error, Phase.STREAM, self._gap)
                if failure is None:
                    raise
                raise failure from error
            if connection.reader.is_complete:
                self._connection = None
                channel.give_back(connection)
            yield from collected

    def allow(self, seconds: float) -> bool:
        self._gap = seconds
        return True

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._channel.drop(connection)
