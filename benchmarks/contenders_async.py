"""Who takes part in the benchmark of calls, async code: for each, how one call is made. Rules: `contenders.py`."""

from __future__ import annotations

import asyncio
import importlib
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, cast

from contenders import Site, configuration
from loads import SERVICE, STREAM_END, TOKEN, TYPE

__all__ = ["ASYNC", "AsyncCall"]

AsyncCall = Callable[[], Awaitable[object]]


class Bare(asyncio.Protocol):
    """One connection; a future for the answer. What the event loop takes by itself."""

    def __init__(self, size: int, *, is_streamed: bool) -> None:
        self._is_streamed = is_streamed
        self._size = size
        self._missing = 0
        self._answered: asyncio.Future[None]
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass

    def ask(self, request: bytes) -> asyncio.Future[None]:
        """Send; the future is done when the answer is complete."""
        self._answered = asyncio.get_running_loop().create_future()
        self._missing = 0
        self._transport.write(request)
        return self._answered

    def data_received(self, data: bytes) -> None:
        if self._is_streamed:
            if data.endswith(STREAM_END):
                self._answered.set_result(None)
            return
        if not self._missing:
            assert data.startswith(b"HTTP/1.1 200")
            self._missing = data.find(b"\r\n\r\n") + 4 + self._size
        self._missing -= len(data)
        if not self._missing:
            self._answered.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc

    def close(self) -> None:
        """Close it."""
        self._transport.close()


async def bare_protocol(site: Site, stack: AsyncExitStack) -> AsyncCall:
    """A bare asyncio protocol with a last-in-first-out list of connections per instance."""
    loop = asyncio.get_running_loop()
    turns = itertools.cycle([(list[Bare](), port, site.request(port)) for port in site.ports])
    load = site.load

    async def call() -> None:
        idle, port, request = next(turns)
        if idle:
            connection = idle.pop()
        else:
            _, connection = await loop.create_connection(
                lambda: Bare(load.size, is_streamed=load.is_streamed), "127.0.0.1", port
            )
            stack.callback(connection.close)
        await connection.ask(request)
        idle.append(connection)

    return call


async def aiohttp_session(site: Site, stack: AsyncExitStack) -> AsyncCall:
    """`aiohttp.ClientSession` without a limit of connections."""
    aiohttp: Any = importlib.import_module("aiohttp")
    connector = aiohttp.TCPConnector(limit=0)
    session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
    headers, body = site.headers, site.load.body
    turns = itertools.cycle(site.urls)

    async def call() -> None:
        async with session.post(next(turns), data=body, headers=headers) as response:
            assert await response.read()

    async def stream() -> None:
        async with session.post(next(turns), data=body, headers=headers) as response:
            async for _ in response.content.iter_any():
                pass

    return stream if site.load.is_streamed else call


def httpx_async(library: str) -> Callable[[Site, AsyncExitStack], Awaitable[AsyncCall]]:
    """The async client of httpx (or httpx2), one for all tasks."""

    async def make(site: Site, stack: AsyncExitStack) -> AsyncCall:
        httpx: Any = importlib.import_module(library)
        client = await stack.enter_async_context(
            httpx.AsyncClient(trust_env=False, limits=httpx.Limits(keepalive_expiry=None), timeout=60)
        )
        return httpx_call(client, site, site.urls, site.headers)

    return make


def httpx_call(client: Any, site: Site, urls: Sequence[str], headers: Mapping[str, str]) -> AsyncCall:
    """One call with an async client of httpx, whatever is below it."""
    turns, body = itertools.cycle(urls), site.load.body

    async def call() -> None:
        assert (await client.post(next(turns), content=body, headers=headers)).content

    async def stream() -> None:
        async with client.stream("POST", next(turns), content=body, headers=headers) as response:
            async for _ in response.aiter_bytes():
                pass

    return stream if site.load.is_streamed else call


def directlane_async(kind: str, transport: str = "wire") -> Callable[[Site, AsyncExitStack], Awaitable[AsyncCall]]:
    """The lean door of the async client: the whole framework."""

    async def make(site: Site, stack: AsyncExitStack) -> AsyncCall:
        import directlane

        data = configuration(site, kind, transport)
        client = await stack.enter_async_context(directlane.AsyncClient.from_data(data, environment={"TOKEN": TOKEN}))
        service = client.service(SERVICE)
        headers, body, path = (("content-type", TYPE),), site.load.body, site.load.path

        async def call() -> None:
            assert (await service.send(body, path=path, headers=headers)).status == 200

        async def stream() -> None:
            async with service.stream(body, path=path, headers=headers) as reply:
                async for _ in reply.aiter_bytes():
                    pass

        return stream if site.load.is_streamed else call

    return make


async def directlane_door(site: Site, stack: AsyncExitStack) -> AsyncCall:
    """The httpx door over the wire."""
    import directlane

    data = configuration(site, "plain", "wire")
    client = await stack.enter_async_context(directlane.AsyncClient.from_data(data, environment={"TOKEN": TOKEN}))
    http = await stack.enter_async_context(client.http(SERVICE))
    return httpx_call(http, site, [site.load.path or "/"], {"content-type": TYPE})


ASYNC: Mapping[str, Callable[[Site, AsyncExitStack], Awaitable[AsyncCall]]] = {
    "bare protocol": bare_protocol,
    "aiohttp": aiohttp_session,
    "httpx.AsyncClient": httpx_async("httpx"),
    "httpx2.AsyncClient": httpx_async("httpx2"),
    "directlane, async": directlane_async("plain"),
    "directlane, async, signed": directlane_async("signed"),
    "directlane, async, httpx door": directlane_door,
    "directlane, async, over httpx": directlane_async("plain", "httpx"),
}
