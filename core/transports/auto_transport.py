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
    summary: ClassVar[str] = "The wire where it can go (sync, asyncio), httpx elsewhere (trio): the default."
    capabilities: ClassVar[frozenset[str]] = frozenset({"async", "sync", "trio", "warm"})

    keepalive: Duration = Field(
        default=60.0,
        description="An idle connection is not used after this time. Gateways of PAI-EAS close theirs after 180 s.",
    )
    max_connections: int | None = Field(
        default=None, ge=1, description="Connections to one endpoint at most. Default: as many as calls are open."
    )
    max_idle: int = Field(default=256, ge=0, description="Idle connections that are kept for one endpoint.")
    tcp_keepalive: Duration = Field(
        default=15.0,
        le=3600,
        description="For the wire: a connection on which nothing moves for so long is probed by the kernel, three "
        "times, each after a third of this time; without an answer it is broken. Whole seconds; 0: never. See "
        "[instances that vanish](../how-to/instances-that-fail.md#instances-that-vanish).",
    )

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
            shared = self.model_dump()
            made = kind.model_validate({name: shared[name] for name in kind.model_fields if name in shared})
            self._made[kind.kind] = made
        return made
