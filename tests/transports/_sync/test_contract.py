# Made by tools/unasync.py from tests/transports/_async/test_contract.py. Change that file, then run the tool.
"""What every transport must do: the same suite for all of them. For sync code."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest
from transport_lab import Answer, Lab

from directlane import Channel, Endpoint, Phase, Request, Timeouts, TransportError
from directlane.core.emulation.server import Ending
from directlane.core.message import header

pytestmark = pytest.mark.anyio

PATIENT = Timeouts(connect=5, total=20)
POST = Request("POST", "/v1/x?y=1", (("X-One", "1"), ("X-Two", "2")), b"hello")


@contextmanager
def channel_to(lab: Lab, endpoint: Endpoint | None = None) -> Generator[Channel, None, None]:
    channel = lab.transport.open(endpoint or lab.endpoint)
    try:
        yield channel
    finally:
        channel.close()


def test_request_arrives_as_it_was_given(lab: Lab) -> None:
    with channel_to(lab) as channel:
        channel.send(POST, PATIENT)
    [seen] = lab.seen
    assert (seen.method, seen.target, seen.content) == ("POST", "/v1/x?y=1", b"hello")
    assert header(seen.headers, "x-one") == "1"
    assert header(seen.headers, "x-two") == "2"
    assert header(seen.headers, "host") == lab.endpoint.authority


def test_reply_names_its_endpoint(lab: Lab) -> None:
    lab.answer = Answer(201, (("X-A", "1"), ("X-B", "2"), ("X-B", "3")), [b"body"])
    with channel_to(lab) as channel:
        reply = channel.send(POST, PATIENT)
    assert (reply.status, reply.content, reply.endpoint) == (201, b"body", lab.endpoint)
    assert [value for name, value in reply.headers if name.lower() == "x-b"] == ["2", "3"]


@pytest.mark.parametrize("status", [200, 204, 400, 401, 404, 429, 450, 500, 503])
def test_every_status_is_a_reply(lab: Lab, status: int) -> None:
    lab.answer = Answer(status, pieces=[] if status == 204 else [b"x"])
    with channel_to(lab) as channel:
        reply = channel.send(POST, PATIENT)
    assert reply.status == status


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"])
def test_every_method(lab: Lab, method: str) -> None:
    lab.answer = Answer(pieces=[])
    with channel_to(lab) as channel:
        assert (channel.send(Request(method, "/"), PATIENT)).status == 200
    assert lab.seen[0].method == method


def test_empty_and_large_bodies(lab: Lab) -> None:
    large = bytes(range(256)) * 4096 * 4
    with channel_to(lab) as channel:
        for body in (b"", b"x", large):
            lab.answer = Answer(pieces=[body])
            reply = channel.send(Request("POST", "/", (), body), PATIENT)
            assert reply.content == body
    assert [seen.content for seen in lab.seen] == [b"", b"x", large]


def test_streamed_request_body(lab: Lab) -> None:
    def body() -> Iterator[bytes]:
        yield b"one"
        yield b"two"

    with channel_to(lab) as channel:
        channel.send(Request("POST", "/", (), body()), PATIENT)
    assert lab.seen[0].content == b"onetwo"


def test_plain_iterable_as_request_body(lab: Lab) -> None:
    with channel_to(lab) as channel:
        channel.send(Request("POST", "/", (), iter([b"one", b"two"])), PATIENT)
    assert lab.seen[0].content == b"onetwo"


def test_streamed_reply(lab: Lab) -> None:
    lab.answer = Answer(pieces=[b"a", b"b", b"c"], is_chunked=True)
    with channel_to(lab) as channel:
        streamed = channel.stream(POST, PATIENT)
        pieces = [piece for piece in streamed.body]
        streamed.body.close()
    assert streamed.status == 200
    assert b"".join(pieces) == b"abc"


def test_stream_that_is_closed_early_leaves_the_channel_fit(lab: Lab) -> None:
    lab.answer = Answer(pieces=[b"x" * 100_000] * 20, is_chunked=True)
    with channel_to(lab) as channel:
        for _ in range(3):
            streamed = channel.stream(POST, PATIENT)
            streamed.body.close()
            streamed.body.close()
        lab.answer = Answer(pieces=[b"whole"])
        assert (channel.send(POST, PATIENT)).content == b"whole"


def test_refused_connection_is_phase_connect(lab: Lab) -> None:
    with channel_to(lab, lab.refusing) as channel:
        with pytest.raises(TransportError) as caught:
            channel.send(POST, PATIENT)
    assert caught.value.phase is Phase.CONNECT
    assert not caught.value.timed_out
    assert lab.refusing.authority in str(caught.value)


def test_reset_before_the_answer_is_phase_wait(lab: Lab) -> None:
    lab.answer = Answer(ending=Ending.RESET)
    with channel_to(lab) as channel:
        with pytest.raises(TransportError) as caught:
            channel.send(POST, PATIENT)
    assert caught.value.phase is Phase.WAIT
    assert len(lab.seen) == 1


def test_hanging_server_is_a_timeout_in_phase_wait(lab: Lab) -> None:
    lab.answer = Answer(ending=Ending.HANG)
    with channel_to(lab) as channel:
        with pytest.raises(TransportError) as caught:
            channel.send(POST, Timeouts(connect=5, total=0.1))
    assert caught.value.phase is Phase.WAIT
    assert caught.value.timed_out


def test_answer_that_breaks_off_is_phase_stream(lab: Lab) -> None:
    lab.answer = Answer(pieces=[b"x" * 1000], ending=Ending.HALF)
    with channel_to(lab) as channel:
        with pytest.raises(TransportError) as caught:
            channel.send(POST, PATIENT)
        assert caught.value.phase is Phase.STREAM
        streamed = channel.stream(POST, PATIENT)
        with pytest.raises(TransportError) as caught:
            for _ in streamed.body:
                pass
        assert caught.value.phase is Phase.STREAM
        streamed.body.close()


def test_channel_works_again_after_every_failure(lab: Lab) -> None:
    with channel_to(lab) as channel:
        for ending in (Ending.RESET, Ending.HALF, Ending.HANG):
            lab.answer = Answer(pieces=[b"x" * 1000], ending=ending)
            with pytest.raises(TransportError):
                channel.send(POST, Timeouts(connect=5, total=0.1 if ending is Ending.HANG else 20))
            lab.answer = Answer(pieces=[b"fine"])
            assert (channel.send(POST, PATIENT)).content == b"fine"


def test_error_of_the_callers_own_body_reaches_the_caller(lab: Lab) -> None:
    def body() -> Iterator[bytes]:
        yield b"one"
        raise LookupError("mine")

    with channel_to(lab) as channel:
        with pytest.raises(LookupError, match="mine"):
            channel.send(Request("POST", "/", (), body()), PATIENT)
        assert (channel.send(POST, PATIENT)).status == 200


def test_close_is_harmless_when_repeated(lab: Lab) -> None:
    channel = lab.transport.open(lab.endpoint)
    channel.close()
    channel.close()
