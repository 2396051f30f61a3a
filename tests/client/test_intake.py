"""What callers may write, and what they are told if it cannot be sent. Nothing is sent here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from directlane import AsyncClient, CallSettings, Client, InvalidRequestError
from directlane.core.client.intake import Intake
from directlane.core.clock import SYSTEM_CLOCK
from directlane.core.dispatch.call import Call

INTAKE = Intake(CallSettings(), SYSTEM_CLOCK)


def call(content: Any = b"", path: str = "", *, key: Any = None, timeout: Any = None) -> Call:
    return INTAKE.call(content, path, "POST", None, key=key, timeout=timeout, repeatable=None)


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        (b"[1]", b"[1]"),
        ("grüß", b"gr\xc3\xbc\xc3\x9f"),
        (bytearray(b"[1]"), b"[1]"),
        (memoryview(b"[1]"), b"[1]"),
        ([b"[", b"1]"], [b"[", b"1]"]),
    ],
)
def test_bodies(content: object, sent: object) -> None:
    assert call(content).request.content == sent


def test_iterables_are_sent_as_they_are() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"

    for body in (iter([b"x"]), pieces()):
        assert call(body).request.content is body


@pytest.mark.parametrize("content", [{"credit": 3}, [{"credit": 3}], [1, 2], ("text",), 5, None, object()])
def test_a_body_that_is_none_is_told_before_anything_is_sent(content: object) -> None:
    with pytest.raises(
        InvalidRequestError, match=rf"the body is of type {type(content).__name__}; .*\nNext: .*json\.dumps"
    ):
        call(content)


@pytest.mark.parametrize("path", ["http://10.0.0.7/v1", "https://models.example.com", "ws://x/ü"])
def test_a_whole_url_is_no_path(path: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"the path is a whole URL.*\nNext: .*'/v1/models'"):
        call(path=path)


@pytest.mark.parametrize("path", ["/v1?next=http://10.0.0.7/", "/http://x", "a:b", "?u=http://x"])
def test_a_url_inside_a_path_is_a_path(path: str) -> None:
    assert call(path=path).request.target == path


def test_a_fragment_is_not_sent() -> None:
    with pytest.raises(InvalidRequestError, match="'#'"):
        call(path="/v1#top")
    assert call(path="/v1%23top").request.target == "/v1%23top"


@pytest.mark.parametrize(("key", "taken"), [("ü", b"\xc3\xbc"), (b"\xff", b"\xff"), ("", b""), (None, None)])
def test_keys(key: object, taken: bytes | None) -> None:
    assert call(key=key).key == taken


@pytest.mark.parametrize("key", [7, bytearray(b"x"), ["a"]])
def test_a_key_that_is_no_text_is_told(key: object) -> None:
    with pytest.raises(InvalidRequestError, match=f"the key is of type {type(key).__name__}"):
        call(key=key)


@pytest.mark.parametrize("timeout", ["5s", 0, -1, float("nan")])
def test_a_timeout_is_a_number_above_0(timeout: object) -> None:
    with pytest.raises(ValueError, match="timeout must be above 0 seconds, not"):
        call(timeout=timeout)


@pytest.mark.parametrize("client", [Client, AsyncClient])
@pytest.mark.parametrize("given", ["directlane.toml", {"services": {}}, None])
def test_a_client_is_not_made_of_a_path_or_plain_data(client: Any, given: object) -> None:
    with pytest.raises(TypeError, match=f"not of a {type(given).__name__}\nNext: use `from_file"):
        client(given)
