"""Bar R3 on the wire: the kernel's timer only wakes early, the end of the time is kept by a clock that is exact."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from wire_lab import AsyncCaller

from directlane.core.transports.wire.async_connection import AsyncConnection
from directlane.core.transports.wire.connection import Connection
from directlane.core.transports.wire.reader import ResponseReader


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    ours, theirs = socket.socketpair()
    connection = Connection(ours, ResponseReader(1000), expires_at=time.monotonic() + 60)
    yield connection, theirs
    connection.close()
    theirs.close()


def test_a_read_takes_its_whole_time_and_no_less(pair: tuple[Connection, socket.socket]) -> None:
    connection, _ = pair
    connection.ends_at = time.monotonic() + 0.1
    connection.rearm()
    with pytest.raises(TimeoutError):
        connection.receive()
    assert time.monotonic() >= connection.ends_at


def test_what_comes_after_the_kernel_rang_and_before_the_end_is_read(pair: tuple[Connection, socket.socket]) -> None:
    connection, theirs = pair
    connection.arm(0.01)
    connection.ends_at = time.monotonic() + 60
    sender = threading.Timer(0.05, theirs.sendall, [b"late, and in time"])
    sender.start()
    assert connection.receive() == b"late, and in time"
    sender.join()


def test_an_end_that_comes_after_the_kernel_rang_is_seen(pair: tuple[Connection, socket.socket]) -> None:
    connection, theirs = pair
    connection.arm(0.01)
    connection.ends_at = time.monotonic() + 60
    closer = threading.Timer(0.05, theirs.close)
    closer.start()
    assert connection.receive() == b""
    closer.join()


def test_a_limit_that_is_past_gives_way_to_an_earlier_one_on_each_event_loop(tasks: AsyncCaller) -> None:
    async def limits() -> None:
        loop = asyncio.get_running_loop()
        connection = AsyncConnection(loop, ResponseReader(1000), expires_at=loop.time() + 60)
        connection.limit(loop.time() - 1)
        connection.limit(loop.time() - 2)
        connection.connection_lost(None)

    tasks.run(limits())
