"""Names, connections and one GET: the looking, without judgement."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import cast

from ..clock import Clock
from ..endpoint import Endpoint
from ..interfaces.provider import Provider, Wire
from ..interfaces.transport import Timeouts, Transport
from ..message import Reply, Request

__all__ = ["addresses_of", "certificate_names", "end_of_handshake", "get", "knock"]


async def addresses_of(host: str, limit: float) -> list[str]:
    """The addresses of a host name, as this machine's resolver tells them.

    Raises:
        OSError: It has none, or nobody said so in time.
    """
    found = await asyncio.wait_for(asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM), limit)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


async def knock(endpoint: Endpoint, limit: float) -> float:
    """Open a TCP connection and close it. Returns the seconds that it took.

    Raises:
        OSError: There is none, or not in time.
    """
    start = time.monotonic()
    _, writer = await asyncio.wait_for(asyncio.open_connection(endpoint.host, endpoint.port), limit)
    seconds = time.monotonic() - start
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return seconds


async def certificate_names(endpoint: Endpoint, context: ssl.SSLContext, limit: float) -> list[str]:
    """The names that the certificate of an instance is for; none if it cannot be looked at.

    Args:
        endpoint: The instance.
        context: One that checks the authority, since Python shows no other certificates, and not the name.
        limit: Seconds.
    """
    opening = asyncio.open_connection(endpoint.host, endpoint.port, ssl=context, server_hostname=endpoint.tls_name)
    try:
        _, writer = await asyncio.wait_for(opening, limit)
    except OSError:
        return []
    certificate = cast("Mapping[str, object]", writer.get_extra_info("peercert") or {})
    writer.transport.abort()
    names = cast("Iterable[tuple[str, str]]", certificate.get("subjectAltName", ()))
    return [value for kind, value in names if kind in ("DNS", "IP Address")]


async def end_of_handshake(endpoint: Endpoint, context: ssl.SSLContext, limit: float) -> OSError | None:
    """How an instance ends a connection under TLS on which nothing is sent; None if it does not.

    A server says after the handshake that it wants a certificate. If a request is under way by then, its word may be
    lost.
    """
    try:
        async with asyncio.timeout(limit):
            reader, writer = await asyncio.open_connection(
                endpoint.host, endpoint.port, ssl=context, server_hostname=endpoint.tls_name
            )
            try:
                await reader.read(1)
            finally:
                writer.transport.abort()
    except TimeoutError:
        return None
    except OSError as error:
        return error
    return None


async def get(provider: Provider, transport: Transport, endpoint: Endpoint, timeouts: Timeouts, clock: Clock) -> Reply:
    """One GET of the root of the service, as a call would make it: prefix, headers and signature of the provider.

    Raises:
        TransportError: There was no answer.
    """
    channel = transport.open_async(endpoint)
    try:
        return await channel.send(_root_request(provider.wire(endpoint), endpoint, clock), timeouts)
    finally:
        await channel.aclose()


def _root_request(wire: Wire, endpoint: Endpoint, clock: Clock) -> Request:
    request = Request("GET", endpoint.base_path + wire.prefix or "/", wire.headers)
    if wire.sign is not None:
        added = wire.sign(request, clock.unix())
        names = {name.lower() for name, _ in added}
        kept = tuple(pair for pair in wire.headers if pair[0].lower() not in names)
        request.headers = kept + added
    return request
