"""What is special about the aiohttp transport: one colour, one extra, and no second run behind our back."""

from __future__ import annotations

import importlib.util
import socket
import threading
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager

import anyio
import pytest

from directlane import ConfigError, Endpoint, InvalidRequestError, PluginError, Request, Timeouts, TransportError
from directlane.core.config.load import load_data
from directlane.core.transports.aiohttp_transport import AiohttpTransport

pytest.importorskip("aiohttp", reason="pip install 'directlane[aiohttp]'")

NOBODY = Endpoint("127.0.0.1", 9)


def test_the_sync_side_refuses_when_it_is_opened() -> None:
    with pytest.raises(PluginError, match="no sync side\nNext: use AsyncClient"):
        AiohttpTransport().open(NOBODY)


def test_another_event_loop_is_refused_when_it_is_opened() -> None:
    async def main() -> None:
        with pytest.raises(PluginError, match="asyncio only\nNext:"):
            AiohttpTransport().open_async(NOBODY)

    anyio.run(main, backend="trio")


def test_a_missing_package_is_told_with_its_extra_when_the_file_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, package: str | None = None) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", missing)
    route = {"provider": "static", "addresses": ["127.0.0.1:9"]}
    with pytest.raises(ConfigError, match=r"directlane\[aiohttp\]"):
        load_data({"services": {"svc": {"routes": [route], "transport": "aiohttp"}}}, source="test", environment={})


@contextmanager
def _dropping(answers: int) -> Generator[tuple[Endpoint, list[bytes]], None, None]:
    """A server that answers so many requests and closes the connection when it has the next one."""
    seen: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(65536):
                    seen.append(data)
                    if len(seen) > answers:
                        break
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield Endpoint("127.0.0.1", listening.getsockname()[1]), seen
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
async def test_a_request_that_must_not_run_twice_goes_out_once(method: str) -> None:
    timeouts = Timeouts(connect=5, total=20, may_resend=False)
    with _dropping(1) as (endpoint, seen):
        channel = AiohttpTransport().open_async(endpoint)
        await channel.send(Request(method, "/"), timeouts)
        with pytest.raises(TransportError) as caught:
            await channel.send(Request(method, "/"), timeouts)
        await channel.aclose()
    assert caught.value.phase.may_have_run
    assert len(seen) == 2


@pytest.mark.anyio
async def test_nothing_is_added_to_the_request() -> None:
    with _dropping(1) as (endpoint, seen):
        channel = AiohttpTransport().open_async(endpoint)
        await channel.send(Request("POST", "/a%2Fb//c/../d?x=%20", (("X-A", "1"),), b"hi"), Timeouts(5, 20))
        await channel.aclose()
    head = seen[0].partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert head[0] == b"POST /a%2Fb//c/../d?x=%20 HTTP/1.1"
    assert {line.partition(b":")[0].lower() for line in head[1:]} == {b"host", b"x-a", b"content-length"}


@pytest.mark.anyio
@pytest.mark.parametrize("declared", ["3", "5", "x"])
async def test_a_stream_that_is_not_as_long_as_declared_is_refused(declared: str) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"four"

    with _dropping(0) as (endpoint, _):
        channel = AiohttpTransport().open_async(endpoint)
        with pytest.raises(InvalidRequestError):
            await channel.send(Request("POST", "/", (("Content-Length", declared),), body()), Timeouts(5, 20))
        await channel.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize("field", [("X-A", "1\r\nX-B: 2"), ("X A", "1"), ("", "1")])
async def test_header_fields_that_are_none_are_refused(field: tuple[str, str]) -> None:
    channel = AiohttpTransport().open_async(NOBODY)
    with pytest.raises(InvalidRequestError):
        await channel.send(Request("POST", "/", (field,)), Timeouts(5, 20))
    await channel.aclose()
