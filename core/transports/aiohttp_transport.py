"""The `aiohttp` transport: HTTP/1.1 over aiohttp's client, for async code on asyncio. An extra of its own.

aiohttp has no sync side, and no trio: there `open` and `open_async` say so, before a byte is sent.
"""

from __future__ import annotations

import asyncio
import importlib.util
from typing import ClassVar, Self

from pydantic import Field, model_validator

from ..endpoint import Endpoint
from ..errors import PluginError
from ..fields import Duration
from ..interfaces.transport import AsyncChannel, Channel
from .tls import TlsTransport

__all__ = ["AiohttpTransport"]

_MISSING = "transport 'aiohttp' needs a package that is not installed: pip install 'directlane[aiohttp]'"


class AiohttpTransport(TlsTransport):
    """HTTP/1.1 over aiohttp, with a session and so a pool of connections for each endpoint. AsyncClient only."""

    kind: ClassVar[str] = "aiohttp"
    summary: ClassVar[str] = "HTTP/1.1 over aiohttp: for AsyncClient on asyncio; needs the extra 'aiohttp'."
    capabilities: ClassVar[frozenset[str]] = frozenset({"async"})

    keepalive: Duration = Field(
        default=60.0,
        description="An idle connection is closed after this time. Gateways of PAI-EAS close theirs after some 180 s.",
    )
    max_connections: int | None = Field(
        default=None, ge=1, description="Connections to one endpoint at most. Default: as many as calls are open."
    )
    max_head_bytes: int = Field(
        default=65_536, ge=1024, description="The status line, and each header field, of an answer may be this long."
    )

    @model_validator(mode="after")
    def _is_installed(self) -> Self:
        if importlib.util.find_spec("aiohttp") is None:
            raise ValueError(_MISSING)
        return self

    def open(self, endpoint: Endpoint) -> Channel:
        raise PluginError(
            f"transport 'aiohttp' cannot open {endpoint.authority}: aiohttp has no sync side\n"
            'Next: use AsyncClient, or transport = "wire".',
            plugin=self.kind,
        )

    def open_async(self, endpoint: Endpoint) -> AsyncChannel:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise PluginError(
                f"transport 'aiohttp' cannot open {endpoint.authority}: aiohttp runs on asyncio only\n"
                'Next: run on asyncio, or use transport = "httpx".',
                plugin=self.kind,
            ) from None
        try:
            from .aiohttp_channel import AsyncAiohttpChannel  # an extra: imported when it is used
        except ImportError as error:
            raise PluginError(_MISSING, plugin=self.kind) from error
        return AsyncAiohttpChannel(
            endpoint,
            keepalive=self.keepalive,
            max_connections=self.max_connections,
            max_head=self.max_head_bytes,
            tls=self.tls().current() if endpoint.scheme == "https" else None,
        )
