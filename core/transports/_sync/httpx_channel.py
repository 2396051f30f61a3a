# Made by tools/unasync.py from core/transports/_async/httpx_channel.py. Change that file, then run the tool.
"""A channel over httpx."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator

import httpx

from ...endpoint import Endpoint
from ...errors import Phase
from ...interfaces.transport import Body, Channel, Streamed, Timeouts
from ...message import Content, Reply, Request
from ..bodies import pieces
from ..httpx_errors import as_transport_error
from ..limits import limit

__all__ = ["HttpxChannel"]


class HttpxChannel(Channel):
    """One `httpx` transport, and so one pool of connections, for one endpoint.

    The transport is used without a client on top: redirects, cookies and the like are not this floor's business.
    """

    def __init__(self, endpoint: Endpoint, limits: httpx.Limits, verify: ssl.SSLContext) -> None:
        self._endpoint = endpoint
        self._origin = httpx.URL(f"{endpoint.scheme}://{endpoint.authority}")
        self._hosts = (("Host", endpoint.host_field),) if endpoint.server_name is not None else ()
        self._extensions = {"sni_hostname": endpoint.tls_name} if endpoint.scheme == "https" else {}
        self._transport = httpx.HTTPTransport(verify=verify, limits=limits, trust_env=False)

    def send(self, request: Request, timeouts: Timeouts) -> Reply:
        ends_at = time.monotonic() + timeouts.total
        limits = _limits(timeouts)
        outgoing, content = self._outgoing(request, limits)
        pieces: list[bytes] = []
        phase = Phase.WAIT
        try:
            with limit(timeouts.total):
                response = self._transport.handle_request(outgoing)
                phase = Phase.STREAM
                try:
                    # httpcore reads the limit anew when the body begins; between two pieces only we can look.
                    limits["read"] = max(0.001, ends_at - time.monotonic())
                    assert isinstance(response.stream, httpx.SyncByteStream)  # noqa: S101 - tells the type checker
                    for piece in response.stream:
                        pieces.append(piece)
                        if time.monotonic() > ends_at:
                            raise TimeoutError
                finally:
                    response.close()
        except (httpx.HTTPError, TimeoutError, ssl.SSLError) as error:
            raise as_transport_error(error, self._endpoint, phase, timeouts) from error
        finally:
            content.close()
        return Reply(response.status_code, tuple(response.headers.multi_items()), b"".join(pieces), self._endpoint)

    def stream(self, request: Request, timeouts: Timeouts) -> Streamed:
        limits = _limits(timeouts)
        outgoing, content = self._outgoing(request, limits)
        try:
            with limit(timeouts.total):
                response = self._transport.handle_request(outgoing)
        except (httpx.HTTPError, TimeoutError, ssl.SSLError) as error:
            raise as_transport_error(error, self._endpoint, Phase.WAIT, timeouts) from error
        finally:
            content.close()
        # httpcore reads the limit anew when the body begins, and never again.
        limits["read"] = timeouts.between_pieces
        headers = tuple(response.headers.multi_items())
        return Streamed(response.status_code, headers, HttpxBody(response, self._endpoint, timeouts))

    def _outgoing(self, request: Request, limits: dict[str, float]) -> tuple[httpx.Request, HttpxContent]:
        content, headers = request.content, request.headers
        if self._hosts:
            headers = (*self._hosts, *(pair for pair in headers if pair[0].lower() != "host"))
        stream = HttpxContent(content)
        outgoing = httpx.Request(
            request.method,
            self._origin.copy_with(raw_path=request.target.encode("ascii")),
            headers=headers,
            content=(content or None) if isinstance(content, bytes) else stream,
            extensions={"timeout": limits, **self._extensions},
        )
        outgoing.stream = stream
        return outgoing, stream

    def close(self) -> None:
        self._transport.close()


def _limits(timeouts: Timeouts) -> dict[str, float]:
    total = timeouts.total
    return {"connect": timeouts.connect, "pool": timeouts.connect, "read": total, "write": total}


class HttpxContent(httpx.SyncByteStream):
    """The body of one request. Nobody else closes it: httpx leaves it where the connection broke, which trio minds."""

    def __init__(self, content: Content) -> None:
        self._pieces = pieces(content)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        self._pieces.close()


class HttpxBody(Body):
    """The body of one response."""

    def __init__(self, response: httpx.Response, endpoint: Endpoint, timeouts: Timeouts) -> None:
        self._response = response
        self._endpoint = endpoint
        self._timeouts = timeouts

    def __iter__(self) -> Iterator[bytes]:
        assert isinstance(self._response.stream, httpx.SyncByteStream)  # noqa: S101 - tells the type checker
        try:
            for piece in self._response.stream:
                yield piece
        except (httpx.HTTPError, TimeoutError, ssl.SSLError) as error:
            raise as_transport_error(error, self._endpoint, Phase.STREAM, self._timeouts) from error

    def close(self) -> None:
        self._response.close()
