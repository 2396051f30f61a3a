"""Compressed answers through the doors. For async code."""

from __future__ import annotations

import gzip
import zlib

import pytest
from client_lab import Fleet, served
from codings_lab import PACKED

from directlane import AsyncClient, AttemptsError, ConfigError, Phase
from directlane.core.emulation.server import ServerReply
from directlane.core.message import header

pytestmark = pytest.mark.anyio

BODY = b'{"a": [1, 2, 3]}' * 3000


def answer(fleet: Fleet, coding: str, packed: bytes, status: int = 200) -> None:
    headers = (("Content-Encoding", coding), ("X-A", "1"))
    for server in fleet.servers:
        server.behaviour = lambda request: ServerReply(status, headers, packed)


def pieces(packed: bytes, step: int) -> list[bytes]:
    return [packed[start : start + step] for start in range(0, len(packed), step)]


@pytest.mark.parametrize("way", list(PACKED))
async def test_the_lean_door_gives_the_decoded_body(single: Fleet, way: str) -> None:
    coding, pack = PACKED[way]
    answer(single, coding, pack(BODY))
    async with AsyncClient.from_data(single.data(accept_encoding=["gzip", "deflate"])) as client:
        reply = await client.service("svc").send(b"x", headers={"X-B": "2"})
    assert reply.content == BODY
    assert header(reply.headers, "x-a") == "1"
    assert header(reply.headers, "content-encoding") is None
    assert header(reply.headers, "content-length") is None
    assert single.seen()[0].header("accept-encoding") == "gzip, deflate"
    assert single.seen()[0].header("x-b") == "2"


@pytest.mark.parametrize("way", list(PACKED))
@pytest.mark.parametrize("step", [7, 100_000])
async def test_a_stream_is_decoded_as_it_arrives(single: Fleet, way: str, step: int) -> None:
    coding, pack = PACKED[way]
    packed = pack(BODY)
    headers = (("Content-Encoding", coding),)
    single.servers[0].behaviour = lambda request: ServerReply(200, headers, served(*pieces(packed, step)))
    async with (
        AsyncClient.from_data(single.data(accept_encoding=["gzip", "deflate"])) as client,
        client.service("svc").stream() as reply,
    ):
        assert await reply.aread() == BODY
        assert reply.header("content-encoding") is None


async def test_flushed_events_arrive_before_the_end(single: Fleet) -> None:
    packing = zlib.compressobj(wbits=31)
    first = packing.compress(b"data: one\n\n") + packing.flush(zlib.Z_SYNC_FLUSH)
    rest = packing.compress(b"data: two\n\n") + packing.flush()
    headers = (("Content-Encoding", "gzip"),)
    single.servers[0].behaviour = lambda request: ServerReply(200, headers, served(first, rest))
    async with (
        AsyncClient.from_data(single.data(accept_encoding=["gzip"])) as client,
        client.service("svc").stream() as reply,
    ):
        got = [piece async for piece in reply.aiter_bytes()]
    assert got == [b"data: one\n\n", b"data: two\n\n"]


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_nothing_is_asked_for_and_nothing_decoded_by_default(single: Fleet, is_streamed: bool) -> None:
    packed = gzip.compress(BODY)
    answer(single, "gzip", packed)
    async with AsyncClient.from_data(single.data()) as client:
        if is_streamed:
            async with client.service("svc").stream() as reply:
                assert await reply.aread() == packed
        else:
            whole = await client.service("svc").send()
            assert (whole.content, header(whole.headers, "content-encoding")) == (packed, "gzip")
    assert single.seen()[0].header("accept-encoding") is None


async def test_a_caller_with_a_word_of_its_own_decodes_by_itself(single: Fleet) -> None:
    packed = gzip.compress(BODY)
    answer(single, "gzip", packed)
    async with AsyncClient.from_data(single.data(accept_encoding=["deflate"])) as client:
        reply = await client.service("svc").send(headers={"accept-encoding": "gzip"})
    assert reply.content == packed
    assert single.seen()[0].header("accept-encoding") == "gzip"


async def test_the_httpx_door_decodes_as_httpx_does(single: Fleet) -> None:
    answer(single, "gzip", gzip.compress(BODY))
    async with (
        AsyncClient.from_data(single.data(accept_encoding=["deflate"])) as client,
        client.http("svc") as http,
    ):
        response = await http.get("/")
    assert response.content == BODY
    assert response.headers["content-encoding"] == "gzip"


async def test_a_coding_that_we_do_not_know_is_left_alone(single: Fleet) -> None:
    answer(single, "br", b"whatever")
    async with AsyncClient.from_data(single.data(accept_encoding=["gzip"])) as client:
        reply = await client.service("svc").send()
    assert (reply.content, header(reply.headers, "content-encoding")) == (b"whatever", "br")


async def test_an_error_that_is_packed_is_decoded_in_both_ways(single: Fleet) -> None:
    answer(single, "gzip", gzip.compress(b'{"error": "no"}'), status=422)
    async with AsyncClient.from_data(single.data(accept_encoding=["gzip"])) as client:
        assert (await client.service("svc").send()).json() == {"error": "no"}
        async with client.service("svc").stream() as reply:
            assert await reply.aread() == b'{"error": "no"}'


async def test_an_answer_to_head_keeps_its_headers(single: Fleet) -> None:
    answer(single, "gzip", b"")
    async with AsyncClient.from_data(single.data(accept_encoding=["gzip"])) as client:
        reply = await client.service("svc").send(method="HEAD")
    assert (reply.content, header(reply.headers, "content-encoding")) == (b"", "gzip")


@pytest.mark.parametrize("packed", [b"no gzip at all", gzip.compress(BODY)[:-9], gzip.compress(b"x" * 2_000_000)])
async def test_a_body_that_is_broken_or_a_bomb_fails_in_phase_stream(single: Fleet, packed: bytes) -> None:
    answer(single, "gzip", packed)
    settings = single.data(accept_encoding=["gzip"], max_decoded_bytes=1_000_000)
    async with AsyncClient.from_data(settings) as client:
        service = client.service("svc")
        with pytest.raises(AttemptsError, match="cannot be decoded") as caught:
            await service.send()
        assert caught.value.phase is Phase.STREAM
        assert len(single.seen()) == 1
        with pytest.raises(AttemptsError, match="cannot be decoded") as caught:
            async with service.stream() as reply:
                await reply.aread()
        assert caught.value.phase is Phase.STREAM
        assert [view.open_calls for view in service.endpoints()] == [0]
        answer(single, "gzip", gzip.compress(b"fine"))
        assert (await service.send()).content == b"fine"


async def test_what_may_run_twice_goes_elsewhere_when_a_body_is_broken(pair: Fleet) -> None:
    answer(pair, "gzip", gzip.compress(b"fine"))
    pair.servers[0].behaviour = lambda request: ServerReply(200, (("Content-Encoding", "gzip"),), b"broken")
    async with AsyncClient.from_data(pair.data(accept_encoding=["gzip"], repeatable=True)) as client:
        assert {(await client.service("svc").send()).content for _ in range(4)} == {b"fine"}


async def test_codings_that_we_cannot_undo_are_refused_when_the_configuration_is_read(single: Fleet) -> None:
    with pytest.raises(ConfigError, match="accept_encoding"):
        AsyncClient.from_data(single.data(accept_encoding=["br"]))
