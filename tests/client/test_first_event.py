"""When the first event of a stream is there, and what it says: without I/O."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directlane.core.client.first_event import FirstEvent

EVENTS = (("Content-Type", "text/event-stream; charset=utf-8"),)


def fed(*pieces: bytes, headers: tuple[tuple[str, str], ...] = EVENTS) -> FirstEvent:
    first = FirstEvent(headers)
    for piece in pieces:
        assert not first.is_there, "nothing is fed after the event"
        first.feed(piece)
    return first


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_an_event_is_there_with_its_blank_line(end: bytes) -> None:
    assert not fed(b"data: 1" + end).is_there
    assert fed(b"data: 1", end, end).is_there
    assert fed(b"\xef\xbb\xbfdata:1" + end + end).is_there


@pytest.mark.parametrize("pieces", [b": ping\n\n", b"\n\n", b"id: 7\n\n", b"retry: 5\n\n", b"event: start\n\n"])
def test_what_has_no_data_is_no_event(pieces: bytes) -> None:
    assert not fed(pieces).is_there
    assert fed(pieces, b"data: 1\n\n").is_there


@pytest.mark.parametrize(
    "text",
    [
        b"event: error\ndata: x\n\n",
        b"event:error\n\n",
        b'data: {"error": {"message": "overloaded"}}\n\n',
        b'data: {"id": 1,\ndata: "error": "overloaded"}\n\n',
    ],
)
def test_an_error_as_first_event_is_a_fault(text: bytes) -> None:
    first = fed(b": hello\n\n" + text)
    assert first.is_there
    assert first.fault is not None
    assert "overloaded" not in first.fault, "what the service says may hold what it was sent"


@pytest.mark.parametrize(
    "text",
    [
        b'data: {"error": null}\n\n',
        b'data: {"choices": [{"error": "x"}]}\n\n',
        b'data: "error"\n\n',
        b'data: ["error"]\n\n',
        b'data: {"error": \n\n',
        b"data: [DONE]\n\n",
        b'data: {"error":' + b"[" * 20_000 + b"\n\n",
        b"event: message\ndata: error\n\n",
        b'data: 1\n\nevent: error\ndata: {"error": 1}\n\n',
    ],
)
def test_everything_else_is_the_callers(text: bytes) -> None:
    first = fed(text)
    assert (first.is_there, first.fault) == (True, None)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("content-type", "application/json"),),
        (("content-type", "text/event-stream"), ("content-encoding", "gzip")),
    ],
)
def test_of_another_answer_the_first_piece_is_the_first_event(headers: tuple[tuple[str, str], ...]) -> None:
    first = fed(b"event: err", headers=headers)
    assert (first.is_there, first.fault) == (True, None)


def test_a_first_event_that_is_very_long_is_not_held_back_whole() -> None:
    assert fed(b"data: ", b"x" * 70_000).is_there


@given(st.lists(st.integers(0, 60), max_size=8))
def test_it_does_not_matter_how_the_text_is_cut(cuts: list[int]) -> None:
    text = b': ping\r\n\r\nevent: message\r\ndata: {"error": "x"}\r\n\r\ndata: 2\r\n\r\n'
    end = text.index(b"data: 2")
    places = sorted({0, *(cut for cut in cuts if cut < end), end})
    first = FirstEvent(EVENTS)
    for start, stop in pairwise(places):
        if first.is_there:
            break
        first.feed(text[start:stop])
    assert first.is_there
    assert first.fault is not None
