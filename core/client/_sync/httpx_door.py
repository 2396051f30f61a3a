# Made by tools/unasync.py from core/client/_async/httpx_door.py. Change that file, then run the tool.
"""The httpx door: an httpx client whose requests go through our dispatch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from ..door_words import DoorErrors, door_url, raw_headers
from .door import Door, DoorStream
from .service import Service

__all__ = ["HttpxTransport", "open"]

_ERRORS = DoorErrors(
    unsupported_protocol=httpx.UnsupportedProtocol,
    connect=httpx.ConnectError,
    connect_timeout=httpx.ConnectTimeout,
    write=httpx.WriteError,
    write_timeout=httpx.WriteTimeout,
    read=httpx.ReadError,
    read_timeout=httpx.ReadTimeout,
)


def open(service: Service, options: Mapping[str, Any]) -> httpx.Client:
    """An httpx client for this service. Options are httpx's own."""
    transport = HttpxTransport(service)
    settings: dict[str, Any] = {"base_url": transport.base_url, "timeout": service.plan.calls.timeout, **options}
    return httpx.Client(transport=transport, trust_env=False, **settings)


class HttpxTransport(httpx.BaseTransport):
    """An httpx transport that sends to the instances of one service.

    An affinity key or a word on repeats goes along as an extension of the request:
    `extensions={"directlane": {"key": "user-7", "repeatable": True}}`.

    Args:
        service: Where requests go. Closing the transport leaves it open.

    Attributes:
        base_url: The only URL that leads through the door: the `base_url` of the client, or of the SDK.
    """

    def __init__(self, service: Service) -> None:
        self.base_url: str = door_url(service.name)
        self._door = Door(service, _ERRORS)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send through the door; httpx calls this. Raises httpx's own errors, with ours as their cause."""
        reply = self._door.send(request)
        return httpx.Response(
            reply.status,
            headers=raw_headers(reply.headers),
            stream=_Stream(reply, request, self._door.words),
            extensions={"directlane": {"endpoint": reply.endpoint, "attempts": reply.attempts}},
            request=request,
        )


class _Stream(DoorStream, httpx.SyncByteStream):
    """The body of an answer, as httpx wants it."""
