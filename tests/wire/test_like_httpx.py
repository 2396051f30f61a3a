"""The same bytes, read over sockets by httpx and by the wire: the same answer, or refused by the wire."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wire_answers import ILLEGAL, STRICTER, Legal, cut, legal_answers
from wire_lab import Caller, RawServer, read_request

from directlane import Request, TransportError
from directlane.core.message import Headers

PLAIN = httpx.create_ssl_context(verify=False)  # no TLS here, so no authorities need be read for each answer
Answer = tuple[int, list[tuple[str, str]], bytes] | str
OVER_SOCKETS = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    database=None,
)


class Scripted:
    """Answers every request with the same pieces, one write for each; then closes if it must."""

    pieces: list[bytes]
    closes: bool

    def __call__(self, connection: socket.socket, number: int) -> None:
        while read_request(connection):
            for piece in self.pieces:
                connection.sendall(piece)
            if self.closes:
                connection.shutdown(socket.SHUT_WR)


@pytest.fixture
def script() -> Scripted:
    return Scripted()


@pytest.fixture
def server(script: Scripted) -> Iterator[RawServer]:
    with RawServer(script) as running:
        yield running


def by_httpx(server: RawServer, method: str) -> Answer:
    with httpx.HTTPTransport(trust_env=False, verify=PLAIN) as transport:
        try:
            response = transport.handle_request(httpx.Request(method, f"{server.endpoint.url}/x"))
            assert isinstance(response.stream, httpx.SyncByteStream)
            body = b"".join(response.stream)
            response.close()
        except httpx.TransportError:
            return "refused"
    fields = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw)
    return response.status_code, comparable(fields), body


def comparable(fields: Headers) -> list[tuple[str, str]]:
    """Names in lower case, and `chunked` too: h11 writes it so."""
    lowered = [(name.lower(), value) for name, value in fields]
    return [(name, value.lower() if name == "transfer-encoding" else value) for name, value in lowered]


def by_wire(caller: Caller, method: str, *, streams: bool) -> Answer:
    request = Request(method, "/x")
    try:
        reply = caller.stream(request) if streams else caller.send(request)
    except TransportError:
        return "refused"
    return reply.status, comparable(reply.headers), reply.content


@OVER_SOCKETS
@given(answer=legal_answers(), cuts=st.lists(st.integers(0, 2000), max_size=4), streams=st.booleans())
def test_legal_answer_is_what_httpx_makes_of_it(
    caller: Caller, server: RawServer, script: Scripted, answer: Legal, cuts: list[int], streams: bool
) -> None:
    script.pieces, script.closes = cut(answer.data, cuts), not answer.may_be_reused
    if not hasattr(caller, "channel"):
        caller.open(server.endpoint)  # one channel for all examples: connections are kept from one to the next
    expected = by_httpx(server, answer.method)
    assert expected == (answer.status, comparable(answer.fields), answer.body)
    assert by_wire(caller, answer.method, streams=streams) == expected


@pytest.mark.parametrize("name", list(ILLEGAL))
def test_illegal_answer_is_refused_by_both(caller: Caller, server: RawServer, script: Scripted, name: str) -> None:
    script.pieces, script.closes = [ILLEGAL[name]], True
    assert by_wire(caller.open(server.endpoint), "GET", streams=False) == "refused"
    assert by_httpx(server, "GET") == "refused"


@pytest.mark.parametrize("name", list(STRICTER))
def test_stricter_than_httpx(caller: Caller, server: RawServer, script: Scripted, name: str) -> None:
    script.pieces, script.closes = [STRICTER[name]], True
    assert by_wire(caller.open(server.endpoint), "GET", streams=True) == "refused"
    assert by_httpx(server, "GET") != "refused"


@OVER_SOCKETS
@given(answer=legal_answers(), data=st.data())
def test_damaged_answer_is_refused_or_is_what_httpx_makes_of_it(
    caller: Caller, server: RawServer, script: Scripted, answer: Legal, data: st.DataObject
) -> None:
    damaged = bytearray(answer.data)
    place = data.draw(st.integers(0, len(damaged)))
    piece = data.draw(st.sampled_from([b"", b"\r", b"\n", b"\r\n", b" ", b":", b"9", b";", b"\xff", b"x"]))
    damaged[place : place + data.draw(st.integers(0, 2))] = piece
    script.pieces, script.closes = [bytes(damaged)], True
    if not hasattr(caller, "channel"):
        caller.open(server.endpoint)
    got = by_wire(caller, answer.method, streams=False)
    if got != "refused":
        expected = by_httpx(server, answer.method)
        assert expected in (got, "refused")
