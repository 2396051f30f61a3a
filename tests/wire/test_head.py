"""The heads of requests: what is remembered of the last one changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directlane.core.endpoint import Endpoint
from directlane.core.errors import InvalidRequestError
from directlane.core.message import Content, Headers
from directlane.core.transports.wire.head import HeadMaker

ENDPOINT = Endpoint("10.0.0.1", 8080)

FIELDS: list[tuple[str, str]] = [
    ("X-A", "1"),
    ("x-a", "2"),
    ("X-Tab", "a\tb"),
    ("X-Latin", "é"),
    ("Connection", "close"),
    ("Host", "elsewhere"),
    ("content-length", "3"),
    ("Date", "now"),
]

_CALLS = st.lists(
    st.tuples(
        st.sampled_from(["POST", "GET", "HEAD", "PUT"]),
        st.sampled_from(["/", "/a", "/a?b=c"]),
        st.lists(st.sampled_from(FIELDS), max_size=4).map(tuple),
        st.sampled_from([b"", b"abc", None]),
    ),
    min_size=2,
    max_size=8,
)


@given(_CALLS)
def test_memory_of_the_last_head_changes_nothing(calls: list[tuple[str, str, Headers, bytes | None]]) -> None:
    used = HeadMaker(ENDPOINT)
    for method, target, headers, body in calls:
        content: Content = iter([b"abc"]) if body is None else body
        made, fresh = (maker.make(method, target, headers, content) for maker in (used, HeadMaker(ENDPOINT)))
        assert (made.data, made.length, made.is_head) == (fresh.data, fresh.length, fresh.is_head)


def test_head_as_it_is_sent() -> None:
    headers = (("Connection", "close"), ("X-Latin", "é"), ("X-Tab", "a\tb"))
    head = HeadMaker(ENDPOINT).make("POST", "/a", headers, b"abc")
    assert head.data == (
        b"POST /a HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nX-Latin: \xe9\r\nX-Tab: a\tb\r\nContent-Length: 3\r\n\r\n"
    )


@pytest.mark.parametrize(
    "field", [("X-A", "1\r\nX-B: 2"), ("X-A", "1\n"), ("X A", "1"), ("", "1"), ("X-A", "\x00"), ("X-A", "好")]
)
def test_bad_field_is_refused_behind_good_ones(field: tuple[str, str]) -> None:
    maker = HeadMaker(ENDPOINT)
    maker.make("POST", "/a", (("X-A", "1"),), b"")
    for _ in range(2):
        with pytest.raises(InvalidRequestError):
            maker.make("POST", "/a", (("X-A", "1"), field), b"")
