"""What the transport over `http.client` does besides what the contract asks of all: its limits and its pool."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import directlane
import pytest
from directlane import Endpoint, Phase, Request, Timeouts, TransportError
from directlane.emulation import Ending, LoopbackServer, ServerReply, ServerRequest

from directlane_acme import HttpClientTransport

PATIENT = Timeouts(connect=20, total=60)
POST = Request("POST", "/x", (("X-One", "1"),), b"body")


class Server:
    """A server whose next answers are told."""

    def __init__(self) -> None:
        self.reply = ServerReply(200, content=b"ok")
        self.seen: list[ServerRequest] = []
        self.loopback = LoopbackServer(self._answer)

    def _answer(self, request: ServerRequest) -> ServerReply:
        self.seen.append(request)
        return self.reply

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.loopback.host, self.loopback.port)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    with server.loopback:
        yield server


@pytest.fixture
def channel(server: Server) -> Iterator[directlane.Channel]:
    channel = HttpClientTransport().open(server.endpoint)
    yield channel
    channel.close()


def test_calls_share_a_connection(server: Server, channel: directlane.Channel) -> None:
    for _ in range(3):
        channel.send(POST, PATIENT)
        list(channel.stream(POST, PATIENT).body)
    assert server.loopback.accepted_connections == 1


def test_a_connection_that_was_closed_meanwhile_is_not_used(server: Server, channel: directlane.Channel) -> None:
    channel.send(POST, PATIENT)
    server.loopback.stop()
    server.loopback.start()
    assert channel.send(POST, PATIENT).content == b"ok"


def test_an_error_of_the_callers_own_body_reaches_the_caller(channel: directlane.Channel) -> None:
    def body() -> Iterator[bytes]:
        yield b"one"
        raise OSError("mine")

    with pytest.raises(OSError, match="mine"):
        channel.send(Request("POST", "/", (), body()), PATIENT)
    assert channel.send(POST, PATIENT).status == 200


def test_a_server_that_sends_a_byte_now_and_then_does_not_get_more_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        is_over = threading.Event()

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    while not is_over.wait(0.05):
                        connection.sendall(b"H")
                except OSError:
                    pass  # the client has hung up

        thread = threading.Thread(target=drip)
        thread.start()
        channel = HttpClientTransport().open(Endpoint("127.0.0.1", listener.getsockname()[1]))
        try:
            with pytest.raises(TransportError) as error:
                channel.send(POST, Timeouts(connect=20, total=0.5))
        finally:
            is_over.set()
            thread.join()
    assert error.value.timed_out
    assert error.value.phase is Phase.WAIT


def test_another_thread_can_end_an_attempt(server: Server, channel: directlane.Channel) -> None:
    server.reply = ServerReply(ending=Ending.HANG)
    abort = directlane.Abort()
    threading.Timer(0.2, abort.call).start()
    began = time.monotonic()
    with pytest.raises(TransportError):
        channel.send(POST, Timeouts(connect=20, total=600, abort=abort))
    assert time.monotonic() - began < 300


def test_many_threads_share_the_channel(server: Server, channel: directlane.Channel) -> None:
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda number: channel.send(POST, PATIENT).status, range(200)))
    assert replies == [200] * 200
    assert server.loopback.accepted_connections <= 8


def test_a_connection_that_comes_back_after_the_close_is_closed(server: Server, channel: directlane.Channel) -> None:
    streamed = channel.stream(POST, PATIENT)
    channel.close()
    assert b"".join(streamed.body) == b"ok"
    channel.send(POST, PATIENT)
    assert server.loopback.accepted_connections == 2


def test_what_it_cannot_do_is_told_when_it_is_opened() -> None:
    with pytest.raises(directlane.PluginError, match="does not speak https"):
        HttpClientTransport().open(Endpoint("127.0.0.1", 1, scheme="https"))
    with pytest.raises(directlane.PluginError, match="no async side"):
        HttpClientTransport().open_async(Endpoint("127.0.0.1", 1))


def test_calls_go_through_it_by_configuration(server: Server) -> None:
    route = {"provider": "static", "addresses": [server.endpoint.url]}
    service = {"transport": {"kind": "http_client", "keepalive": "5s"}, "routes": [route]}
    with directlane.Client.from_data({"services": {"s": service}}) as client:
        assert client.service("s").send(b"[]").content == b"ok"
