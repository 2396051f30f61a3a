"""The `auto` transport: the wire where it can go, httpx where it cannot."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from pydantic import Field, PrivateAttr

from ..endpoint import Endpoint
from ..fields import Duration
from ..interfaces.transport import AsyncChannel, Channel, Transport
from .httpx_transport import HttpxTransport
from .tls import TlsTransport
from .wire_transport import WireTransport

__all__ = ["AutoTransport"]


class AutoTransport(TlsTransport):
    """The wire for sync code and on asyncio; httpx on other event loops (trio)."""

    kind: ClassVar[str] = "auto"
    summary: ClassVar[str] = "the wire where it can go (sync, asyncio), httpx elsewhere (trio): the default"
    capabilities: ClassVar[frozenset[str]] = frozenset({"async", "sync", "trio", "warm"})

    keepalive: Duration = Field(
        default=60.0,
        description="An idle connection is not used after this time. Gateways of PAI-EAS close theirs after 180 s.",
    )
    max_connections: int | None = Field(
        default=None, ge=1, description="Connections to one endpoint at most. Default: as many as calls are open."
    )
    max_idle: int = Field(default=256, ge=0, description="Idle connections that are kept for one endpoint.")

    _made: dict[str, Transport] = PrivateAttr(default_factory=dict[str, Transport])

    def open(self, endpoint: Endpoint) -> Channel:
        return self._transport(WireTransport).open(endpoint)

    def open_async(self, endpoint: Endpoint) -> AsyncChannel:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._transport(HttpxTransport).open_async(endpoint)
        return self._transport(WireTransport).open_async(endpoint)

    def _transport(self, kind: type[WireTransport | HttpxTransport]) -> Transport:
        made = self._made.get(kind.kind)
        if made is None:
            made = kind(
                keepalive=self.keepalive,
                max_connections=self.max_connections,
                max_idle=self.max_idle,
                ca_file=self.ca_file,
                certificate_file=self.certificate_file,
                key_file=self.key_file,
            )
            self._made[kind.kind] = made
        return made
