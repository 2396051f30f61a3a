"""Nothing that the caller gives can begin a second request, or end the head of this one."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from wire_answers import FITTING
from wire_lab import Caller, RawServer, read_request

from directlane import Request
from directlane.core.errors import InvalidRequestError

EVIL = ["\r\nX: y", "\nX: y", "\r", "\0", "\r\n\r\nGET /secret HTTP/1.1\r\n\r\n"]


@pytest.fixture
def open_caller(caller: Caller) -> Iterator[tuple[Caller, list[bytes]]]:
    seen: list[bytes] = []

    def script(connection: socket.socket, number: int) -> None:
        while (request := read_request(connection)) is not None:
            seen.append(bytes(request[0].target))
            connection.sendall(FITTING)

    with RawServer(script) as server:
        yield caller.open(server.endpoint), seen


def refused(open_caller: tuple[Caller, list[bytes]], request: Request) -> None:
    caller, seen = open_caller
    for call in (caller.send, caller.stream):
        with pytest.raises(InvalidRequestError) as caught:
            call(request)
        assert "secret" not in str(caught.value).partition(" is not a token")[2]
    assert seen == []
    assert caller.send(Request("GET", "/fine")).content == b"ab"
    assert seen == [b"/fine"]


@pytest.mark.parametrize("evil", [*EVIL, "\x01", "\x0b", "\x7f", "\u4f60"])
def test_value(open_caller: tuple[Caller, list[bytes]], evil: str) -> None:
    refused(open_caller, Request("GET", "/", (("X-A", f"fine{evil}"),)))


@pytest.mark.parametrize("evil", [*EVIL, " ", ":", "", "\t", "(", "\xe9"])
def test_name(open_caller: tuple[Caller, list[bytes]], evil: str) -> None:
    refused(open_caller, Request("GET", "/", ((f"X-A{evil}" if evil else "", "fine"),)))


def test_fields_that_only_together_look_clean(open_caller: tuple[Caller, list[bytes]]) -> None:
    refused(open_caller, Request("GET", "/", (("X-A", "b\r\nX-C: d"), ("X-E", "f"))))


@pytest.mark.parametrize("evil", [*EVIL, " ", "\t", " HTTP/1.1", "\u4f60", "\x7f"])
def test_target(open_caller: tuple[Caller, list[bytes]], evil: str) -> None:
    refused(open_caller, Request("GET", f"/x{evil}"))


@pytest.mark.parametrize("evil", [*EVIL, " ", "", "\t", " / HTTP/1.1"])
def test_method(open_caller: tuple[Caller, list[bytes]], evil: str) -> None:
    refused(open_caller, Request(f"GET{evil}" if evil else "", "/"))


@pytest.mark.parametrize("length", ["-1", "+1", "1 1", "0x1", "", "\xb2", "1" * 5000])
def test_length_of_a_stream(open_caller: tuple[Caller, list[bytes]], length: str) -> None:
    refused(open_caller, Request("POST", "/", (("Content-Length", length),), iter([b"a"])))


def test_framing_is_ours(caller: Caller) -> None:
    seen: list[dict[bytes, bytes]] = []

    def script(connection: socket.socket, number: int) -> None:
        while (request := read_request(connection)) is not None:
            seen.append({bytes(name): bytes(value) for name, value in request[0].headers})
            assert request[1] == b"body"
            connection.sendall(FITTING)

    given = (("Transfer-Encoding", "chunked"), ("content-length", "99"), ("Host", "evil"), ("Connection", "close"))
    with RawServer(script) as server:
        caller.open(server.endpoint)
        caller.send(Request("POST", "/", (*given, ("TE", "trailers"), ("Upgrade", "h2c")), b"body"))
        host = server.endpoint.authority.encode()
    assert seen == [{b"host": host, b"content-length": b"4"}]
