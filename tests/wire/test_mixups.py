"""Never one caller's bytes in another caller's reply, whatever the server does and whoever gives up in between."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import threading

from wire_answers import OK
from wire_lab import AsyncCaller, RawServer, SyncCaller, read_request

from directlane import Request, Timeouts, TransportError
from directlane.core.transports.wire_transport import WireTransport

CALLERS = 16
CALLS = 40


def mischief(connection: socket.socket, number: int) -> None:
    """Echoes the body; sometimes late, cut short, broken off, twice, with more behind it, or in odd pieces."""
    chance = random.Random(number)
    while (request := read_request(connection)) is not None:
        body = request[1]
        plain = OK + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        match chance.randrange(16):
            case 0:
                return
            case 1:
                connection.sendall(plain[: chance.randrange(len(plain))])
                return
            case 2:
                threading.Event().wait(chance.random() * 0.03)
                connection.sendall(plain)
            case 3:
                connection.sendall(plain + plain)  # the same answer twice, the second for nobody
            case 4:
                connection.sendall(chunked + b"garbage")
            case 5:
                for start in range(0, len(chunked), 7):
                    connection.sendall(chunked[start : start + 7])
            case 6:
                connection.sendall(OK + b"Connection: close\r\n\r\n" + body)
                return
            case 7:
                connection.sendall(b"HTTP/1.1 103 E\r\n\r\n" + chunked)
            case 8:
                connection.sendall(plain)
                return  # closes a connection that says it stays
            case _:
                connection.sendall(plain)


def bodies(caller: int) -> list[bytes]:
    chance = random.Random(caller)
    return [f"<{caller}.{call}>".encode() * chance.choice([1, 3, 40, 900]) for call in range(CALLS)]


def timeouts(chance: random.Random) -> Timeouts:
    return Timeouts(connect=5, total=chance.choice([10, 10, 10, 0.005]), may_resend=chance.random() < 0.5)


def test_threads() -> None:
    wrong: list[tuple[bytes, bytes]] = []
    right: list[bytes] = []
    with RawServer(mischief) as server, SyncCaller() as caller:
        caller.open(server.endpoint)

        def work(name: int) -> None:
            chance = random.Random(name)
            for body in bodies(name):
                request = Request("POST", "/", (), body)
                with contextlib.suppress(TransportError):
                    streams = chance.random() < 0.3
                    reply = (caller.stream if streams else caller.send)(request, timeouts(chance))
                    (right if reply.content == body else wrong).append((body, reply.content))  # type: ignore[arg-type]

        threads = [threading.Thread(target=work, args=(name,)) for name in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong
    assert len(right) > CALLERS * CALLS // 3


async def _read(caller: AsyncCaller, request: Request, limits: Timeouts, *, streams: bool) -> bytes:
    if not streams:
        return (await caller.channel.send(request, limits)).content
    streamed = await caller.channel.stream(request, limits)
    try:
        return b"".join([piece async for piece in streamed.body])
    finally:
        await streamed.body.aclose()


def test_tasks(tasks: AsyncCaller) -> None:
    wrong: list[tuple[bytes, bytes]] = []
    right: list[bytes] = []

    async def work(name: int) -> None:
        chance = random.Random(name)
        for body in bodies(name):
            request = Request("POST", "/", (), body)
            call = asyncio.create_task(_read(tasks, request, timeouts(chance), streams=chance.random() < 0.3))
            if chance.random() < 0.2:
                await asyncio.sleep(chance.random() * 0.004)
                call.cancel()
            try:
                content = await call
            except (TransportError, asyncio.CancelledError):
                continue
            if content == body:
                right.append(body)
            else:
                wrong.append((body, content))

    async def all_of_them() -> None:
        await asyncio.gather(*[work(name) for name in range(CALLERS)])

    with RawServer(mischief) as server:
        tasks.open(server.endpoint, WireTransport(max_connections=12))
        tasks.run(all_of_them())
        # Whoever was cancelled, wherever: every slot is free again.
        channel = tasks.channel
        assert channel._slots._value == 12  # type: ignore[attr-defined]
        tasks.run(channel.aclose())
    assert not wrong
    assert len(right) > CALLERS * CALLS // 4


def test_cancelled_at_every_await_leaves_nothing_behind(tasks: AsyncCaller) -> None:

    def script(connection: socket.socket, number: int) -> None:
        while (request := read_request(connection)) is not None:
            body = request[1]
            for piece in (b"HTTP/1.1 200 OK\r\n", b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n" % len(body), body):
                connection.sendall(piece)
            connection.sendall(b"\r\n0\r\n\r\n")

    async def scenario() -> None:
        channel = tasks.channel
        for turns in range(40):
            for streams in (False, True):
                mine = f"mine {turns}".encode()
                call = asyncio.create_task(
                    _read(tasks, Request("POST", "/", (), iter([mine, mine])), Timeouts(5, 10), streams=streams)
                )
                for _ in range(turns):
                    await asyncio.sleep(0)
                call.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await call
                reply = await channel.send(Request("POST", "/", (), b"other"), Timeouts(5, 10))
                assert reply.content == b"other"
                assert channel._slots._value == 1  # type: ignore[attr-defined]

    with RawServer(script) as server:
        tasks.open(server.endpoint, WireTransport(max_connections=1))
        tasks.run(scenario())


def test_slow_reader_of_a_stream_is_not_cut_off_and_holds_back_the_server(tasks: AsyncCaller) -> None:
    total = 30_000_000
    sent = [0]

    def script(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(OK + b"Content-Length: %d\r\n\r\n" % total)
        while sent[0] < total:
            sent[0] += connection.send(b"x" * min(100_000, total - sent[0]))

    async def scenario() -> None:
        streamed = await tasks.channel.stream(Request("GET", "/"), Timeouts(connect=5, total=0.2))
        count = 0
        is_first = True
        async for piece in streamed.body:
            if is_first:
                is_first = False
                await asyncio.sleep(0.4)  # longer than the gap that the server may leave
                assert sent[0] < total
            count += len(piece)
        await streamed.body.aclose()
        assert count == total

    with RawServer(script) as server:
        tasks.open(server.endpoint)
        tasks.run(scenario())
