"""The doors of httpx and httpx2: the library's client, all of its features, through our dispatch. For async code."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from client_lab import Fleet, served
from door_lab import open_door

import directlane
from directlane import AsyncClient, CallError, ClosedError
from directlane.core.emulation.server import Ending, ServerReply

pytestmark = pytest.mark.anyio


async def test_json_and_paths(library: Any, single: Fleet) -> None:
    async with AsyncClient.from_data(single.data()) as client, open_door(library, client, "svc") as http:
        reply = await http.post("/", json=[{"money_credit": 3000000}])
        assert reply.json()["server"] == "s1"
        assert (await http.get("/v1/models", params={"a": "b c"})).json()["path"] == "/v1/models?a=b+c"
        assert (await http.get("v1/x")).json()["path"] == "/v1/x"
    assert json.loads(single.seen()[0].content) == [{"money_credit": 3000000}]
    assert single.seen()[0].header("content-type") == "application/json"


async def test_instances_see_their_own_address_as_host(library: Any, single: Fleet) -> None:
    async with AsyncClient.from_data(single.data()) as client, open_door(library, client, "svc") as http:
        await http.post("/", content=b"x")
    seen = single.seen()[0]
    assert seen.header("host") == single.servers[0].server.url.removeprefix("http://")
    assert [value for name, value in seen.headers if name == "content-length"] == ["1"]


async def test_forms_files_cookies_and_default_headers(library: Any, single: Fleet) -> None:
    single.servers[0].behaviour = lambda _: ServerReply(headers=(("set-cookie", "session=1"),))
    async with (
        AsyncClient.from_data(single.data()) as client,
        open_door(library, client, "svc", headers={"X-App": "a"}) as http,
    ):
        await http.post("/", files={"file": ("a.txt", b"content")}, data={"k": "v"})
        await http.post("/")
    first, second = single.seen()
    assert b"content" in first.content
    assert (first.header("content-type") or "").startswith("multipart/form-data")
    assert first.header("x-app") == "a"
    assert second.header("cookie") == "session=1"


async def test_failover_and_who_answered(library: Any, fleet: Fleet) -> None:
    fleet.servers[0].server.stop()
    async with AsyncClient.from_data(fleet.data()) as client, open_door(library, client, "svc") as http:
        replies = [await http.post("/", json={}) for _ in range(6)]
    assert {reply.status_code for reply in replies} == {200}
    told = [reply.extensions["directlane"] for reply in replies]
    assert max(facts["attempts"] for facts in told) == 2
    assert {facts["endpoint"].port for facts in told} == {server.server.port for server in fleet.servers[1:]}


async def test_repeatable_for_one_request(library: Any, fleet: Fleet) -> None:
    fleet.servers[0].behaviour = lambda _: ServerReply(503)
    async with AsyncClient.from_data(fleet.data()) as client, open_door(library, client, "svc") as http:
        extensions = {"directlane": {"repeatable": True, "key": "user-7"}}
        statuses = [(await http.post("/", extensions=extensions)).status_code for _ in range(6)]
        assert statuses == [200] * 6
        with pytest.raises(ValueError, match="unknown names in extensions"):
            await http.post("/", extensions={"directlane": {"repeatabel": True}})


async def test_streamed_reply_and_request(library: Any, single: Fleet) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    single.servers[0].behaviour = lambda _: ServerReply(content=served(b"data: 1\n\n", b"data: 2\n\n"))
    async with AsyncClient.from_data(single.data()) as client, open_door(library, client, "svc") as http:
        async with http.stream("POST", "/", content=body()) as reply:
            lines = [line async for line in reply.aiter_lines()]
        assert client.service("svc").endpoints()[0].open_calls == 0
    assert lines == ["data: 1", "", "data: 2", ""]
    assert single.seen()[0].content == b"onetwo"


async def test_compressed_replies_are_decoded_by_httpx(library: Any, single: Fleet) -> None:
    packed = gzip.compress(b"hello")
    single.servers[0].behaviour = lambda _: ServerReply(headers=(("content-encoding", "gzip"),), content=packed)
    async with AsyncClient.from_data(single.data()) as client, open_door(library, client, "svc") as http:
        assert (await http.get("/")).text == "hello"
        # The lean door gives what came over the wire.
        assert (await client.service("svc").send()).content == packed


async def test_a_transport_for_a_client_of_ones_own(library: Any, single: Fleet) -> None:
    make: Any = directlane.httpx_transport if library.__name__ == "httpx" else directlane.httpx2_transport
    async with AsyncClient.from_data(single.data()) as client:
        transport = make(client.service("svc"))
        async with library.AsyncClient(transport=transport, base_url=transport.base_url + "/v1") as http:
            assert (await http.get("models")).json()["path"] == "/v1/models"
        assert (await client.service("svc").send()).ok


async def test_the_time_that_a_call_took(library: Any, single: Fleet) -> None:
    async with AsyncClient.from_data(single.data()) as client, open_door(library, client, "svc") as http:
        assert (await http.get("/")).elapsed.total_seconds() > 0


async def test_an_sdk_that_repeats_by_itself_is_told_once(library: Any, single: Fleet) -> None:
    async with AsyncClient.from_data(single.data()) as client, open_door(library, client, "svc") as http:
        await http.post("/", headers={"X-Stainless-Retry-Count": "0"})
        with pytest.warns(directlane.RepeatedRetriesWarning, match="max_retries=0"):
            await http.post("/", headers={"X-Stainless-Retry-Count": "1"})
        assert (await http.post("/", headers={"X-Stainless-Retry-Count": "2"})).status_code == 200, "without another"


async def test_nothing_leaves_through_the_door_to_another_host(library: Any, single: Fleet) -> None:
    target = single.servers[0].server.url
    single.servers[0].behaviour = lambda _: ServerReply(307, (("location", f"{target}/elsewhere"),))
    async with (
        AsyncClient.from_data(single.data()) as client,
        open_door(library, client, "svc", follow_redirects=True) as http,
    ):
        with pytest.raises(library.UnsupportedProtocol, match="service 'svc' only"):
            await http.get(f"{target}/secret")
        with pytest.raises(library.UnsupportedProtocol, match="service 'svc' only"):
            await http.get("/")
    assert [seen.target for seen in single.seen()] == ["/"]


async def test_errors_are_those_that_users_of_httpx_expect(library: Any, single: Fleet) -> None:
    async with AsyncClient.from_data(single.data()) as client, open_door(library, client, "svc") as http:
        single.servers[0].behaviour = lambda _: ServerReply(ending=Ending.HANG)
        with pytest.raises(library.ReadTimeout) as late:
            await http.post("/", timeout=0.1)
        single.servers[0].behaviour = lambda _: ServerReply(ending=Ending.RESET)
        with pytest.raises(library.ReadError) as reset:
            await http.post("/")
        single.servers[0].behaviour = lambda _: ServerReply(content=b"x" * 1000, ending=Ending.HALF)
        with pytest.raises(library.ReadError):
            await http.post("/")
        single.servers[0].server.stop()
        with pytest.raises(library.ConnectError) as refused:
            await http.post("/")
    for caught in (late, reset, refused):
        assert isinstance(caught.value.__cause__, CallError), "the cause has the whole story"
        assert caught.value.request.method == "POST"


async def test_closing_the_door_leaves_the_service_open(library: Any, single: Fleet) -> None:
    async with AsyncClient.from_data(single.data()) as client:
        http = open_door(library, client, "svc")
        await http.aclose()
        assert (await client.service("svc").send()).ok


async def test_door_of_a_closed_client(library: Any, single: Fleet) -> None:
    client = AsyncClient.from_data(single.data())
    http = open_door(library, client, "svc")
    await client.aclose()
    with pytest.raises(ClosedError):
        await http.get("/")
    with pytest.raises(ClosedError):
        open_door(library, client, "svc")
    await http.aclose()


@pytest.mark.parametrize("name", ["Übersetzer", "a/b", "a_b.c", "-", "x" * 100, "模型", "xn--80ak6aa92e"])
async def test_any_service_name_makes_a_door(library: Any, single: Fleet, name: str) -> None:
    data = single.data()
    data["services"][name] = data["services"].pop("svc")
    async with AsyncClient.from_data(data) as client, open_door(library, client, name) as http:
        assert (await http.get("/")).status_code == 200
