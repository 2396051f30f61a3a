"""A channel over aiohttp. The only module that meets it.

aiohttp sends a request of an idempotent method a second time by itself when a connection breaks, whatever the caller
thinks of it. Where the request may not be repeated, a middleware gives the failure a type that aiohttp does not repeat.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import aiohttp
from yarl import URL

from ..endpoint import Endpoint
from ..errors import ClosedError, InvalidRequestError, Phase, TransportError
from ..fields import format_duration
from ..interfaces.transport import AsyncBody, AsyncChannel, AsyncStreamed, Timeouts
from ..message import Content, Headers, Reply, Request
from ..os_reason import os_reason
from ..syntax import check_headers, check_method, check_target
from .bodies import pieces_async

__all__ = ["AsyncAiohttpChannel"]

_SLICE = 256 * 1024
_OURS = frozenset({"connection", "keep-alive", "host", "transfer-encoding", "upgrade", "te", "trailer", "expect"})
_NOT_BY_ITSELF = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")

# aiohttp raises these only while a connection is being made, TLS included: no byte of the request has left.
_CONNECTING = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class AsyncAiohttpChannel(AsyncChannel):
    """One session, and so one pool of connections, for one endpoint. Belongs to one event loop.

    Args:
        endpoint: Where it leads.
        keepalive: Seconds after which an idle connection is closed.
        max_connections: At most so many. None: any.
        max_head: Bytes of the status line, and of each header field, of an answer.
        tls: For https.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        keepalive: float,
        max_connections: int | None,
        max_head: int,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._endpoint = endpoint
        self._origin = f"{endpoint.scheme}://{endpoint.authority}"
        self._hosts = [("Host", endpoint.host_field)] if endpoint.server_name is not None else []
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=max_connections or 0, keepalive_timeout=keepalive, ssl=True if tls is None else tls
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_NOT_BY_ITSELF,
            max_line_size=max_head,
            max_field_size=max_head,
            read_bufsize=_SLICE,
        )

    async def send(self, request: Request, timeouts: Timeouts) -> Reply:
        phase: Phase | None = None
        body = _Outgoing(request.content)
        try:
            async with asyncio.timeout(timeouts.total):
                response = await self._begin(request, body, timeouts)
                phase = Phase.STREAM
                content = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise self._translated(error, phase, body, timeouts) from error
        return Reply(response.status, _headers_of(response), content, self._endpoint)

    async def stream(self, request: Request, timeouts: Timeouts) -> AsyncStreamed:
        body = _Outgoing(request.content)
        try:
            async with asyncio.timeout(timeouts.total):
                response = await self._begin(request, body, timeouts)
        except (aiohttp.ClientError, OSError) as error:
            raise self._translated(error, None, body, timeouts) from error
        return AsyncStreamed(response.status, _headers_of(response), _AiohttpBody(self, response, timeouts))

    async def aclose(self) -> None:
        await self._session.close()
        # Let the sockets be closed in the next turn of the loop, before it may be closed itself.
        await asyncio.sleep(0)

    # --- one exchange -------------------------------------------------------------------------------------------------

    async def _begin(self, request: Request, body: _Outgoing, timeouts: Timeouts) -> aiohttp.ClientResponse:
        if self._session.closed:
            raise ClosedError(f"the channel to {self._endpoint.id} is closed")
        check_method(request.method)
        check_target(request.target)
        check_headers(request.headers)
        return await self._session.request(
            request.method,
            URL(self._origin + request.target, encoded=True),
            data=body.data(),
            headers=[*self._hosts, *body.headers(request.headers)],
            server_hostname=self._endpoint.tls_name,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(
                total=None,
                connect=timeouts.connect,
                sock_read=max(timeouts.total, timeouts.between_pieces),
                ceil_threshold=float("inf"),
            ),
            middlewares=() if timeouts.may_resend else (_once,),
        )

    def _translated(self, error: Exception, phase: Phase | None, body: _Outgoing, timeouts: Timeouts) -> Exception:
        if body.failure is not None:
            # The caller's own body has failed; aiohttp wraps what it raised.
            return body.failure
        if isinstance(error, _OnceError) and isinstance(error.__cause__, Exception):
            error = error.__cause__
        return self.translated(error, phase or (Phase.WAIT if body.is_sent else Phase.SEND), timeouts)

    def translated(self, error: Exception, reached: Phase, timeouts: Timeouts) -> TransportError:
        """Our error for one of aiohttp's: by its type the phase CONNECT, otherwise the phase that was reached."""
        authority = self._endpoint.authority
        phase = Phase.CONNECT if isinstance(error, _CONNECTING) else reached
        if isinstance(error, TimeoutError):
            limit = timeouts.connect if phase is Phase.CONNECT else timeouts.total
            return TransportError(f"{authority} took longer than {format_duration(limit)}", phase=phase, timed_out=True)
        if phase is Phase.CONNECT:
            return TransportError(f"cannot connect to {authority}: {os_reason(error)}", phase=phase)
        return TransportError(f"{authority} broke off: {os_reason(error)}", phase=phase)


class _Outgoing:
    """A request body on its way, and what became of it.

    Attributes:
        failure: What the caller's own iterable raised; None if nothing.
        is_sent: Whether all of it was handed over.
    """

    __slots__ = ("_content", "_declared", "failure", "is_sent")

    def __init__(self, content: Content) -> None:
        self._content = content
        self._declared: int | None = None
        self.failure: Exception | None = None
        self.is_sent = isinstance(content, bytes)

    def data(self) -> bytes | AsyncIterator[bytes] | None:
        """What aiohttp sends."""
        if isinstance(self._content, bytes):
            # aiohttp warns of long bytes, since it writes them at once: they go in slices.
            return (self._content or None) if len(self._content) <= _SLICE else _slices(self._content)
        return self._pieces()

    def headers(self, given: Headers) -> list[tuple[str, str]]:
        """The header fields to send. The connection is ours, and so is the framing."""
        kept: list[tuple[str, str]] = []
        for name, value in given:
            lower = name.lower()
            if lower == "content-length":
                if not (value.isascii() and value.isdigit()):
                    raise InvalidRequestError("header 'Content-Length' is not a number")
                self._declared = int(value)
            elif lower not in _OURS:
                kept.append((name, value))
        length = len(self._content) if isinstance(self._content, bytes) else self._declared
        if length is not None and (length > _SLICE or not isinstance(self._content, bytes)):
            kept.append(("Content-Length", str(length)))
        return kept

    async def _pieces(self) -> AsyncIterator[bytes]:
        sent = 0
        try:
            async for piece in pieces_async(self._content):
                sent += len(piece)
                if self._declared is not None and sent > self._declared:
                    raise InvalidRequestError(f"the body is longer than its Content-Length of {self._declared} bytes")
                yield piece
            if self._declared is not None and sent != self._declared:
                raise InvalidRequestError(f"the body has {sent} bytes, its Content-Length says {self._declared}")
        except Exception as error:
            self.failure = error
            raise
        self.is_sent = True


class _AiohttpBody(AsyncBody):
    """The body of one response."""

    def __init__(self, channel: AsyncAiohttpChannel, response: aiohttp.ClientResponse, timeouts: Timeouts) -> None:
        self._channel = channel
        self._response = response
        self._timeouts = timeouts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.content.iter_any():
                yield piece
        except (aiohttp.ClientError, OSError) as error:
            raise self._channel.translated(error, Phase.STREAM, self._timeouts) from error

    async def aclose(self) -> None:
        # A response that was read to its end has given its connection back already.
        self._response.close()


class _OnceError(aiohttp.ClientError):
    """Stands for a failure after which aiohttp would send the request again."""


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except _CONNECTING:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _OnceError from error


def _headers_of(response: aiohttp.ClientResponse) -> Headers:
    return tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers])


async def _slices(content: bytes) -> AsyncIterator[bytes]:
    view = memoryview(content)
    for start in range(0, len(content), _SLICE):
        yield bytes(view[start : start + _SLICE])
