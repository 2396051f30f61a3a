"""Brings the built-in transports."""

from __future__ import annotations

from ..interfaces.transport import Transport
from ..plugins.hooks import hookimpl
from .aiohttp_transport import AiohttpTransport
from .auto_transport import AutoTransport
from .httpx_transport import HttpxTransport
from .wire_transport import WireTransport

__all__ = ["directlane_transports"]


@hookimpl
def directlane_transports() -> list[type[Transport]]:
    """The wire, httpx, the choice between them, and aiohttp."""
    return [AutoTransport, WireTransport, HttpxTransport, AiohttpTransport]
