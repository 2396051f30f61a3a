"""A service of real servers on loopback, for tests of the clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import anyio

from directlane.core.emulation.server import LoopbackServer, ServerReply, ServerRequest, json_reply

__all__ = ["Fleet", "Server", "fleet_of", "served", "served_when", "soon", "soon_async"]


async def served(*pieces: bytes) -> AsyncIterator[bytes]:
    """A body that a server sends piece by piece."""
    for piece in pieces:
        yield piece


async def served_when(heard: Sequence[bytes], *pieces: bytes) -> AsyncIterator[bytes]:
    """A body whose pieces are each sent only when the caller has noted as many in `heard`."""
    for number, piece in enumerate(pieces):
        while len(heard) < number:
            await asyncio.sleep(0.001)
        yield piece


@dataclass
class Server:
    """One server: answers with `behaviour`, remembers what it was asked."""

    name: str
    behaviour: Callable[[ServerRequest], ServerReply] | None = None
    seen: list[ServerRequest] = field(default_factory=list[ServerRequest])
    server: LoopbackServer = field(init=False)

    def handle(self, request: ServerRequest) -> ServerReply:
        self.seen.append(request)
        if self.behaviour is not None:
            return self.behaviour(request)
        return json_reply({"server": self.name, "path": request.target, "bytes": len(request.content)})


@dataclass
class Fleet:
    """Some servers, and the configuration of a service that is made of them."""

    servers: list[Server]

    def data(self, **service: object) -> dict[str, Any]:
        """A configuration with one service `svc`."""
        addresses = [server.server.url for server in self.servers]
        route = {"provider": "static", "addresses": addresses, "name": "main"}
        return {"services": {"svc": {"routes": [route], **service}}}

    def seen(self) -> list[ServerRequest]:
        """Everything that any server was asked."""
        return [request for server in self.servers for request in server.seen]


def fleet_of(count: int) -> Iterator[Fleet]:
    """Start this many servers."""
    with ExitStack() as stack:
        servers = [Server(f"s{number}") for number in range(1, count + 1)]
        for server in servers:
            server.server = stack.enter_context(LoopbackServer(server.handle))
        yield Fleet(servers)


def soon(condition: Callable[[], bool]) -> bool:
    """Whether this becomes true, for what other threads do. Says no after a time that no machine needs."""
    ends_at = time.monotonic() + 20
    while not condition():
        if time.monotonic() > ends_at:
            return False
        time.sleep(0.002)
    return True


async def soon_async(condition: Callable[[], bool]) -> bool:
    """As `soon`, for async code."""
    ends_at = time.monotonic() + 20
    while not condition():
        if time.monotonic() > ends_at:
            return False
        await anyio.sleep(0.002)
    return True
