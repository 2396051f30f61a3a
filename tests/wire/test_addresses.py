"""TLS with verification, IPv6, Unix sockets."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from wire_answers import FITTING, OK
from wire_lab import PATIENT, Caller, RawServer, read_request

from directlane import Endpoint, Phase, Request, Timeouts, TransportError
from directlane.core.transports.wire_transport import WireTransport

trustme = pytest.importorskip("trustme", reason="trustme is not installed: pip install trustme")
LARGE = b"0123456789" * 300_000


@pytest.fixture(scope="module")
def authority() -> object:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: object, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))  # type: ignore[attr-defined]
    return path


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def tls_port(request: pytest.FixtureRequest, authority: object) -> Iterator[int]:
    """A server that echoes bodies under TLS, for `localhost` and 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = request.param
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)  # type: ignore[attr-defined]

    def script(plain: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            connection = context.wrap_socket(plain.dup(), server_side=True)
            with connection:
                while (got := read_request(connection)) is not None:
                    connection.sendall(OK + b"Content-Length: %d\r\n\r\n%b" % (len(got[1]), got[1]))

    with RawServer(script) as server:
        yield server.endpoint.port


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_tls(caller: Caller, tls_port: int, ca_file: Path, host: str) -> None:
    caller.open(Endpoint(host, tls_port, "https"), WireTransport(ca_file=ca_file))
    for body in (b"small", b"", LARGE, b"small again"):
        assert caller.send(Request("POST", "/", (), body)).content == body
        assert caller.stream(Request("POST", "/", (), iter([body[:5], body[5:]]))).content == body


def test_tls_of_an_unknown_authority_is_refused(caller: Caller, tls_port: int) -> None:
    caller.open(Endpoint("localhost", tls_port, "https"))
    with pytest.raises(TransportError, match="its certificate is not accepted: ") as caught:
        caller.send(Request("GET", "/"))
    assert (caught.value.phase, caught.value.timed_out) == (Phase.CONNECT, False)


def test_tls_for_another_name_is_refused(caller: Caller, ca_file: Path, authority: object) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.example").configure_cert(context)  # type: ignore[attr-defined]

    def script(plain: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(plain.dup(), server_side=True) as connection:
            connection.recv(1)

    with RawServer(script) as server:
        caller.open(Endpoint("127.0.0.1", server.endpoint.port, "https"), WireTransport(ca_file=ca_file))
        with pytest.raises(TransportError, match=r"(?i)not valid for|mismatch") as caught:
            caller.send(Request("GET", "/"))
    assert caught.value.phase is Phase.CONNECT


def test_server_that_never_answers_the_handshake_is_phase_connect(caller: Caller) -> None:
    def script(connection: socket.socket, number: int) -> None:
        while connection.recv(1000):
            pass

    with RawServer(script) as server:
        caller.open(Endpoint("127.0.0.1", server.endpoint.port, "https"))
        with pytest.raises(TransportError) as caught:
            caller.send(Request("GET", "/"), Timeouts(connect=0.1, total=5))
        caller.idle()
    assert (caught.value.phase, caught.value.timed_out) == (Phase.CONNECT, True)


def test_plain_server_behind_https_is_phase_connect(caller: Caller) -> None:
    def script(connection: socket.socket, number: int) -> None:
        connection.recv(1000)
        connection.sendall(FITTING)

    with RawServer(script) as server:
        caller.open(Endpoint("127.0.0.1", server.endpoint.port, "https"))
        with pytest.raises(TransportError) as caught:
            caller.send(Request("GET", "/"))
        caller.idle()
    assert caught.value.phase is Phase.CONNECT


def echo(connection: socket.socket, number: int) -> None:
    while (got := read_request(connection)) is not None:
        host = dict(got[0].headers)[b"host"]
        connection.sendall(OK + b"X-Host: %b\r\nContent-Length: %d\r\n\r\n%b" % (host, len(got[1]), got[1]))


def test_ipv6(caller: Caller) -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6 on loopback")
    with RawServer(echo, socket.AF_INET6) as server:
        endpoint = server.endpoint
        caller.open(endpoint)
        reply = caller.send(Request("POST", "/", (), b"six"))
    assert (reply.content, reply.header("x-host")) == (b"six", f"[::1]:{endpoint.port}")


def test_unix_socket(caller: Caller, tmp_path: Path) -> None:
    path = tmp_path / "wire.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                echo(connection, 1)

        thread = threading.Thread(target=serve)
        thread.start()
        caller.open(Endpoint("model.internal", 80), WireTransport(unix_socket=path))
        for _ in range(3):
            reply = caller.send(Request("POST", "/", (), LARGE), PATIENT)
            assert (reply.content, reply.header("x-host")) == (LARGE, "model.internal")
        caller.close()
        thread.join()


def test_unix_socket_that_is_not_there(caller: Caller, tmp_path: Path) -> None:
    caller.open(Endpoint("model.internal", 80), WireTransport(unix_socket=tmp_path / "nobody"))
    with pytest.raises(TransportError) as caught:
        caller.send(Request("GET", "/"))
    assert caught.value.phase is Phase.CONNECT
