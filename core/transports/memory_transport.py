"""The in-memory transport: endpoints are functions. Not for configuration files; hand it to a `ServicePlan`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import ConfigDict

from ..endpoint import Endpoint
from ..interfaces.transport import AsyncChannel, Channel, Transport
from ._async.memory_channel import AsyncMemoryChannel
from ._sync.memory_channel import MemoryChannel
from .memory import MemoryServer

__all__ = ["MemoryTransport"]


class MemoryTransport(Transport):
    """Reaches servers in memory by their `host:port`. An address without a server refuses connections."""

    model_config: ClassVar[ConfigDict] = ConfigDict(arbitrary_types_allowed=True)

    kind: ClassVar[str] = "memory"
    summary: ClassVar[str] = "In memory: for tests and simulations."
    capabilities: ClassVar[frozenset[str]] = frozenset({"async", "sync", "trio"})

    servers: Mapping[str, MemoryServer]

    def open(self, endpoint: Endpoint) -> Channel:
        return MemoryChannel(endpoint, self.servers.get(endpoint.authority))

    def open_async(self, endpoint: Endpoint) -> AsyncChannel:
        return AsyncMemoryChannel(endpoint, self.servers.get(endpoint.authority))
