"""Requests and replies: headers, bodies, and what their texts do not tell."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directlane.core.endpoint import Endpoint
from directlane.core.interfaces.provider import Wire
from directlane.core.message import Reply, Request, StatusError, header, headers_from

HEADERS = (("X-One", "1"), ("Set-Cookie", "a"), ("set-cookie", "b"))


class TestHeaders:
    @pytest.mark.parametrize(("name", "value"), [("x-one", "1"), ("SET-COOKIE", "a"), ("absent", None), ("", None)])
    def test_the_first_value_whatever_the_case(self, name: str, value: str | None) -> None:
        assert header(HEADERS, name) == value
        assert Reply(200, HEADERS).header(name) == value

    @pytest.mark.parametrize("mapping", [{"A": "1", "B": "2"}, MappingProxyType({"A": "1", "B": "2"})])
    def test_from_a_mapping(self, mapping: Mapping[str, str]) -> None:
        assert headers_from(mapping) == (("A", "1"), ("B", "2"))

    def test_from_pairs_and_from_nothing(self) -> None:
        assert headers_from([("A", "1"), ("A", "2")]) == (("A", "1"), ("A", "2"))
        assert headers_from(iter([("A", "1")])) == (("A", "1"),)
        assert headers_from(None) == headers_from({}) == headers_from(()) == ()

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.text(), st.text())))
    def test_made_twice_they_are_the_same(self, pairs: list[tuple[str, str]]) -> None:
        assert headers_from(headers_from(pairs)) == tuple(pairs)


class TestRequests:
    def test_bytes_can_be_sent_again_and_a_stream_cannot(self) -> None:
        assert Request("POST", "/", content=b"x").is_replayable
        assert not Request("POST", "/", content=iter([b"x"])).is_replayable

    @pytest.mark.parametrize(
        "target", ["/v1/x?token=s3cret", "https://user:s3cret@host/x?y=s3cret", "https://s3cret@a@host/", "/x?a?s3cret"]
    )
    def test_its_repr_tells_no_secret(self, target: str) -> None:
        request = Request("POST", target, (("Authorization", "s3cret"),), b"s3cret")
        for text in (repr(request), str(request), f"{request}"):
            assert "s3cret" not in text
            assert "Authorization" in text
            assert "POST" in text

    def test_its_repr_helps(self) -> None:
        assert repr(Request("GET", "/v1/models?x=1")) == "<Request GET /v1/models headers: none>"

    def test_a_wire_tells_no_secret(self) -> None:
        text = repr(Wire("/api", (("Authorization", "s3cret"),), sign=lambda request, now: ()))
        assert text == "<Wire prefix '/api', headers: Authorization, signed>"


class TestReplies:
    @pytest.mark.parametrize(("status", "ok"), [(199, False), (200, True), (299, True), (300, False), (503, False)])
    def test_ok_is_2xx(self, status: int, ok: bool) -> None:
        reply = Reply(status)
        assert reply.ok == ok
        if ok:
            assert reply.raise_for_status() is reply
        else:
            with pytest.raises(StatusError) as caught:
                reply.raise_for_status()
            assert caught.value.reply is reply

    def test_json_and_text(self) -> None:
        assert Reply(200, content=b'{"a": [1]}').json() == {"a": [1]}
        assert Reply(200, content="é".encode()).text == "é"
        assert Reply(200, content=b"\xff").text == "\ufffd"

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 200_000], ids=["empty", "half", "bytes", "deep"])
    def test_what_is_not_json(self, body: bytes) -> None:
        with pytest.raises(ValueError):
            Reply(200, content=body).json()

    def test_its_repr(self) -> None:
        reply = Reply(200, (("X-Token", "s3cret"),), b"s3cret", Endpoint("10.0.0.1", 80), 2)
        assert repr(reply) == "<Reply 200 from http://10.0.0.1:80, 6 bytes, 2 attempts>"
        assert repr(Reply(404)) == "<Reply 404, 0 bytes>"
