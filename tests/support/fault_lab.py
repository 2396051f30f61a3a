"""Hosts that misbehave as real ones do, and callers who count what it cost them."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest
from wire_lab import read_request

from directlane import AsyncClient, CallError, Client, EndpointView, Reply, Service
from directlane.core.emulation import ProcessInstance

__all__ = [
    "RUNNERS",
    "SCRIPTS",
    "Run",
    "Tally",
    "Wall",
    "call_until",
    "stopped",
    "views_by_port",
]

PATIENCE = 60.0
CALLERS = 8

_RESET = struct.pack("ii", 1, 0)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


# --- hosts --------------------------------------------------------------------------------------------------------


class Wall:
    """A place where no connection can be opened and none is refused: its queue is full, so SYNs are dropped.

    So it is with a host that is gone, or behind a firewall.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((host, port))
        self._listener.listen(0)
        self.host, self.port = self._listener.getsockname()
        self._waiting: list[socket.socket] = []
        while len(self._waiting) < 16:
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex((self.host, self.port))
            self._waiting.append(waiting)
            # On loopback a connection stands at once, or not at all.
            if not select.select([], [waiting], [], 0.05)[1]:
                return
        self.close()
        pytest.skip("this system takes connections beyond the backlog")

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def close(self) -> None:
        """Tear it down: the port is free again."""
        for waiting in self._waiting:
            waiting.close()
        self._listener.close()


@contextmanager
def stopped(instance: ProcessInstance) -> Generator[None]:
    """In this block the process does not run (SIGSTOP); the kernel still takes connections and bytes for it."""
    assert instance.pid is not None
    os.kill(instance.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(instance.pid, signal.SIGCONT)


def _wait_for_the_end(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def _accept_and_close(connection: socket.socket, _: int) -> None:
    pass


def _accept_and_reset(connection: socket.socket, _: int) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def _read_and_close(connection: socket.socket, _: int) -> None:
    read_request(connection)


def _half_closed(connection: socket.socket, _: int) -> None:
    connection.shutdown(socket.SHUT_WR)
    _wait_for_the_end(connection)


def _half_closed_after_the_request(connection: socket.socket, _: int) -> None:
    read_request(connection)
    connection.shutdown(socket.SHUT_WR)
    _wait_for_the_end(connection)


def _trickle(start: bytes) -> Callable[[socket.socket, int], None]:
    def script(connection: socket.socket, _: int) -> None:
        read_request(connection)
        connection.sendall(start)
        while True:  # until nobody listens any more
            connection.sendall(b"x")
            time.sleep(0.02)

    return script


def _reset_in_the_middle(connection: socket.socket, _: int) -> None:
    read_request(connection)
    connection.sendall(_HEAD + b'content-length: 1000\r\n\r\n{"half": ')
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def _saying(answer: bytes) -> Callable[[socket.socket, int], None]:
    def script(connection: socket.socket, _: int) -> None:
        read_request(connection)
        connection.sendall(answer)

    return script


def _speaking_first(banner: bytes) -> Callable[[socket.socket, int], None]:
    def script(connection: socket.socket, _: int) -> None:
        connection.sendall(banner)
        _wait_for_the_end(connection)

    return script


SCRIPTS: Mapping[str, Callable[[socket.socket, int], None]] = {
    "accepts and closes": _accept_and_close,
    "accepts and resets": _accept_and_reset,
    "reads the request and closes": _read_and_close,
    "closes its half at once": _half_closed,
    "closes its half after the request": _half_closed_after_the_request,
    "head byte by byte": _trickle(b"HTTP/1.1 200 OK\r\nx-slow: "),
    "body byte by byte": _trickle(_HEAD + b"content-length: 1000000\r\n\r\n"),
    "resets in the middle of the body": _reset_in_the_middle,
    "half a head": _saying(_HEAD),
    "garbage": _saying(os.urandom(16).replace(b"H", b"h") + b"\r\n\r\n"),
    "an alert of TLS": _saying(b"\x15\x03\x01\x00\x02\x02\x46"),
    "another protocol that speaks first": _speaking_first(b"220 mail.example ESMTP\r\n"),
}
"""What a host may do with a connection that it took."""


# --- callers ------------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What the callers saw. Appending to a list is atomic."""

    replies: list[Reply] = field(default_factory=list[Reply])
    failed: list[CallError] = field(default_factory=list[CallError])
    views: list[EndpointView] = field(default_factory=list[EndpointView])

    @property
    def ports(self) -> set[int]:
        """Who answered."""
        return {reply.endpoint.port for reply in self.replies if reply.endpoint is not None}

    def view(self, port: int) -> EndpointView:
        """How the endpoint at this port was doing in the end."""
        return next(view for view in self.views if view.endpoint.port == port)


def _in_threads(data: dict[str, Any], calls: int, environment: Mapping[str, str] | None = None) -> Tally:
    tally = Tally()
    with Client.from_data(data, environment=environment or {}) as client:
        service = client.service("svc")

        def call(_: int) -> None:
            try:
                tally.replies.append(service.send(b"{}"))
            except CallError as error:
                tally.failed.append(error)

        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(call, range(calls)))
        tally.views = service.endpoints()
    return tally


def _in_tasks(data: dict[str, Any], calls: int, environment: Mapping[str, str] | None = None) -> Tally:
    tally = Tally()

    async def main() -> None:
        async with AsyncClient.from_data(data, environment=environment or {}) as client:
            service = client.service("svc")
            numbers = iter(range(calls))

            async def caller() -> None:
                for _ in numbers:
                    try:
                        tally.replies.append(await service.send(b"{}"))
                    except CallError as error:
                        tally.failed.append(error)

            await asyncio.gather(*(caller() for _ in range(CALLERS)))
            tally.views = service.endpoints()

    asyncio.run(main())
    return tally


Run: TypeAlias = Callable[[dict[str, Any], int], Tally]
RUNNERS = pytest.mark.parametrize("run", [_in_threads, _in_tasks], ids=["sync", "async"])
"""Makes so many calls of the service `svc`, by `CALLERS` at a time."""


def call_until(service: Service, is_so: Callable[[], bool]) -> int:
    """Call until something is so; no call may fail. How many it were."""
    ends_at = time.monotonic() + PATIENCE
    count = 0
    while not is_so():
        assert service.send(b"{}").ok
        count += 1
        assert time.monotonic() < ends_at, "it never comes"
    return count


def views_by_port(service: Service) -> dict[int, EndpointView]:
    """Every endpoint, by its port."""
    return {view.endpoint.port: view for view in service.endpoints()}
