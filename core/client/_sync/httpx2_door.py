# Made by tools/unasync.py from core/client/_async/httpx2_door.py. Change that file, then run the tool.
"""The httpx2 door: an httpx2 client whose requests go through our dispatch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2

from ..door_words import DoorErrors, door_url, raw_headers
from .door import Door, DoorStream
from .service import Service

__all__ = ["Httpx2Transport", "open"]

_ERRORS = DoorErrors(
    unsupported_protocol=httpx2.UnsupportedProtocol,
    connect=httpx2.ConnectError,
    connect_timeout=httpx2.ConnectTimeout,
    write=httpx2.WriteError,
    write_timeout=httpx2.WriteTimeout,
    read=httpx2.ReadError,
    read_timeout=httpx2.ReadTimeout,
)


def open(service: Service, options: Mapping[str, Any]) -> httpx2.Client:
    """An httpx2 client for this service. Options are httpx2's own."""
    transport = Httpx2Transport(service)
    settings: dict[str, Any] = {"base_url": transport.base_url, "timeout": service.plan.calls.timeout, **options}
    return httpx2.Client(transport=transport, trust_env=False, **settings)


class Httpx2Transport(httpx2.BaseTransport):
    """An httpx2 transport that sends to the instances of one service.

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

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send through the door; httpx2 calls this. Raises httpx2's own errors, with ours as their cause."""
        reply = self._door.send(request)
        return httpx2.Response(
            reply.status,
            headers=raw_headers(reply.headers),
            stream=_Stream(reply, request, self._door.words),
            extensions={"directlane": {"endpoint": reply.endpoint, "attempts": reply.attempts}},
            request=request,
        )


class _Stream(DoorStream, httpx2.SyncByteStream):
    """The body of an answer, as httpx2 wants it."""
