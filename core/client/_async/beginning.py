"""How a streamed answer begins: it is good when its first event is, and until then the call may go elsewhere."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import cast

from ...codings._async.body import decoded_async
from ...codings.replies import decoded_reply
from ...dispatch.call import Attempt, Call
from ...endpoint import Endpoint
from ...errors import Phase, TransportError
from ...fields import format_duration
from ...interfaces.transport import AsyncBody, AsyncChannel, AsyncStreamed
from ...message import Reply
from ...outcome import Outcome
from ...transports.limits import limit_async
from ..first_event import FirstEvent

__all__ = ["AsyncBegunBody", "begun_async", "closed_async"]


class AsyncBegunBody(AsyncBody):
    """Another body, begun: what was read until the first event is given again, then the rest as it arrives.

    Mutable state: the pieces held back, and whether the end was reached.

    Args:
        streamed: The reply as the channel gave it.
        endpoint: Who answers, for errors.
        gap: Seconds between two pieces, after the first event.
        ends_at: When the whole answer must be over, in seconds of the monotonic clock. None: whenever.
    """

    def __init__(self, streamed: AsyncStreamed, endpoint: Endpoint, gap: float, ends_at: float | None) -> None:
        self._body = streamed.body
        self._arriving = streamed.body.__aiter__()
        self._endpoint = endpoint
        self._gap = gap
        self._ends_at = ends_at
        self._held: list[bytes] = []
        self._is_over = False
        self._keeps_gap = False
        self._first = FirstEvent(streamed.headers)

    @property
    def fault(self) -> str | None:
        """What the first event says went wrong; None if nothing."""
        return self._first.fault

    async def begin(self, ends_at: float) -> None:
        """Read on until the first event is there, or the end. An end without any event is an answer like another.

        Raises:
            TransportError: With phase STREAM: it broke off, or was silent until `ends_at`.
        """
        began = time.monotonic()
        while not self._first.is_there:
            piece = await self._next(ends_at - time.monotonic(), ends_at - began)
            if piece is None:
                return
            if piece:
                self._held.append(piece)
                self._first.feed(piece)
        self._keeps_gap = self._body.allow(self._gap)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        held, self._held = self._held, []
        for piece in held:
            yield piece
        if self._keeps_gap and self._ends_at is None and not self._is_over:
            async for piece in self._arriving:
                yield piece
            self._is_over = True
        while not self._is_over:
            left = self._gap if self._ends_at is None else min(self._gap, self._ends_at - time.monotonic())
            following = await self._next(left, self._gap)
            if following is not None:
                yield following

    async def _next(self, seconds: float, told: float) -> bytes | None:
        """The next piece; None at the end."""
        try:
            if seconds <= 0:
                raise TimeoutError
            self._body.allow(seconds)
            with limit_async(seconds):
                return await anext(self._arriving)
        except StopAsyncIteration:
            self._is_over = True
            return None
        except TimeoutError as error:
            raise TransportError(
                f"the answer of {self._endpoint.authority} paused longer than {format_duration(told)}",
                phase=Phase.STREAM,
                timed_out=True,
            ) from error

    def allow(self, seconds: float) -> bool:
        self._gap = seconds
        return self._body.allow(seconds)

    async def aclose(self) -> None:
        self._held = []
        await self._body.aclose()
        if not self._is_over:
            self._is_over = True
            # What is closed ends soon. Without this look, trio would complain of iterators that were left lying.
            # Another thread or task may be in the middle of a step: then the end is its own.
            with suppress(TransportError, RuntimeError, ValueError):
                async for _ in self._arriving:
                    pass


async def begun_async(call: Call, channel: AsyncChannel, attempt: Attempt, limit: int) -> Outcome:
    """Begin a streamed answer. One that is no success is read at once: the verdict may need its body.

    Args:
        call: The call.
        channel: To the endpoint of the attempt.
        attempt: What to send. Its `body` is set if the answer is a success.
        limit: Bytes that a compressed answer may stand for.
    """
    started = time.monotonic()
    endpoint, timeouts = attempt.member.endpoint, attempt.timeouts
    try:
        streamed = await channel.stream(attempt.request, timeouts)
        if not 200 <= streamed.status < 300:
            try:
                content = b"".join([piece async for piece in streamed.body])
            finally:
                await streamed.body.aclose()
            reply = Reply(streamed.status, streamed.headers, content, endpoint)
            if call.is_decoded:
                reply = decoded_reply(reply, endpoint, limit)
            return Outcome(Phase.DONE, time.monotonic() - started, reply)
        if call.is_decoded:
            streamed = decoded_async(streamed, endpoint, limit)
        body = AsyncBegunBody(streamed, endpoint, timeouts.between_pieces, call.ends_at)
        try:
            await body.begin(started + timeouts.total)
        except BaseException:
            await body.aclose()
            raise
    except TransportError as error:
        return Outcome(error.phase, time.monotonic() - started, error=error)
    attempt.body = body
    reply = Reply(streamed.status, streamed.headers, b"", endpoint)
    return Outcome(Phase.DONE, time.monotonic() - started, reply, fault=body.fault)


async def closed_async(attempt: Attempt) -> None:
    """Close the answer of an attempt that the caller will not get."""
    body, attempt.body = cast("AsyncBody | None", attempt.body), None
    if body is not None:
        await body.aclose()
