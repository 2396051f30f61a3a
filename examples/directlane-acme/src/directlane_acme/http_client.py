"""The transport `http_client`: HTTP/1.1 over Python's own `http.client`, for sync code and plain HTTP.

It shows what a transport owes: one pool of connections for each endpoint, the phase of every failure, and time limits
that hold. Fast it is not.
"""

import os
import time
from collections import deque
from collections.abc import AsyncIterable, Iterable, Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import ClassVar

from directlane import (
    AsyncChannel,
    Body,
    Channel,
    Duration,
    Endpoint,
    Phase,
    PluginError,
    Reply,
    Request,
    Streamed,
    Timeouts,
    Transport,
    TransportError,
)
from pydantic import Field

from .line import Line

__all__ = ["HttpClientTransport"]

_PIECE = 65_536
_HAVE_A_BODY = frozenset({"PATCH", "POST", "PUT"})


class HttpClientTransport(Transport):
    """HTTP/1.1 over `http.client`."""

    kind: ClassVar[str] = "http_client"
    summary: ClassVar[str] = "HTTP/1.1 over Python's http.client: sync, without TLS."
    capabilities: ClassVar[frozenset[str]] = frozenset({"sync"})

    keepalive: Duration = Field(default=60.0, description="An idle connection is not used after this time.")

    def open(self, endpoint: Endpoint) -> Channel:
        """A channel to this endpoint."""
        if endpoint.scheme != "http":
            raise self._error(endpoint, f"it does not speak {endpoint.scheme}")
        return _Channel(endpoint, self.keepalive)

    def open_async(self, endpoint: Endpoint) -> AsyncChannel:
        """There is none."""
        raise self._error(endpoint, "http.client has no async side")

    def _error(self, endpoint: Endpoint, why: str) -> PluginError:
        text = f"transport 'http_client' cannot open {endpoint.url}: {why}\nNext: use transport = \"auto\"."
        return PluginError(text, plugin=self.kind)


class _BodyError(Exception):
    """The caller's own body failed, for the reason that is the cause: no failure of the connection."""


class _Connection(HTTPConnection):
    """A connection that knows its line, and when it was used last."""

    def __init__(self, endpoint: Endpoint, line: Line) -> None:
        super().__init__(endpoint.host, endpoint.port)
        self.sock = line
        self.line = line
        self.is_used = False
        self.rests_since = 0.0


class _Channel(Channel):
    """The way to one endpoint.

    Mutable state: the idle connections, in a deque, which needs no lock; whose they are; whether it is closed.
    """

    def __init__(self, endpoint: Endpoint, keepalive: float) -> None:
        self._endpoint = endpoint
        self._keepalive = keepalive
        self._idle: deque[_Connection] = deque()
        self._is_closed = False
        self._process = os.getpid()

    def send(self, request: Request, timeouts: Timeouts) -> Reply:
        """Send a request and read the whole answer."""
        ends_at = time.monotonic() + timeouts.total
        connection, response = self._begin(request, timeouts, ends_at)
        pieces: list[bytes] = []
        try:
            while piece := _next_piece(response):
                pieces.append(piece)
        except BaseException as error:
            connection.close()
            if isinstance(error, OSError | HTTPException):
                raise self.failure(error, Phase.STREAM, timeouts.total) from error
            raise
        self.finish(connection, response, timeouts)
        return Reply(response.status, tuple(response.getheaders()), b"".join(pieces), self._endpoint)

    def stream(self, request: Request, timeouts: Timeouts) -> Streamed:
        """Send a request; the answer's body is still to come."""
        connection, response = self._begin(request, timeouts, time.monotonic() + timeouts.total)
        return Streamed(response.status, tuple(response.getheaders()), _Body(self, connection, response, timeouts))

    def close(self) -> None:
        """Close every connection that rests; those in use close when their attempt ends."""
        self._is_closed = True
        self._close_resting()

    # --- one attempt -------------------------------------------------------------------------------------------------

    def _begin(self, request: Request, timeouts: Timeouts, ends_at: float) -> tuple[_Connection, HTTPResponse]:
        """Send the request and wait for the head of the answer."""
        connection = self._resting() or self._connected(timeouts, ends_at)
        try:
            return connection, self._exchange(connection, request, timeouts, ends_at)
        except TransportError as error:
            is_stale = connection.is_used and isinstance(error.__cause__, ConnectionError)
            if not (is_stale and timeouts.may_resend and isinstance(request.content, bytes)):
                raise
        connection = self._connected(timeouts, ends_at)
        return connection, self._exchange(connection, request, timeouts, ends_at)

    def _exchange(self, connection: _Connection, request: Request, timeouts: Timeouts, ends_at: float) -> HTTPResponse:
        connection.line.ends_at = ends_at
        phase = Phase.SEND
        try:
            if timeouts.abort is not None:
                timeouts.abort.watch(connection.line.hang_up)
            _put(connection, request)
            phase = Phase.WAIT
            return connection.getresponse()
        except BaseException as error:
            connection.close()
            if isinstance(error, _BodyError) and error.__cause__ is not None:
                raise error.__cause__ from None
            if isinstance(error, OSError | HTTPException):
                raise self.failure(error, phase, timeouts.total) from error
            raise

    def _connected(self, timeouts: Timeouts, ends_at: float) -> _Connection:
        limit = min(timeouts.connect, ends_at - time.monotonic())
        try:
            return _Connection(self._endpoint, Line.to(self._endpoint.host, self._endpoint.port, limit))
        except OSError as error:
            # Nothing was sent: only here may the phase be CONNECT.
            raise self.failure(error, Phase.CONNECT, timeouts.connect) from error

    def _resting(self) -> _Connection | None:
        """A connection that rests and is still fit."""
        if self._process != os.getpid():  # after a fork: they are the parent's
            self._process = os.getpid()
            self._close_resting()
        while (connection := self._taken()) is not None:
            if time.monotonic() - connection.rests_since < self._keepalive and connection.line.is_quiet():
                return connection
            connection.close()
        return None

    def _taken(self) -> _Connection | None:
        try:
            return self._idle.pop()
        except IndexError:  # another thread may have been quicker, so to look first would not help
            return None

    def _close_resting(self) -> None:
        while (connection := self._taken()) is not None:
            connection.close()

    def finish(self, connection: _Connection, response: HTTPResponse, timeouts: Timeouts) -> None:
        """The answer is whole: keep the connection if it may carry another."""
        response.close()
        is_ended = timeouts.abort is not None and not timeouts.abort.forget()
        if response.will_close or is_ended:
            connection.close()
            return
        connection.is_used, connection.rests_since = True, time.monotonic()
        self._idle.append(connection)
        if self._is_closed:
            self._close_resting()

    def failure(self, error: Exception, phase: Phase, limit: float) -> TransportError:
        """The failure of an attempt that came to this phase."""
        if isinstance(error, TimeoutError):
            text = f"{self._endpoint.authority} took longer than {limit:g} s"
            return TransportError(text, phase=phase, timed_out=True)
        what = "cannot connect to" if phase is Phase.CONNECT else "lost"
        detail = str(error) or type(error).__name__
        return TransportError(f"{what} {self._endpoint.authority}: {detail}", phase=phase)


class _Body(Body):
    """The body of a streamed reply. Its connection rests again when the body was read to its end."""

    def __init__(self, channel: _Channel, connection: _Connection, response: HTTPResponse, timeouts: Timeouts) -> None:
        self._channel = channel
        self._connection = connection
        self._response = response
        self._timeouts = timeouts
        self._gap = timeouts.between_pieces
        self._is_over = False

    def __iter__(self) -> Iterator[bytes]:
        while not self._is_over:
            self._connection.line.ends_at = time.monotonic() + self._gap
            try:
                piece = _next_piece(self._response)
            except (OSError, HTTPException) as error:
                self.close()
                raise self._channel.failure(error, Phase.STREAM, self._gap) from error
            if not piece:
                self._is_over = True
                self._channel.finish(self._connection, self._response, self._timeouts)
                return
            yield piece

    def close(self) -> None:
        """Stop reading. What was not read cannot be skipped, so the connection goes."""
        if not self._is_over:
            self._is_over = True
            self._response.close()
            self._connection.close()

    def allow(self, seconds: float) -> bool:
        """Wait at most so long for each piece from now on."""
        self._gap = seconds
        return True


def _put(connection: _Connection, request: Request) -> None:
    """Send head and body."""
    content = request.content
    if isinstance(content, AsyncIterable):
        raise TypeError("sync code cannot send an async body")
    connection.putrequest(request.method, request.target, skip_accept_encoding=True)
    for name, value in request.headers:
        connection.putheader(name, value)
    if not isinstance(content, bytes):
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders(_told_apart(content), encode_chunked=True)
        return
    if content or request.method in _HAVE_A_BODY:
        connection.putheader("Content-Length", str(len(content)))
    connection.endheaders(content or None)


def _told_apart(content: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from content
    except Exception as error:
        raise _BodyError from error


def _next_piece(response: HTTPResponse) -> bytes:
    """What has arrived of the body; empty at its end.

    Raises:
        OSError, HTTPException: It broke off.
    """
    piece = response.read1(_PIECE)
    if not piece and response.length:
        # `read1` takes an early end for the end.
        raise ConnectionError(f"{response.length} bytes of the body are missing")
    return piece
