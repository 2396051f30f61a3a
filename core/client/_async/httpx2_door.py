"""The httpx2 door: an httpx2 client whose requests go through our dispatch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2

from ..door_words import DoorErrors, door_url, raw_headers
from .door import AsyncDoor, AsyncDoorStream
from .service import AsyncService

__all__ = ["AsyncHttpx2Transport", "open_async"]

_ERRORS = DoorErrors(
    unsupported_protocol=httpx2.UnsupportedProtocol,
    connect=httpx2.ConnectError,
    connect_timeout=httpx2.ConnectTimeout,
    write=httpx2.WriteError,
    write_timeout=httpx2.WriteTimeout,
    read=httpx2.ReadError,
    read_timeout=httpx2.ReadTimeout,
)


def open_async(service: AsyncService, options: Mapping[str, Any]) -> httpx2.AsyncClient:
    """An httpx2 client for this service. Options are httpx2's own."""
    transport = AsyncHttpx2Transport(service)
    settings: dict[str, Any] = {"base_url": transport.base_url, "timeout": service.plan.calls.timeout, **options}
    return httpx2.AsyncClient(transport=transport, trust_env=False, **settings)


class AsyncHttpx2Transport(httpx2.AsyncBaseTransport):
    """An httpx2 transport that sends to the instances of one service.

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

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send through the door; httpx2 calls this. Raises httpx2's own errors, with ours as their cause."""
        reply = await self._door.send(request)
        return httpx2.Response(
            reply.status,
            headers=raw_headers(reply.headers),
            stream=_Stream(reply, request, self._door.words),
            extensions={"directlane": {"endpoint": reply.endpoint, "attempts": reply.attempts}},
            request=request,
        )


class _Stream(AsyncDoorStream, httpx2.AsyncByteStream):
    """The body of an answer, as httpx2 wants it."""
