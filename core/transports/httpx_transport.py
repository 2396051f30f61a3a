"""The `httpx` transport: slower than the wire, but on any event loop."""

from __future__ import annotations

import ssl
from functools import partial
from typing import ClassVar

import httpx
from pydantic import Field, PrivateAttr

from ..endpoint import Endpoint
from ..fields import Duration
from ..interfaces.transport import AsyncChannel, Channel
from ._async.httpx_channel import AsyncHttpxChannel
from ._sync.httpx_channel import HttpxChannel
from .tls import TlsTransport

__all__ = ["HttpxTransport"]


class HttpxTransport(TlsTransport):
    """HTTP/1.1 over httpx, with a pool of connections for each endpoint."""

    kind: ClassVar[str] = "httpx"
    summary: ClassVar[str] = "HTTP/1.1 over httpx: on any event loop, trio included."
    capabilities: ClassVar[frozenset[str]] = frozenset({"async", "sync", "trio"})

    keepalive: Duration = Field(
        default=60.0,
        description="An idle connection is closed after this time. Gateways of PAI-EAS close theirs after some 180 s.",
    )
    max_connections: int | None = Field(
        default=None, ge=1, description="Connections to one endpoint at most. Default: as many as calls are open."
    )
    max_idle: int = Field(default=256, ge=0, description="Idle connections that are kept for one endpoint.")

    _unused: ssl.SSLContext = PrivateAttr(default_factory=partial(ssl.SSLContext, ssl.PROTOCOL_TLS_CLIENT))

    def open(self, endpoint: Endpoint) -> Channel:
        return HttpxChannel(endpoint, self._limits(), self._context(endpoint.scheme))

    def open_async(self, endpoint: Endpoint) -> AsyncChannel:
        return AsyncHttpxChannel(endpoint, self._limits(), self._context(endpoint.scheme))

    def _limits(self) -> httpx.Limits:
        return httpx.Limits(
            max_connections=self.max_connections,
            max_keepalive_connections=self.max_idle,
            keepalive_expiry=self.keepalive,
        )

    def _context(self, scheme: str) -> ssl.SSLContext:
        # httpx wants one for http too.
        return self.tls().current() if scheme == "https" else self._unused
