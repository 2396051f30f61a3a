"""The reader of answers, without any I/O: what it makes of legal bytes, and of all others."""

from __future__ import annotations

import contextlib

import h11
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wire_answers import CHUNKED, FITTING, ILLEGAL, OK, STRICTER, Legal, cut, legal_answers

from directlane.core.transports.wire.reader import BadAnswerError, ResponseReader, hinted_end

LIMIT = 65_536
UNHURRIED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def read(pieces: list[bytes], method: str = "GET", limit: int = LIMIT) -> ResponseReader:
    """Feed the pieces, then the end of the connection."""
    reader = ResponseReader(limit)
    reader.begin(is_head=method == "HEAD")
    for piece in pieces:
        reader.feed(piece)
    reader.end()
    return reader


def result(reader: ResponseReader) -> tuple[int, object, bytes, bool]:
    return reader.status, reader.headers, b"".join(reader.take()), reader.is_reusable


@UNHURRIED
@given(legal_answers(), st.lists(st.integers(0, 2000), max_size=8))
def test_legal_answer_is_read_however_it_is_cut(answer: Legal, cuts: list[int]) -> None:
    every_byte = [bytes([byte]) for byte in answer.data]
    expected = (answer.status, answer.fields, answer.body)
    for pieces in ([answer.data], cut(answer.data, cuts), every_byte):
        reader = read(pieces, answer.method)
        status, fields, body, is_reusable = result(reader)
        assert (status, fields, body) == expected
        assert answer.may_be_reused or not is_reusable


@UNHURRIED
@given(
    st.integers(200, 599).filter(lambda status: status not in (204, 304)),
    st.lists(st.binary(max_size=50), max_size=5),
    st.booleans(),
    st.lists(st.integers(0, 2000), max_size=8),
)
def test_what_h11_writes_is_read(status: int, pieces: list[bytes], is_chunked: bool, cuts: list[int]) -> None:
    writer = h11.Connection(h11.SERVER)
    writer.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    writer.next_event()
    fields = [] if is_chunked else [("Content-Length", str(sum(map(len, pieces))))]
    events: list[h11.Event] = [h11.InformationalResponse(status_code=103, headers=[])]
    events += [h11.Response(status_code=status, headers=fields)]
    events += [h11.Data(data=piece) for piece in pieces] + [h11.EndOfMessage()]
    data = b"".join(writer.send(event) or b"" for event in events)
    reader = read(cut(data, cuts))
    assert (reader.status, b"".join(reader.take()), reader.is_reusable) == (status, b"".join(pieces), True)


@UNHURRIED
@given(st.lists(legal_answers().filter(lambda answer: answer.may_be_reused), min_size=2, max_size=4))
def test_one_reader_reads_one_answer_after_the_other(answers: list[Legal]) -> None:
    reader = ResponseReader(LIMIT)
    for answer in answers:
        reader.begin(is_head=answer.method == "HEAD")
        reader.feed(answer.data)
        assert reader.is_complete
        assert result(reader)[:3] == (answer.status, answer.fields, answer.body)


@UNHURRIED
@given(legal_answers(), st.data())
def test_bytes_behind_an_answer_make_the_connection_unfit(answer: Legal, data: st.DataObject) -> None:
    surplus = data.draw(st.binary(min_size=1).filter(lambda text: text.strip(b"\r\n") != b""))
    if answer.ends_with_connection:
        return
    for pieces in ([answer.data + surplus], [answer.data, surplus]):
        reader = read(pieces, answer.method)
        assert reader.status == answer.status
        assert not reader.is_reusable


@UNHURRIED
@given(legal_answers(), st.data())
def test_any_part_of_an_answer_is_never_a_whole_one(answer: Legal, data: st.DataObject) -> None:
    short = answer.data[: data.draw(st.integers(0, len(answer.data) - 1))]
    try:
        reader = read([short], answer.method)
    except BadAnswerError:
        return
    # Only an answer that ends with its connection cannot tell.
    assert answer.ends_with_connection
    assert answer.body.startswith(b"".join(reader.take()))
    assert not reader.is_reusable


@UNHURRIED
@given(legal_answers(), st.data())
def test_damaged_answers_never_do_more_than_be_refused(answer: Legal, data: st.DataObject) -> None:
    damaged = bytearray(answer.data)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged)))
        piece = data.draw(
            st.sampled_from([b"", b"\0", b"\r", b"\n", b"\r\n", b" ", b":", b"9", b"\xff", answer.data[:40]])
        )
        damaged[place : place + data.draw(st.integers(0, 3))] = piece
    outcomes: list[object] = []
    for pieces in ([bytes(damaged)], [bytes([byte]) for byte in damaged]):
        try:
            outcomes.append(result(read(pieces, answer.method))[:3])
        except BadAnswerError:
            outcomes.append("refused")
    assert outcomes[0] == outcomes[1]


@UNHURRIED
@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
def test_any_bytes_are_refused_or_read(data: bytes, cuts: list[int]) -> None:
    for start in (b"", b"HTTP/1.1 ", OK, CHUNKED):
        with contextlib.suppress(BadAnswerError):
            read(cut(start + data, cuts))


@pytest.mark.parametrize("name", list(ILLEGAL | STRICTER))
def test_illegal_answer_is_refused(name: str) -> None:
    data = (ILLEGAL | STRICTER)[name]
    for pieces in ([data], [bytes([byte]) for byte in data]):
        with pytest.raises(BadAnswerError):
            read(pieces)


@pytest.mark.parametrize("behind", [b"X", FITTING, b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_second_answer_to_one_request_is_never_read(method: str, behind: bytes) -> None:
    first = OK + b"Content-Length: 2\r\n\r\n" + (b"" if method == "HEAD" else b"ab")
    reader = read([first + behind], method)
    assert (b"".join(reader.take()), reader.is_reusable) == (b"" if method == "HEAD" else b"ab", False)


@pytest.mark.parametrize(
    ("head", "is_reusable"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 7\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\n\r\n", False),
    ],
)
def test_answer_to_head_has_no_body_and_says_whether_the_connection_stays(head: bytes, is_reusable: bool) -> None:
    reader = read([head], "HEAD")
    assert (reader.is_complete, reader.take(), reader.is_reusable) == (True, [], is_reusable)


def test_204_that_announces_a_body_makes_the_connection_unfit() -> None:
    assert not read([b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n"]).is_reusable
    assert read([b"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n"]).is_reusable


@pytest.mark.parametrize("extra", [0, 1])
def test_length_of_the_head_is_held_to_the_byte(extra: int) -> None:
    start, end = OK + b"A: ", b"\r\nContent-Length: 2\r\n\r\n"
    data = start + b"x" * (2000 - len(start) - len(end) + extra) + end + b"ab"
    for pieces in ([data], [data[:1500], data[1500:]], [bytes([byte]) for byte in data]):
        if extra:
            with pytest.raises(BadAnswerError, match="a head of more than 2000 bytes"):
                read(pieces, limit=2000)
        else:
            assert result(read(pieces, limit=2000))[2] == b"ab"


def test_long_body_in_the_first_bytes_is_not_taken_for_head() -> None:
    body = b"x" * 100_000
    assert result(read([OK + b"Content-Length: 100000\r\n\r\n" + body], limit=1024))[2] == body


@pytest.mark.parametrize(
    "flood",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"\r\n",
    ],
)
def test_endless_bytes_before_the_head_are_bounded(flood: bytes) -> None:
    with pytest.raises(BadAnswerError, match="a head of more than"):
        read([flood] * LIMIT)


@pytest.mark.parametrize(("start", "flood"), [(b"0\r\n", b"A: b\r\n"), (b"0\r\nA:", b"x" * 50), (b"1;a=", b"x" * 50)])
def test_endless_trailers_and_extensions_are_bounded(start: bytes, flood: bytes) -> None:
    with pytest.raises(BadAnswerError, match="more than 65536 bytes"):
        read([CHUNKED + start, *[flood] * LIMIT])
    if start.startswith(b"0"):
        with pytest.raises(BadAnswerError, match="more than 65536 bytes"):
            read([CHUNKED + start + flood * LIMIT + b"\r\n\r\n"])


def test_body_longer_than_allowed_is_refused() -> None:
    for data in (FITTING, CHUNKED + b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n", OK + b"\r\nab"):
        reader = ResponseReader(LIMIT)
        reader.begin(is_head=False, max_body=2)
        reader.feed(data)
        reader.end()
        reader = ResponseReader(LIMIT)
        reader.begin(is_head=False, max_body=1)
        with pytest.raises(BadAnswerError, match="a body of more than 1 bytes"):
            reader.feed(data)


def test_interrupt_inside_the_parser_is_not_swallowed() -> None:
    class Interrupted(ResponseReader):
        __slots__ = ()

        def on_body(self, data: bytes) -> None:
            raise KeyboardInterrupt

    reader = Interrupted(LIMIT)
    with pytest.raises(KeyboardInterrupt):
        reader.feed(FITTING)


def test_hint_of_an_interim_answer_is_not_that_of_the_answer() -> None:
    assert read([b"HTTP/1.1 103 E\r\nKeep-Alive: timeout=1\r\n\r\n" + FITTING]).keep_alive_hint is None


def test_keep_alive_hint_says_when_the_server_closes() -> None:
    assert hinted_end("timeout=5, max=100", 100.0) == 104.5
    assert hinted_end("max=3, Timeout=1", 100.0) == 100.5
    assert hinted_end("max=3", 100.0) == float("inf")


_EXCHANGES = st.lists(
    st.tuples(
        st.sampled_from(["GET", "HEAD"]),
        st.sampled_from([b"", b"ab", b"cd", b"\r\n\r\n", b"x" * 300]),
        st.sampled_from([b"", b"X-A: 1\r\n", b"Connection: close\r\n", b"Keep-Alive: timeout=5\r\n"]),
        st.sampled_from(["length", "chunked", "interim"]),
        st.lists(st.integers(0, 400), max_size=2),
    ),
    min_size=2,
    max_size=8,
)


@settings(UNHURRIED, max_examples=300)
@given(_EXCHANGES)
def test_head_that_was_seen_before_changes_nothing(exchanges: list[tuple[str, bytes, bytes, str, list[int]]]) -> None:
    """A reader remembers the last head. With or without that memory, whole or cut, an answer reads the same."""
    used = ResponseReader(LIMIT)
    for method, body, field, framing, cuts in exchanges:
        sent = b"" if method == "HEAD" else body
        if framing == "chunked":
            chunks = b"%x\r\n%b\r\n" % (len(sent), sent) if sent else b""
            end = b"" if method == "HEAD" else chunks + b"0\r\n\r\n"
            data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n%b\r\n%b" % (field, end)
        else:
            data = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n%b" % (len(body), field, sent)
        if framing == "interim":
            data = b"HTTP/1.1 103 Early\r\n\r\n" + data
        pieces = cut(data, cuts)
        used.begin(is_head=method == "HEAD")
        for piece in pieces:
            used.feed(piece)
        used.end()
        assert (used.is_complete, *result(used)) == (True, *result(read(pieces, method)))
        if not used.is_reusable:
            used = ResponseReader(LIMIT)
