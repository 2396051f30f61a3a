"""Connections that are kept: when one is used again, when not, and when a request may go out a second time."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable

import pytest
from wire_answers import CHUNKED, FITTING, OK
from wire_lab import GET, PATIENT, POST, AsyncCaller, Caller, RawServer, SyncCaller, read_request

from directlane import ClosedError, Phase, Request, Timeouts, TransportError
from directlane.core.transports.wire_transport import WireTransport

AGAIN = Timeouts(connect=5, total=10, may_resend=True)


class Counting:
    """Answers, and counts what it saw. `breaks(connection number, request number)` breaks off instead of answering."""

    def __init__(self, answer: bytes = FITTING, breaks: Callable[[int, int], bytes | None] = lambda c, r: None) -> None:
        self.answer = answer
        self.breaks = breaks
        self.requests: list[tuple[int, bytes]] = []

    def __call__(self, connection: socket.socket, number: int) -> None:
        count = 0
        while (request := read_request(connection)) is not None:
            count += 1
            self.requests.append((number, request[1]))
            last = self.breaks(number, count)
            if last is not None:
                connection.sendall(last)
                return
            connection.sendall(self.answer)


def second(connection: int, request: int) -> bytes | None:
    return b"" if connection == 1 and request == 2 else None


def test_connection_that_broke_without_a_byte_is_replaced_once(caller: Caller) -> None:
    script = Counting(breaks=second)
    with RawServer(script) as server:
        caller.open(server.endpoint)
        for _ in range(2):
            assert caller.send(POST, AGAIN).content == b"ab"
    assert [number for number, _ in script.requests] == [1, 1, 2]


def test_nothing_is_sent_twice_unless_that_does_no_harm(caller: Caller) -> None:
    script = Counting(breaks=second)
    with RawServer(script) as server:
        caller.open(server.endpoint)
        caller.send(POST)
        with pytest.raises(TransportError) as caught:
            caller.send(POST, PATIENT)
    assert caught.value.phase is Phase.WAIT
    assert len(script.requests) == 2


@pytest.mark.parametrize("begun", [b"H", OK, OK + b"Content-Length: 2\r\n\r\na"])
def test_nothing_is_sent_twice_once_an_answer_began(caller: Caller, begun: bytes) -> None:
    script = Counting(breaks=lambda connection, request: begun if request == 2 else None)
    with RawServer(script) as server:
        caller.open(server.endpoint)
        caller.send(POST, AGAIN)
        with pytest.raises(TransportError):
            caller.send(POST, AGAIN)
    assert len(script.requests) == 2


def test_stream_is_never_sent_twice(caller: Caller) -> None:
    script = Counting(breaks=second)
    with RawServer(script) as server:
        caller.open(server.endpoint)
        caller.send(POST, AGAIN)
        with pytest.raises(TransportError):
            caller.send(Request("POST", "/", (), iter([b"one"])), AGAIN)
    assert len(script.requests) == 2


def test_new_connection_that_breaks_is_not_replaced(caller: Caller) -> None:
    script = Counting(breaks=lambda connection, request: b"")
    with RawServer(script) as server:
        caller.open(server.endpoint)
        with pytest.raises(TransportError):
            caller.send(POST, AGAIN)
    assert len(script.requests) == 1


def test_request_never_goes_out_three_times_though_more_connections_rest() -> None:
    # Two connections come to rest; then the server breaks off whatever comes.
    barrier = threading.Barrier(2)

    class Twins(Counting):
        def __call__(self, connection: socket.socket, number: int) -> None:
            if number <= 2:
                read_request(connection)
                barrier.wait(10)
                connection.sendall(FITTING)
            while (request := read_request(connection)) is not None:
                self.requests.append((number, request[1]))
                return

    script = Twins()
    with RawServer(script) as server, AsyncCaller() as caller:
        caller.open(server.endpoint)

        async def both() -> None:
            await asyncio.gather(*[caller.channel.send(POST, AGAIN) for _ in range(2)])

        caller.run(both())
        with pytest.raises(TransportError):
            caller.send(POST, AGAIN)
        assert server.accepted == 3
    assert len(script.requests) == 2


def test_connection_that_the_server_closed_while_it_rested_is_not_used(caller: Caller) -> None:
    closed = threading.Semaphore(0)

    def script(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(FITTING)
        connection.shutdown(socket.SHUT_WR)
        closed.release()
        connection.recv(1)

    with RawServer(script) as server:
        caller.open(server.endpoint)
        for _ in range(5):
            assert caller.send(POST, PATIENT).content == b"ab"  # no resend: the end is seen before anything is sent
            assert closed.acquire(timeout=5)
        assert server.accepted == 5


def test_bytes_that_come_while_it_rests_cost_the_connection(caller: Caller) -> None:
    sent = threading.Semaphore(0)
    goes_on = threading.Semaphore(0)

    def script(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(FITTING)
        goes_on.acquire(timeout=5)
        connection.sendall(OK + b"Content-Length: 5\r\n\r\nwrong")
        sent.release()
        connection.recv(1)

    with RawServer(script) as server:
        caller.open(server.endpoint)
        for _ in range(3):
            assert caller.send(POST, PATIENT).content == b"ab"
            goes_on.release()
            assert sent.acquire(timeout=5)
        assert server.accepted == 3


def connections(caller: Caller, transport: WireTransport, answer: bytes, calls: int, pause: float = 0) -> int:
    with RawServer(Counting(answer)) as server:
        caller.open(server.endpoint, transport)
        for _ in range(calls):
            caller.send(GET)
            time.sleep(pause)
        return server.accepted


def test_connection_is_kept(caller: Caller) -> None:
    assert connections(caller, WireTransport(), FITTING, 5) == 1


def test_connection_that_rested_too_long_is_not_used(caller: Caller) -> None:
    assert connections(caller, WireTransport(keepalive=0.01), FITTING, 3, pause=0.02) == 3


def test_connection_that_is_too_old_is_not_used(caller: Caller) -> None:
    assert connections(caller, WireTransport(max_age=0.01), FITTING, 3, pause=0.02) == 3


def test_no_idle_connections_if_none_are_wanted(caller: Caller) -> None:
    assert connections(caller, WireTransport(max_idle=0), FITTING, 3) == 3


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nab", 3),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", 3),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nab", 1),
        (OK + b"Keep-Alive: timeout=60\r\nContent-Length: 2\r\n\r\nab", 1),
        (OK + b"Keep-Alive: timeout=0\r\nContent-Length: 2\r\n\r\nab", 3),
        (CHUNKED + b"2\r\nab\r\n0\r\nA: b\r\n\r\n", 1),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 1),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", 1),
    ],
)
def test_what_the_answer_says_about_its_connection(caller: Caller, answer: bytes, expected: int) -> None:
    assert connections(caller, WireTransport(), answer, 3) == expected


def test_each_answer_renews_the_hint_of_the_server(caller: Caller) -> None:
    answer = OK + b"Keep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nab"
    # Used for longer than the hint (0.5 s with its margin), but never idle for so long.
    assert connections(caller, WireTransport(), answer, 5, pause=0.15) == 1


def test_bodies_longer_than_allowed(caller: Caller) -> None:
    with RawServer(Counting(OK + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000)) as server:
        caller.open(server.endpoint, WireTransport(max_body_bytes=1000))
        with pytest.raises(TransportError, match="a body of more than 1000 bytes") as caught:
            caller.send(GET)
        assert caught.value.phase is Phase.STREAM
        assert len(caller.stream(GET).content) == 100_000  # as it says: of one that is read as a whole


def test_heads_longer_than_allowed(caller: Caller) -> None:
    with RawServer(Counting(OK + b"A: " + b"x" * 2000 + b"\r\nContent-Length: 0\r\n\r\n")) as server:
        caller.open(server.endpoint, WireTransport(max_head_bytes=1024))
        with pytest.raises(TransportError, match="a head of more than 1024 bytes"):
            caller.send(GET)


# --- the number of connections ----------------------------------------------------------------------------------------


def test_slots_come_back_on_every_path(caller: Caller) -> None:
    ends = [FITTING, b"", OK, OK + b"Content-Length: 9\r\n\r\nab", b"garbage\r\n\r\n", FITTING + b"X"]

    def script(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(ends[(number - 1) % len(ends)])

    with RawServer(script) as server:
        caller.open(server.endpoint, WireTransport(max_connections=1))
        timed_out: list[bool] = []
        for turn in range(4 * len(ends)):
            try:
                (caller.stream if turn % 2 else caller.send)(POST, AGAIN)
            except TransportError as error:
                timed_out.append(error.timed_out)
        assert not any(timed_out)
    with pytest.raises(TransportError, match="cannot connect"):
        caller.send(POST)
    with pytest.raises(TransportError, match="cannot connect"):
        caller.send(POST)


def test_no_more_connections_than_allowed() -> None:
    with RawServer(Counting()) as server:
        with SyncCaller() as caller:
            caller.open(server.endpoint, WireTransport(max_connections=2))
            threads = [threading.Thread(target=lambda: [caller.send(GET) for _ in range(20)]) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert server.accepted <= 2
        with AsyncCaller() as tasks:
            before = server.accepted
            tasks.open(server.endpoint, WireTransport(max_connections=2))

            async def many() -> None:
                await asyncio.gather(*[tasks.channel.send(GET, PATIENT) for _ in range(100)])

            tasks.run(many())
            assert server.accepted - before <= 2


def test_wait_for_a_connection_is_phase_connect() -> None:
    def silent(connection: socket.socket, number: int) -> None:
        while connection.recv(1000):
            pass

    with RawServer(silent) as server:
        with SyncCaller() as caller:
            caller.open(server.endpoint, WireTransport(max_connections=1))

            def occupy() -> None:
                with pytest.raises(TransportError):
                    caller.send(GET, Timeouts(1, 0.4))

            first = threading.Thread(target=occupy)
            first.start()
            while not server.accepted:
                time.sleep(0.001)
            with pytest.raises(TransportError) as caught:
                caller.send(GET, Timeouts(connect=0.05, total=5))
            assert (caught.value.phase, caught.value.timed_out) == (Phase.CONNECT, True)
            first.join()
        with AsyncCaller() as tasks:
            tasks.open(server.endpoint, WireTransport(max_connections=1))

            async def one_too_many() -> None:
                running = asyncio.create_task(tasks.channel.send(GET, PATIENT))
                await asyncio.sleep(0)
                with pytest.raises(TransportError) as caught:
                    await tasks.channel.send(GET, Timeouts(connect=0.05, total=5))
                assert (caught.value.phase, caught.value.timed_out) == (Phase.CONNECT, True)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

            tasks.run(one_too_many())


def test_close_while_calls_are_open_lets_them_end_and_keeps_nothing() -> None:
    asked, goes_on = threading.Event(), threading.Event()

    def script(connection: socket.socket, number: int) -> None:
        while read_request(connection):
            asked.set()
            goes_on.wait(10)
            connection.sendall(FITTING)

    with RawServer(script) as server:
        with SyncCaller() as caller:
            caller.open(server.endpoint)
            got: list[bytes] = []
            thread = threading.Thread(target=lambda: got.append(caller.send(GET).content))
            thread.start()
            asked.wait(10)
            caller.channel.close()
            goes_on.set()
            thread.join()
            with pytest.raises(ClosedError):
                caller.send(GET)
            server.wait_until_idle()
        assert got == [b"ab"]
        asked.clear()
        goes_on.clear()
        with AsyncCaller() as tasks:
            tasks.open(server.endpoint)

            async def closed_in_between() -> None:
                running = asyncio.create_task(tasks.channel.send(GET, PATIENT))
                await asyncio.to_thread(asked.wait, 10)
                await tasks.channel.aclose()
                goes_on.set()
                assert (await running).content == b"ab"
                with pytest.raises(ClosedError):
                    await tasks.channel.send(GET, PATIENT)

            tasks.run(closed_in_between())
            tasks.idle()
            server.wait_until_idle()
