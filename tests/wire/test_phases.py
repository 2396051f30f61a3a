"""Bad ways to end, at every place: the right phase, the right error, and no connection left behind."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from wire_answers import CHUNKED, FITTING, OK
from wire_lab import PATIENT, POST, Caller, RawServer, read_request

from directlane import Endpoint, Phase, Request, Timeouts, TransportError
from directlane.core.transports.wire_transport import WireTransport

ANSWER = OK + b"Content-Length: 10\r\nX-A: b\r\n\r\n0123456789"
HEAD_LENGTH = len(ANSWER) - 10
SHORT = Timeouts(connect=5, total=0.25)
_RESET = struct.pack("ii", 1, 0)


def reset(connection: socket.socket) -> None:
    """Let the close that follows be a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def sockets() -> int:
    """How many sockets this process holds."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            count += str(link.readlink()).startswith("socket:")
    return count


@contextlib.contextmanager
def nothing_left() -> Generator[None, None, None]:
    """Sockets of the caller's own (the loop has a pair) are counted before and after."""
    if not Path("/proc/self/fd").exists():
        yield
        return
    before = sockets()
    yield
    assert sockets() == before


def failure(caller: Caller, request: Request = POST, timeouts: Timeouts = PATIENT) -> TransportError:
    with pytest.raises(TransportError) as caught:
        caller.send(request, timeouts)
    return caught.value


@pytest.mark.parametrize("is_reset", [False, True], ids=["end", "reset"])
def test_connection_ends_at_each_byte_of_the_answer(caller: Caller, is_reset: bool) -> None:
    def script(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(ANSWER[: number - 1])
        if is_reset:
            reset(connection)

    with RawServer(script) as server:
        caller.open(server.endpoint)
        for length in range(len(ANSWER)):
            error = failure(caller)
            # A reset may overtake the bytes before it; the end may not.
            expected = Phase.STREAM if length >= HEAD_LENGTH else Phase.WAIT
            assert error.phase in ({expected, Phase.WAIT} if is_reset else {expected}), length
            assert not error.timed_out
            assert error.__cause__ is not None
        assert server.accepted == len(ANSWER)


@pytest.mark.parametrize("is_reset", [False, True], ids=["end", "reset"])
def test_streamed_answer_that_breaks_off(caller: Caller, is_reset: bool) -> None:
    def script(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(CHUNKED + b"3\r\nabc\r\n")
        if is_reset:
            reset(connection)

    with RawServer(script) as server:
        caller.open(server.endpoint)
        with pytest.raises(TransportError) as caught:
            caller.stream(POST)
    assert caught.value.phase in ((Phase.STREAM, Phase.WAIT) if is_reset else (Phase.STREAM,))


def test_refused(caller: Caller) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        caller.open(Endpoint("127.0.0.1", taken.getsockname()[1]))
        error = failure(caller)
    assert (error.phase, error.timed_out) == (Phase.CONNECT, False)
    assert "cannot connect to 127.0.0.1:" in str(error)


def test_unreachable_is_a_timeout_of_the_connection(caller: Caller) -> None:
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # The queue is full when a further connection is no longer answered.
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.05)
            try:
                waiting.connect(full.getsockname())
            except TimeoutError:
                break
        else:
            pytest.skip("this system takes connections beyond the backlog")
        caller.open(Endpoint("127.0.0.1", full.getsockname()[1]))
        error = failure(caller, POST, Timeouts(connect=0.1, total=5))
        assert (error.phase, error.timed_out) == (Phase.CONNECT, True)
        # `total` holds as well where it is shorter.
        error = failure(caller, POST, Timeouts(connect=60, total=0.1))
        assert (error.phase, error.timed_out) == (Phase.CONNECT, True)


def hold(connection: socket.socket) -> None:
    """Until the far side closes."""
    with contextlib.suppress(OSError):
        while connection.recv(65_536):
            pass


def drip(data: bytes) -> Callable[[socket.socket, int], None]:
    """Ten bytes at a time, and then hold: never an answer, but always some bytes of one."""

    def script(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(data)
        hold(connection)

    return script


@pytest.mark.parametrize(
    ("sent", "phase"),
    [(b"", Phase.WAIT), (ANSWER[:20], Phase.WAIT), (ANSWER[:-3], Phase.STREAM), (CHUNKED + b"5\r\nab", Phase.STREAM)],
    ids=["nothing", "half a head", "half a body", "half a chunk"],
)
@pytest.mark.parametrize("streams", [False, True])
def test_slow_answer(caller: Caller, sent: bytes, phase: Phase, streams: bool) -> None:
    with RawServer(drip(sent)) as server:
        caller.open(server.endpoint)
        with pytest.raises(TransportError) as caught:
            (caller.stream if streams else caller.send)(POST, SHORT)
        caller.idle()
    assert (caught.value.phase, caught.value.timed_out) == (phase, True)


def test_server_that_does_not_read_is_a_timeout_of_sending(caller: Caller) -> None:
    def script(connection: socket.socket, number: int) -> None:
        released.wait(10)

    released = threading.Event()

    def body() -> Iterator[bytes]:
        while True:
            yield b"x" * 65_536

    with RawServer(script) as server:
        caller.open(server.endpoint)
        error = failure(caller, Request("POST", "/", (), body()), SHORT)
        assert (error.phase, error.timed_out) == (Phase.SEND, True)
        error = failure(caller, Request("POST", "/", (), b"x" * 20_000_000), SHORT)
        assert error.timed_out
        released.set()


def test_server_that_reads_slowly_does_not_stretch_the_deadline(caller: Caller) -> None:
    released = threading.Event()

    def script(connection: socket.socket, number: int) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        while not released.wait(0.05) and connection.recv(200_000):
            pass

    with RawServer(script) as server:
        caller.open(server.endpoint)
        began = time.monotonic()
        error = failure(caller, Request("POST", "/", (), b"x" * 50_000_000), Timeouts(connect=5, total=0.4))
        assert time.monotonic() - began < 2
        released.set()
    assert error.timed_out


@pytest.mark.parametrize("streams", [False, True])
def test_head_of_ten_megabytes(caller: Caller, streams: bool) -> None:
    def script(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(OK + b"".join(b"X-%d: %b\r\n" % (line, b"x" * 1000) for line in range(10_000)))

    with RawServer(script) as server:
        caller.open(server.endpoint)
        with pytest.raises(TransportError, match="a head of more than 65536 bytes") as caught:
            (caller.stream if streams else caller.send)(POST)
    assert caught.value.phase is Phase.WAIT


def test_body_longer_than_declared_costs_the_connection(caller: Caller) -> None:
    def script(connection: socket.socket, number: int) -> None:
        while read_request(connection):
            connection.sendall(FITTING + b"surplus")

    with RawServer(script) as server:
        caller.open(server.endpoint)
        assert [caller.send(POST).content for _ in range(3)] == [b"ab"] * 3
        assert server.accepted == 3


def test_answer_before_the_request_is_never_taken(caller: Caller) -> None:
    spoken: list[bool] = []

    def script(connection: socket.socket, number: int) -> None:
        connection.sendall(OK + b"Content-Length: 5\r\n\r\nearly")
        spoken.append(True)
        hold(connection)

    with RawServer(script) as server:
        caller.open(server.endpoint)
        # Whether the bytes are there when the connection is looked at is the network's matter; if they are, not one
        # byte of the request leaves. If not, nobody can tell them from an answer, but the connection is not used twice.
        with contextlib.suppress(TransportError):
            caller.send(POST, Timeouts(connect=1, total=1))
        caller.idle()
    assert spoken


def test_interim_answer_while_the_body_is_sent_does_not_end_it(caller: Caller) -> None:
    seen: list[int] = []

    def script(connection: socket.socket, number: int) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1)
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n")
        left = 3_000_000
        while left:
            left -= len(connection.recv(min(left, 65_536)))
        seen.append(left)
        connection.sendall(FITTING)

    with RawServer(script) as server:
        caller.open(server.endpoint)
        assert caller.send(Request("POST", "/", (), b"x" * 3_000_000)).content == b"ab"
    assert seen == [0]


def test_early_answer_ends_the_body_and_the_connection(caller: Caller) -> None:
    def script(connection: socket.socket, number: int) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        hold(connection)

    def body() -> Iterator[bytes]:
        while True:
            yield b"x" * 1000

    with RawServer(script) as server:
        caller.open(server.endpoint)
        for _ in range(2):
            reply = caller.send(Request("POST", "/", (), body()))
            assert (reply.status, reply.content) == (413, b"big")
        assert server.accepted == 2


class Mine(OSError):
    """The caller's own."""


@pytest.mark.parametrize("kind", [Mine, ConnectionResetError, BrokenPipeError, TimeoutError, LookupError])
def test_error_of_the_callers_body_is_the_callers(caller: Caller, kind: type[Exception]) -> None:
    def script(connection: socket.socket, number: int) -> None:
        while read_request(connection):
            connection.sendall(FITTING)

    def body() -> Iterator[bytes]:
        yield b"one"
        raise kind("mine") from KeyError("cause")

    with RawServer(script) as server:
        caller.open(server.endpoint, WireTransport(max_connections=1))
        for _ in range(2):
            with pytest.raises(kind, match="mine") as caught:
                caller.send(Request("POST", "/", (), body()))
            assert isinstance(caught.value.__cause__, KeyError)
        assert caller.send(POST).content == b"ab"


@pytest.mark.parametrize("length", [1, 5])
def test_body_of_another_length_than_declared_is_refused(caller: Caller, length: int) -> None:
    def script(connection: socket.socket, number: int) -> None:
        hold(connection)

    with RawServer(script) as server:
        caller.open(server.endpoint)
        with pytest.raises(ValueError, match="Content-Length"):
            caller.send(Request("POST", "/", (("Content-Length", str(length)),), iter([b"ab", b"c"])))
        caller.idle()


def test_no_socket_is_left_behind_by_any_failure(caller: Caller) -> None:
    ends = [b"", ANSWER[:20], ANSWER[:-3], b"garbage\r\n\r\n", FITTING + b"X", CHUNKED + b"zz\r\n", OK + b"\r\nab"]

    def script(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(ends[(number - 1) % len(ends)])

    with RawServer(script) as server:
        caller.open(server.endpoint)
        with nothing_left():
            for _ in range(3 * len(ends)):
                with contextlib.suppress(TransportError):
                    caller.send(POST)
            caller.idle()
            server.wait_until_idle()
