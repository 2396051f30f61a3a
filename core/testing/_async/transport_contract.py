"""What every transport keeps to, for async code; the sync twin is made from this file.

    class TestQuicAsync(AsyncTransportContract):
        def transport(self):
            return QuicTransport()

Each test talks to a real server on loopback (`socket_lab`). A transport that does not use sockets gives a `lab` of its
own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from ...emulation.exchange import Ending
from ...endpoint import Endpoint
from ...errors import Phase, PluginError, TransportError
from ...interfaces.transport import AsyncChannel, Timeouts
from ...message import Request, header
from ..settings_rules import check_schema, check_strict, refused
from ..transport_claims import TransportClaimRules
from ..transport_lab import ServerAnswer, TransportLab, mark_if_async, side_of, socket_lab

__all__ = ["AsyncTransportContract"]

PATIENT = Timeouts(connect=5, total=20)
POST = Request("POST", "/v1/x?y=1", (("X-One", "1"), ("X-Two", "2")), b"hello")


@asynccontextmanager
async def _channel_to(lab: TransportLab, endpoint: Endpoint | None = None) -> AsyncGenerator[AsyncChannel, None]:
    channel = lab.transport.open_async(endpoint or lab.endpoint)
    try:
        yield channel
    finally:
        await channel.aclose()


class AsyncTransportContract(TransportClaimRules):
    """The contract of `Transport` and `AsyncChannel`, as tests.

    Tried is the side that this class is for; if the transport does not claim it, only that it refuses to open.
    """

    def __init_subclass__(cls) -> None:
        mark_if_async(cls)

    @pytest.fixture
    def anyio_backend(self) -> str:
        """The event loop; every transport must know asyncio."""
        return "asyncio"

    @pytest.fixture
    def lab(self) -> Iterator[TransportLab]:
        """The transport and its far side."""
        if not self._has_this_side:
            pytest.skip(f"`{side_of(type(self))}` is not claimed")
        with socket_lab(self.transport()) as lab:
            yield lab

    async def test_side_that_is_not_claimed_refuses_when_it_is_opened(self) -> None:
        """With a PluginError that says what to do, before a call waits for it."""
        if self._has_this_side:
            await self.transport().open_async(Endpoint("127.0.0.1", 9)).aclose()
            return
        rule = "a side that is not there is refused with a PluginError"
        error = refused(PluginError, lambda: self.transport().open_async(Endpoint("127.0.0.1", 9)), rule)
        assert "Next:" in str(error), "the refusal says what to do next"

    def test_settings_are_strict_and_described(self) -> None:
        """A typing mistake in a file is told; the schema describes every setting."""
        transport = self.transport()
        check_strict(type(transport), {name: getattr(transport, name) for name in transport.model_fields_set})
        check_schema(type(transport))
        assert transport.summary.strip(), "`summary` is empty: lists show it"

    async def test_request_arrives_as_it_was_given(self, lab: TransportLab) -> None:
        """Method, target, header fields and body, and a `Host` that names the endpoint."""
        async with _channel_to(lab) as channel:
            await channel.send(POST, PATIENT)
        [seen] = lab.script.seen
        assert (seen.method, seen.target, seen.content) == ("POST", "/v1/x?y=1", b"hello")
        assert header(seen.headers, "x-one") == "1"
        assert header(seen.headers, "x-two") == "2"
        assert header(seen.headers, "host") == lab.endpoint.authority

    async def test_reply_names_its_endpoint(self, lab: TransportLab) -> None:
        """Status, body, repeated header fields in their order, and the endpoint that answered."""
        lab.script.answer = ServerAnswer(201, (("X-A", "1"), ("X-B", "2"), ("X-B", "3")), [b"body"])
        async with _channel_to(lab) as channel:
            reply = await channel.send(POST, PATIENT)
        assert (reply.status, reply.content, reply.endpoint) == (201, b"body", lab.endpoint)
        assert [value for name, value in reply.headers if name.lower() == "x-b"] == ["2", "3"]

    @pytest.mark.parametrize("status", [200, 204, 400, 401, 404, 429, 450, 500, 503])
    async def test_every_status_is_a_reply(self, lab: TransportLab, status: int) -> None:
        """A status of 400 or more is no error here: the provider judges it."""
        lab.script.answer = ServerAnswer(status, pieces=[] if status == 204 else [b"x"])
        async with _channel_to(lab) as channel:
            reply = await channel.send(POST, PATIENT)
        assert reply.status == status

    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"])
    async def test_every_method(self, lab: TransportLab, method: str) -> None:
        """What has no body in its answer, such as the answer to HEAD, leaves nothing to wait for."""
        lab.script.answer = ServerAnswer(pieces=[])
        async with _channel_to(lab) as channel:
            assert (await channel.send(Request(method, "/"), PATIENT)).status == 200
        assert lab.script.seen[0].method == method

    async def test_empty_and_large_bodies(self, lab: TransportLab) -> None:
        """Nothing, one byte and 4 MiB, one after another on one channel."""
        large = bytes(range(256)) * 4096 * 4
        async with _channel_to(lab) as channel:
            for body in (b"", b"x", large):
                lab.script.answer = ServerAnswer(pieces=[body])
                reply = await channel.send(Request("POST", "/", (), body), PATIENT)
                assert reply.content == body
        assert [seen.content for seen in lab.script.seen] == [b"", b"x", large]

    async def test_streamed_request_body(self, lab: TransportLab) -> None:
        """Pieces that the caller yields are sent in order."""

        async def body() -> AsyncIterator[bytes]:
            yield b"one"
            yield b"two"

        async with _channel_to(lab) as channel:
            await channel.send(Request("POST", "/", (), body()), PATIENT)
        assert lab.script.seen[0].content == b"onetwo"

    async def test_plain_iterable_as_request_body(self, lab: TransportLab) -> None:
        """A plain iterator will do, in async code too."""
        async with _channel_to(lab) as channel:
            await channel.send(Request("POST", "/", (), iter([b"one", b"two"])), PATIENT)
        assert lab.script.seen[0].content == b"onetwo"

    async def test_streamed_reply(self, lab: TransportLab) -> None:
        """`stream` returns when the head is there; the pieces come after it, and together they are the body."""
        lab.script.answer = ServerAnswer(pieces=[b"a", b"b", b"c"], is_chunked=True)
        async with _channel_to(lab) as channel:
            streamed = await channel.stream(POST, PATIENT)
            pieces = [piece async for piece in streamed.body]
            await streamed.body.aclose()
        assert streamed.status == 200
        assert b"".join(pieces) == b"abc"

    async def test_stream_that_is_closed_early_leaves_the_channel_fit(self, lab: TransportLab) -> None:
        """The rest of the body is no part of the next answer, and closing twice is harmless."""
        lab.script.answer = ServerAnswer(pieces=[b"x" * 100_000] * 20, is_chunked=True)
        async with _channel_to(lab) as channel:
            for _ in range(3):
                streamed = await channel.stream(POST, PATIENT)
                await streamed.body.aclose()
                await streamed.body.aclose()
            lab.script.answer = ServerAnswer(pieces=[b"whole"])
            assert (await channel.send(POST, PATIENT)).content == b"whole"

    async def test_refused_connection_is_phase_connect(self, lab: TransportLab) -> None:
        """Nothing was sent, so the call may go to another endpoint. The error names the address."""
        async with _channel_to(lab, lab.refusing) as channel:
            with pytest.raises(TransportError) as caught:
                await channel.send(POST, PATIENT)
        assert caught.value.phase is Phase.CONNECT
        assert not caught.value.timed_out
        assert lab.refusing.authority in str(caught.value)

    async def test_reset_before_the_answer_is_phase_wait(self, lab: TransportLab) -> None:
        """The server may have begun its work, so the transport does not send again by itself."""
        lab.script.answer = ServerAnswer(ending=Ending.RESET)
        async with _channel_to(lab) as channel:
            with pytest.raises(TransportError) as caught:
                await channel.send(POST, PATIENT)
        assert caught.value.phase is Phase.WAIT
        assert len(lab.script.seen) == 1

    async def test_hanging_server_is_a_timeout_in_phase_wait(self, lab: TransportLab) -> None:
        """A server that takes the request and says nothing ends with `timed_out` when `Timeouts.total` is over."""
        lab.script.answer = ServerAnswer(ending=Ending.HANG)
        async with _channel_to(lab) as channel:
            with pytest.raises(TransportError) as caught:
                await channel.send(POST, Timeouts(connect=5, total=0.1))
        assert caught.value.phase is Phase.WAIT
        assert caught.value.timed_out

    async def test_answer_that_breaks_off_is_phase_stream(self, lab: TransportLab) -> None:
        """An answer that ends before its announced length is an error, with `send` and with `stream`."""
        lab.script.answer = ServerAnswer(pieces=[b"x" * 1000], ending=Ending.HALF)
        async with _channel_to(lab) as channel:
            with pytest.raises(TransportError) as caught:
                await channel.send(POST, PATIENT)
            assert caught.value.phase is Phase.STREAM
            streamed = await channel.stream(POST, PATIENT)
            with pytest.raises(TransportError) as caught:
                async for _ in streamed.body:
                    pass
            assert caught.value.phase is Phase.STREAM
            await streamed.body.aclose()

    async def test_channel_works_again_after_every_failure(self, lab: TransportLab) -> None:
        """A broken connection is not used for the next call."""
        async with _channel_to(lab) as channel:
            for ending in (Ending.RESET, Ending.HALF, Ending.HANG):
                lab.script.answer = ServerAnswer(pieces=[b"x" * 1000], ending=ending)
                with pytest.raises(TransportError):
                    await channel.send(POST, Timeouts(connect=5, total=0.1 if ending is Ending.HANG else 20))
                lab.script.answer = ServerAnswer(pieces=[b"fine"])
                assert (await channel.send(POST, PATIENT)).content == b"fine"

    async def test_error_of_the_callers_own_body_reaches_the_caller(self, lab: TransportLab) -> None:
        """It is raised as it is, and the half-sent request does not spoil the channel."""

        async def body() -> AsyncIterator[bytes]:
            yield b"one"
            raise LookupError("mine")

        async with _channel_to(lab) as channel:
            with pytest.raises(LookupError, match="mine"):
                await channel.send(Request("POST", "/", (), body()), PATIENT)
            assert (await channel.send(POST, PATIENT)).status == 200

    async def test_close_is_harmless_when_repeated(self, lab: TransportLab) -> None:
        """Closing a second time does nothing."""
        channel = lab.transport.open_async(lab.endpoint)
        await channel.aclose()
        await channel.aclose()

    async def test_connections_are_opened_ahead_if_that_is_claimed(self, lab: TransportLab) -> None:
        """`warm` says truly whether connections can rest before the first call; nothing is sent on them."""
        async with _channel_to(lab) as channel:
            resting = await channel.warm(2, PATIENT)
        if "warm" in lab.transport.capabilities:
            assert resting == 2, f"`warm` is claimed, and of 2 connections {resting} were opened"
        else:
            assert resting == 0, "connections are opened ahead and `warm` is not claimed"
        assert not lab.script.seen, "a request was sent to warm up"

    @property
    def _has_this_side(self) -> bool:
        return side_of(type(self)) in self.transport().capabilities
