"""The server speaks HTTP/1.1 and misbehaves exactly as told."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress

import httpx
import pytest

from directlane.core.emulation import Ending, LoopbackServer, ServerReply, ServerRequest, json_reply


def told(request: ServerRequest) -> ServerReply:
    """Answers with what came in."""
    return json_reply(
        {
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "body": request.content.decode(),
            "x": request.header("X-Test"),
            "peer": request.peer[1],
        }
    )


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=5) as client:
        yield client


def raw_exchange(server: LoopbackServer, sent: bytes) -> bytes:
    """What comes back on a bare connection, until the server closes it."""
    with closing(socket.create_connection((server.host, server.port), timeout=5)) as connection:
        connection.sendall(sent)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    return received


def test_request_arrives_whole(client: httpx.Client) -> None:
    with LoopbackServer(told) as server:
        answer = client.post(f"{server.url}/a%20b?x=1&y=%C3%A9", content=b"body", headers={"x-test": "v"}).json()
    assert answer["method"] == "POST"
    assert answer["path"] == "/a%20b"
    assert answer["query"] == {"x": "1", "y": "é"}
    assert answer["body"] == "body"
    assert answer["x"] == "v"


def test_chunked_body_is_put_together(client: httpx.Client) -> None:
    with LoopbackServer(told) as server:
        assert client.post(server.url, content=iter([b"one ", b"two"])).json()["body"] == "one two"


def test_one_connection_serves_many_requests(client: httpx.Client) -> None:
    with LoopbackServer(told) as server:
        ports = {client.get(server.url).json()["peer"] for _ in range(5)}
        assert len(ports) == 1
        assert server.accepted_connections == 1
        assert server.open_connections == 1


def test_pipelined_requests_are_answered_in_order() -> None:
    first = b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with LoopbackServer(told) as server:
        received = raw_exchange(server, first + last)
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.index(b'"/1"') < received.index(b'"/2"')


def test_async_handler_may_take_its_time_while_requests_wait_behind_it() -> None:
    async def slow(request: ServerRequest) -> ServerReply:
        await asyncio.sleep(0)
        return told(request)

    first = b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with LoopbackServer(slow) as server:
        received = raw_exchange(server, first + last)
    assert received.index(b'"/1"') < received.index(b'"/2"')


def test_client_that_waits_for_100_is_let_go_on() -> None:
    with (
        LoopbackServer(told) as server,
        closing(socket.create_connection((server.host, server.port), timeout=5)) as connection,
    ):
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"ok")
        assert b'"body": "ok"' in connection.recv(1000)


def test_reply_can_be_streamed(client: httpx.Client) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(3):
            yield f"piece {number};".encode()

    with LoopbackServer(lambda _: ServerReply(content=pieces())) as server:
        reply = client.get(server.url)
        assert reply.headers["transfer-encoding"] == "chunked"
        assert reply.text == "piece 0;piece 1;piece 2;"
        client.get(server.url)
        assert server.accepted_connections == 1


def test_large_stream_waits_for_a_slow_reader(client: httpx.Client) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield bytes(256 * 1024)

    with (
        LoopbackServer(lambda _: ServerReply(content=pieces())) as server,
        client.stream("GET", server.url) as reply,
    ):
        assert sum(len(piece) for piece in reply.iter_raw()) == 16 * 1024 * 1024


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_answers_that_have_no_body_get_none(client: httpx.Client, method: str, status: int) -> None:
    with LoopbackServer(lambda _: ServerReply(status, content=b"not to be sent")) as server:
        for _ in range(2):
            reply = client.request(method, server.url)
            assert (reply.status_code, reply.content) == (status, b"")
        assert server.accepted_connections == 1


def test_what_is_not_http_gets_400() -> None:
    with LoopbackServer(told) as server:
        assert raw_exchange(server, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_failing_handler_gives_500_and_a_log_line(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: ServerRequest) -> ServerReply:
        raise LookupError("inside")

    async def broken_later(_: ServerRequest) -> ServerReply:
        raise LookupError("inside")

    for handler in (broken, broken_later):
        with LoopbackServer(handler) as server:
            reply = client.get(server.url)
        assert (reply.status_code, reply.text) == (500, "the handler failed: LookupError")
    told = [record for record in caplog.records if record.name == "directlane.core.emulation.server"]
    assert len(told) == 2


def test_hang_answers_nothing_and_keeps_the_connection(client: httpx.Client) -> None:
    with LoopbackServer(lambda _: ServerReply(ending=Ending.HANG)) as server:
        with pytest.raises(httpx.ReadTimeout):
            client.get(server.url, timeout=0.05)
        assert server.accepted_connections == 1


def test_reset_resets_the_connection(client: httpx.Client) -> None:
    with LoopbackServer(lambda _: ServerReply(ending=Ending.RESET)) as server:
        with pytest.raises(httpx.ReadError) as caught:
            client.get(server.url)
        assert "reset" in str(caught.value).lower()


@pytest.mark.parametrize("content", [b"", b"0123456789"])
def test_half_body_closes_before_the_declared_end(client: httpx.Client, content: bytes) -> None:
    with (
        LoopbackServer(lambda _: ServerReply(content=content, ending=Ending.HALF)) as server,
        client.stream("GET", server.url) as reply,
    ):
        assert reply.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            reply.read()


@pytest.mark.parametrize("ending", [Ending.HALF, Ending.RESET])
def test_stream_can_break_off_after_its_pieces(client: httpx.Client, ending: Ending) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"the only piece"

    with (
        LoopbackServer(lambda _: ServerReply(content=pieces(), ending=ending)) as server,
        pytest.raises(httpx.TransportError),
    ):
        client.get(server.url)


def test_stream_that_raises_breaks_the_connection_off(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"piece"
        raise LookupError("inside")

    with LoopbackServer(lambda _: ServerReply(content=pieces())) as server, pytest.raises(httpx.TransportError):
        client.get(server.url)
    assert "broke off" in caplog.text


def test_stop_ends_hanging_requests_and_streams_and_their_thread() -> None:
    started = threading.Event()
    finished = threading.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"piece"
                started.set()
                await asyncio.sleep(0.001)
        finally:
            finished.set()

    before = threading.active_count()
    server = LoopbackServer(lambda _: ServerReply(content=endless()))
    server.start()
    with closing(socket.create_connection((server.host, server.port), timeout=5)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert started.wait(5)
        server.stop()
        assert finished.is_set()
    assert threading.active_count() == before
    assert not server.is_running
    assert server.open_connections == 0
    server.stop()  # harmless


def test_client_that_goes_away_ends_its_stream() -> None:
    finished = threading.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"piece"
                await asyncio.sleep(0.001)
        finally:
            finished.set()

    with LoopbackServer(lambda _: ServerReply(content=endless())) as server:
        with closing(socket.create_connection((server.host, server.port), timeout=5)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(10)
        assert finished.wait(5)


def test_stream_that_never_waits_ends_when_the_client_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    reset = threading.Event()
    sent: list[int] = []
    finished = threading.Event()

    async def hasty() -> AsyncIterator[bytes]:
        try:
            yield b"piece"
            reset.wait(5)  # in the way of the event loop, which so learns nothing of the reset but by writing
            for number in range(1000):
                sent.append(number)
                yield b"piece"
        finally:
            finished.set()

    with LoopbackServer(lambda _: ServerReply(content=hasty())) as server:
        with closing(socket.create_connection((server.host, server.port), timeout=5)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(10)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        reset.set()
        assert finished.wait(5)
    assert len(sent) <= 2
    assert "socket.send() raised" not in caplog.text, "asyncio's complaint about writes after the end"


def test_stop_ends_a_stream_that_never_waits_while_its_client_reads() -> None:
    finished = threading.Event()

    async def hasty() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"piece"
        finally:
            finished.set()

    def read_all(connection: socket.socket) -> None:
        with suppress(ConnectionResetError):
            while connection.recv(65536):
                pass

    server = LoopbackServer(lambda _: ServerReply(content=hasty()))
    server.start()
    with closing(socket.create_connection((server.host, server.port), timeout=5)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(10)
        reader = threading.Thread(target=read_all, args=(connection,))
        reader.start()
        server.stop()
        reader.join()
    assert finished.is_set()


def test_restart_keeps_the_port(client: httpx.Client) -> None:
    server = LoopbackServer(told)
    server.start()
    port = server.port
    server.stop()
    with pytest.raises(httpx.ConnectError):
        client.get(server.url)
    with server:
        assert server.port == port
        assert client.get(server.url).status_code == 200


def test_taken_port_is_an_error() -> None:
    with LoopbackServer(told) as server, pytest.raises(OSError):
        LoopbackServer(told, port=server.port).start()


def test_five_hundred_connections_at_once() -> None:
    async def call(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = await reader.read()
        writer.close()
        await writer.wait_closed()
        return received[:15]

    async def call_all(port: int) -> list[bytes]:
        return await asyncio.gather(*(call(port) for _ in range(500)))

    together = asyncio.Event()
    waiting: list[None] = []

    async def meet(_: ServerRequest) -> ServerReply:
        waiting.append(None)
        if len(waiting) == 500:
            together.set()
        await together.wait()
        return ServerReply()

    with LoopbackServer(meet) as server:
        assert asyncio.run(call_all(server.port)) == [b"HTTP/1.1 200 OK"] * 500
        assert server.accepted_connections == 500


def test_stop_closes_connections_that_were_accepted_a_moment_ago() -> None:
    # A transport that was left open would warn when it is collected, and a warning fails this test.
    for _ in range(20):
        server = LoopbackServer(told)
        server.start()
        clients = [socket.create_connection((server.host, server.port), timeout=5) for _ in range(30)]
        server.stop()
        assert server.open_connections == 0
        for connection in clients:
            connection.close()
    gc.collect()
