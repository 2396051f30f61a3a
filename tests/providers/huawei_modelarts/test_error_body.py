"""Error bodies in every form that the platform uses, and anything else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directlane.core.message import Reply
from directlane.providers.huawei_modelarts.error_body import PlatformError, describe, limit_window, read_error


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"error_code": "ModelArts.0202", "error_msg": "expired"}, "ModelArts.0202", "expired"),
        ({"error_code": "APIGW.0308", "error_msg": "slow down", "request_id": "r"}, "APIG.0308", "slow down"),
        ({"error": {"code": 404, "message": "gone", "title": "Not Found"}}, "404", "gone"),
        ({"error_code": "IAM.0002", "error_msg": "no"}, "IAM.0002", "no"),
        ({"errorCode": "X.1", "errorMsg": "no"}, "X.1", "no"),
        ({"code": "X.1", "message": "no"}, "X.1", "no"),
        ({"result": {"errorCode": "X.1", "errorMsg": "no"}}, "X.1", "no"),
        ({"error_code": "X.1", "encoded_authorization_message": "abc"}, "X.1", ""),
        ({"error_msg": "only text"}, "", "only text"),
        ({"error_code": True, "error_msg": 5}, "", ""),
        ({"answer": 42}, "", ""),
        ([], "", ""),
    ],
)
def test_forms(body: object, code: str, message: str) -> None:
    assert read_error(json.dumps(body).encode()) == PlatformError(code, message)


@given(st.sampled_from([b"", b'{"error_code":', b'{"error_msg":"']), st.binary(max_size=100))
def test_any_bytes_are_read_without_a_crash(start: bytes, rest: bytes) -> None:
    describe(Reply(500, content=start + rest)).encode()


@given(st.text(max_size=50))
def test_any_message_can_be_shown(message: str) -> None:
    describe(Reply(500, content=json.dumps({"error_code": message, "error_msg": message + "\ud800"}).encode())).encode()


@pytest.mark.parametrize("content", [b"{" * 100_000, b'{"a":' * 60_000, b"\xff", b"<html>"])
def test_hostile_bodies_say_nothing(content: bytes) -> None:
    assert read_error(content) == PlatformError()


def test_description_is_one_short_line_with_status_and_code() -> None:
    content = json.dumps({"error_code": "X.1", "error_msg": "a\nb\x1b[31m" + "c" * 5000}).encode()
    text = describe(Reply(403, content=content))
    assert text.startswith("status 403, X.1: a b")
    assert "\x1b" not in text
    assert len(text) < 400


def test_description_masks_a_secret_that_the_platform_repeats() -> None:
    content = json.dumps({"error_code": "X.1", "error_msg": "token MIIsecret is bad " + "MIIsecret" * 50}).encode()
    assert "MIIs" not in describe(Reply(401, content=content), ("MIIsecret", ""))


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("policy user over ratelimit,limit:20,time:1 minute", 60.0),
        ("policy ip over ratelimit,limit:5,time:1 second", 1.0),
        ("time: 2 Hours", 7200.0),
        ("too many", None),
        ("time:many minute", None),
    ],
)
def test_window_of_a_limit(message: str, seconds: float | None) -> None:
    assert limit_window(message) == seconds
