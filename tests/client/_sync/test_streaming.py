# Made by tools/unasync.py from tests/client/_async/test_streaming.py. Change that file, then run the tool.
"""Streamed answers and the first event: until it is there the call may go elsewhere. For sync code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from client_lab import Fleet, served, served_when

from directlane import AttemptsError, Client, DeadlineError, Phase, ReplyStream
from directlane.core.emulation.server import Ending, ServerReply, ServerRequest

pytestmark = pytest.mark.anyio

EVENTS = (("content-type", "text/event-stream"),)
GOOD = b"data: 1\n\n"
BAD = b'event: error\ndata: {"message": "overloaded"}\n\n'

Behaviour = Callable[[ServerRequest], ServerReply]


def stream(*pieces: bytes, ending: Ending = Ending.WHOLE) -> Behaviour:
    """Answer every request with these pieces, as events."""
    return lambda _: ServerReply(headers=EVENTS, content=served(*pieces), ending=ending)


def note(reply: ReplyStream, heard: list[bytes]) -> None:
    """Read to the end; what came is noted even if there is none."""
    for piece in reply.iter_bytes():
        heard.append(piece)  # noqa: PERF401 - a comprehension would lose what came before an error


ILL: dict[str, Behaviour] = {
    "an error as first event": stream(BAD),
    "an error after a comment": stream(b": wait\n\n", b'data: {"error": "no memory"}\n\n'),
    "an error, and nothing else": stream(BAD, ending=Ending.HANG),
    "silence after the head": stream(ending=Ending.HANG),
    "comments, then silence": stream(b": wait\n\n", b": wait\n\n", ending=Ending.HANG),
    "half an event": stream(b"data: 1\n", ending=Ending.HANG),
    "a reset before the first event": stream(b": wait\n\n", ending=Ending.RESET),
    "an end without its mark": stream(ending=Ending.HALF),
    "silence": lambda _: ServerReply(ending=Ending.HANG),
    "503": lambda _: ServerReply(503),
}


@pytest.mark.parametrize("fault", ILL)
def test_r4_a_fault_before_the_first_event_is_not_noticed(fleet: Fleet, fault: str) -> None:
    """Bar R4, first half: two of three instances are ill."""
    fleet.servers[0].behaviour = fleet.servers[1].behaviour = ILL[fault]
    fleet.servers[2].behaviour = stream(GOOD, b"data: 2\n\n")
    data = fleet.data(repeatable=True, first_event_timeout="300ms", timeout="20s")
    with Client.from_data(data) as client:
        service = client.service("svc")
        for _ in range(2):
            with service.stream() as reply:
                assert reply.read() == GOOD + b"data: 2\n\n"
                assert reply.endpoint is not None
                assert reply.endpoint.url == fleet.servers[2].server.url
        assert all(view.open_calls == 0 for view in service.endpoints())


@pytest.mark.parametrize("ending", [Ending.RESET, Ending.HALF, Ending.HANG])
def test_r4_after_the_first_event_nothing_is_begun_again(fleet: Fleet, ending: Ending) -> None:
    """Bar R4, second half: the caller has seen an event, so what follows is an error and never a second beginning."""
    for server in fleet.servers:
        server.behaviour = stream(GOOD, ending=ending)
    heard: list[bytes] = []
    with Client.from_data(fleet.data(repeatable=True, gap_timeout="200ms")) as client:
        with client.service("svc").stream() as reply:
            with pytest.raises(AttemptsError, match="broke off") as caught:
                note(reply, heard)
        assert all(view.open_calls == 0 for view in client.service("svc").endpoints())
    assert b"".join(heard) == GOOD
    assert len(fleet.seen()) == 1
    assert caught.value.phase is Phase.STREAM
    assert caught.value.elapsed is not None


def test_an_error_event_is_the_answer_of_a_call_that_must_not_repeat(fleet: Fleet) -> None:
    for server in fleet.servers:
        server.behaviour = stream(BAD)
    with Client.from_data(fleet.data()) as client:
        service = client.service("svc")
        with service.stream() as reply:
            assert (reply.status, reply.attempts) == (200, 1)
            assert sum(view.open_calls for view in service.endpoints()) == 1
            assert reply.read() == BAD
        assert sum(view.open_calls for view in service.endpoints()) == 0
        assert sum(view.refusals for view in service.endpoints()) == 1, "counted against the instance all the same"
    assert len(fleet.seen()) == 1


def test_the_last_error_event_is_the_answer_when_attempts_are_used_up(fleet: Fleet) -> None:
    for server in fleet.servers:
        server.behaviour = stream(BAD)
    with Client.from_data(fleet.data(repeatable=True)) as client:
        service = client.service("svc")
        with service.stream() as reply:
            assert (reply.status, reply.attempts, reply.read()) == (200, 3, BAD)
        assert sum(view.open_calls for view in service.endpoints()) == 0


def test_an_answer_without_any_event_is_an_answer(single: Fleet) -> None:
    with Client.from_data(single.data(repeatable=True)) as client:
        nothing: Behaviour = lambda _: ServerReply(204)  # noqa: E731 - the annotation is what counts
        for behaviour in (stream(), nothing, stream(b": bye\n\n")):
            single.servers[0].behaviour = behaviour
            with client.service("svc").stream() as reply:
                assert reply.attempts == 1
                assert (reply.read()).replace(b": bye\n\n", b"") == b""
    assert len(single.seen()) == 3


def test_silence_until_the_deadline_is_a_deadline_error_with_the_story(fleet: Fleet) -> None:
    for server in fleet.servers:
        server.behaviour = stream(ending=Ending.HANG)
    data = fleet.data(repeatable=True, first_event_timeout="100ms", timeout="250ms")
    with Client.from_data(data) as client:
        with pytest.raises(DeadlineError) as caught:
            client.service("svc").open_stream()
        assert all(view.open_calls == 0 for view in client.service("svc").endpoints())
    assert {record.phase for record in caught.value.attempts} <= {Phase.STREAM, Phase.WAIT, Phase.SEND, Phase.CONNECT}
    assert [endpoint.port for endpoint in caught.value.endpoints]


def test_a_stream_may_have_an_end(single: Fleet) -> None:
    single.servers[0].behaviour = stream(GOOD, ending=Ending.HANG)
    with Client.from_data(single.data(stream_timeout="300ms")) as client:
        with pytest.raises(AttemptsError, match="broke off"):
            with client.service("svc").stream() as reply:
                reply.read()
        assert client.service("svc").endpoints()[0].open_calls == 0


def test_a_gap_may_be_longer_than_the_wait_for_the_first_event(single: Fleet) -> None:
    single.servers[0].behaviour = stream(GOOD, b"data: 2\n\n")
    data = single.data(first_event_timeout="5s", gap_timeout="20s", stream_timeout="30s")
    with Client.from_data(data) as client, client.service("svc").stream() as reply:
        assert reply.read() == GOOD + b"data: 2\n\n"


def test_what_was_read_first_is_given_first_and_a_stream_may_be_left_at_any_point(
    single: Fleet, anyio_backend_name: str
) -> None:
    pieces = [b": wait\n\n", GOOD, b"data: 2\n\n", b"data: 3\n\n"]
    single.servers[0].behaviour = stream(*pieces)
    with Client.from_data(single.data()) as client:
        service = client.service("svc")
        for count in range(6):
            if 0 < count < 5 and anyio_backend_name == "trio":
                continue  # trio warns of every iterator that is left in the middle, the caller's too
            heard: list[bytes] = []
            with service.stream() as reply:
                if count:
                    for piece in reply.iter_bytes():
                        heard.append(piece)
                        if len(heard) == count:
                            break
            assert b"".join(pieces).startswith(b"".join(heard))
            assert service.endpoints()[0].open_calls == 0
        assert (service.send()).content == b"".join(pieces), "no connection was left dirty"


def test_the_deadline_is_told_of_streams_that_have_an_end_only(single: Fleet) -> None:
    single.servers[0].behaviour = stream(GOOD)
    with (
        Client.from_data(single.data(deadline_header="X-Left")) as client,
        client.service("svc").stream() as reply,
    ):
        reply.read()
    with Client.from_data(single.data(deadline_header="X-Left", stream_timeout="60s")) as client:
        with client.service("svc").stream() as reply:
            reply.read()
        client.service("svc").send(timeout=7)
    without, whole, plain = (request.header("x-left") for request in single.seen())
    assert without is None
    assert whole is not None
    assert 30_000 < int(whole) <= 60_000, "until the end of the stream"
    assert plain is not None
    assert 0 < int(plain) <= 7_000


def test_the_door_hands_the_first_event_on_before_there_is_a_second(single: Fleet) -> None:
    """The server sends its second event only when the caller has the first: a door that waited would wait for ever."""
    heard: list[bytes] = []
    single.servers[0].behaviour = lambda _: ServerReply(
        headers=EVENTS, content=served_when(heard, GOOD, b"data: 2\n\n")
    )
    with (
        Client.from_data(single.data()) as client,
        client.http("svc") as http,
        http.stream("POST", "/") as response,
    ):
        for piece in response.iter_bytes():
            heard.append(piece)  # noqa: PERF401 - the server waits for each
    assert b"".join(heard) == GOOD + b"data: 2\n\n"
