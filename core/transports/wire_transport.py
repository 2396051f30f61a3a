"""The `wire` transport: HTTP/1.1 straight to an address, as fast as Python gets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from ..endpoint import Endpoint
from ..errors import PluginError
from ..fields import Duration
from ..interfaces.transport import AsyncChannel, Channel
from .tls import TlsTransport
from .wire.async_channel import AsyncWireChannel
from .wire.channel import WireChannel
from .wire.options import WireOptions

__all__ = ["WireTransport"]


class WireTransport(TlsTransport):
    """HTTP/1.1 over plain sockets and asyncio, with a last-in-first-out pool for each endpoint."""

    kind: ClassVar[str] = "wire"
    summary: ClassVar[str] = "HTTP/1.1 straight to an address: the fast one (sync, and async on asyncio)."
    capabilities: ClassVar[frozenset[str]] = frozenset({"async", "sync", "warm"})

    keepalive: Duration = Field(
        default=60.0,
        description="An idle connection is not used after this time. Gateways of PAI-EAS close theirs after 180 s.",
    )
    max_age: Duration = Field(
        default=600.0, description="A connection is not used after this time, so that clients spread over new hosts."
    )
    max_connections: int | None = Field(
        default=None, ge=1, description="Connections to one endpoint at most. Default: as many as calls are open."
    )
    max_idle: int = Field(default=256, ge=0, description="Idle connections that are kept for one endpoint.")
    max_head_bytes: int = Field(
        default=65_536, ge=1024, description="The head of an answer (status and headers) may be this long."
    )
    max_body_bytes: int | None = Field(
        default=None, ge=1, description="The body of an answer that is read as a whole may be this long. Default: any."
    )
    tcp_keepalive: Duration = Field(
        default=15.0,
        le=3600,
        description="A connection on which nothing moves for so long is probed by the kernel, three times, each after "
        "a third of this time; without an answer it is broken. Whole seconds; 0: never. See "
        "[instances that vanish](../how-to/instances-that-fail.md#instances-that-vanish).",
    )
    unix_socket: Path | None = Field(
        default=None, description="Connect to this Unix socket, whatever the address of the endpoint. Default: TCP."
    )

    def open(self, endpoint: Endpoint) -> Channel:
        return WireChannel(endpoint, self._options(endpoint))

    def open_async(self, endpoint: Endpoint) -> AsyncChannel:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise PluginError(
                f"transport 'wire' cannot open {endpoint.authority}: its async side runs on asyncio only\n"
                'Next: run on asyncio, or use transport = "auto", which takes httpx on trio.',
                plugin=self.kind,
            ) from None
        return AsyncWireChannel(endpoint, self._options(endpoint))

    def _options(self, endpoint: Endpoint) -> WireOptions:
        return WireOptions(
            keepalive=self.keepalive,
            max_age=self.max_age,
            max_idle=self.max_idle,
            max_connections=self.max_connections,
            max_head=self.max_head_bytes,
            max_body=self.max_body_bytes,
            unix_socket=str(self.unix_socket) if self.unix_socket is not None else None,
            tcp_keepalive=self.tcp_keepalive,
            tls=self.tls() if endpoint.scheme == "https" else None,
        )
