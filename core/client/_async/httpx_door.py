"""The httpx door: an httpx client whose requests go through our dispatch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from ..door_words import DoorErrors, door_url, raw_headers
from .door import AsyncDoor, AsyncDoorStream
from .service import AsyncService

__all__ = ["AsyncHttpxTransport", "open_async"]

_ERRORS = DoorErrors(
    unsupported_protocol=httpx.UnsupportedProtocol,
    connect=httpx.ConnectError,
    connect_timeout=httpx.ConnectTimeout,
    write=httpx.WriteError,
    write_timeout=httpx.WriteTimeout,
    read=httpx.ReadError,
    read_timeout=httpx.ReadTimeout,
)


def open_async(service: AsyncService, options: Mapping[str, Any]) -> httpx.AsyncClient:
    """An httpx client for this service. Options are httpx's own."""
    transport = AsyncHttpxTransport(service)
    settings: dict[str, Any] = {"base_url": transport.base_url, "timeout": service.plan.calls.timeout, **options}
    return httpx.AsyncClient(transport=transport, trust_env=False, **settings)


class AsyncHttpxTransport(httpx.AsyncBaseTransport):
    """An httpx transport that sends to the instances of one service.

    An affinity key or a word on repeats goes along as an extension of the request:
    `extensions={"directlane": {"key": "user-7", "repeatable": True}}`.

    Args:
        service: Where requests go. Closing the transport leaves it open.

    Attributes:
        base_url: The only URL that leads through the door: the `base_url` of the client, or of the SDK.
    """

    def __init__(self, service: AsyncService) -> None:
        self.base_url: str = door_url(service.name)
        self._door = AsyncDoor(service, _ERRORS)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send through the door; httpx calls this. Raises httpx's own errors, with ours as their cause."""
        reply = await self._door.send(request)
        return httpx.Response(
            reply.status,
            headers=raw_headers(reply.headers),
            stream=_Stream(reply, request, self._door.words),
            extensions={"directlane": {"endpoint": reply.endpoint, "attempts": reply.attempts}},
            request=request,
        )


class _Stream(AsyncDoorStream, httpx.AsyncByteStream):
    """The body of an answer, as httpx wants it."""
