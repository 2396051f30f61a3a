"""One asyncio connection: a protocol that feeds the reader and wakes whoever waits for the answer."""

from __future__ import annotations

import asyncio
import select
from typing import cast

from .reader import BadAnswerError, ResponseReader, hinted_end
from .vanished import watch_peer

__all__ = ["AsyncConnection"]

_HIGH_WATER = 256 * 1024
"""Bytes of a streamed body that may wait for their reader before the socket is not read any more."""


class AsyncConnection(asyncio.Protocol):
    """A connection that was made. Used by one task at a time.

    Mutable state: the waiter (a future that the task awaits) and the failure; both change in the event loop's thread.
    The time limit is one timer for the life of the connection: most calls end long before theirs, and a timer for each
    of them would be made and cancelled for nothing.
    """

    __slots__ = (
        "_deadline",
        "_failure",
        "_is_paused",
        "_loop",
        "_poll",
        "_read_paused",
        "_rings_at",
        "_timer",
        "_transport",
        "_unread",
        "_waiter",
        "_wants_pieces",
        "_writable",
        "expires_at",
        "is_broken",
        "reader",
        "stale_at",
        "was_used",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, reader: ResponseReader, expires_at: float) -> None:
        self._loop = loop
        self._transport: asyncio.Transport
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._failure: BaseException | None = None
        self._timer: asyncio.Handle | None = None
        self._rings_at = 0.0
        self._poll: select.poll | None = None
        self._deadline = 0.0
        self._is_paused = False
        self._read_paused = False
        self._wants_pieces = False
        self._unread = 0
        self.reader: ResponseReader = reader
        self.expires_at: float = expires_at
        self.stale_at: float = 0.0
        self.was_used: bool = False
        self.is_broken: bool = False

    # --- the event loop's ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast("asyncio.Transport", transport)
        # Under TLS, that the socket can be read need not mean that the far side said anything to us.
        if hasattr(select, "poll") and transport.get_extra_info("ssl_object") is None:
            self._poll = select.poll()
            self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def watch_peer(self, seconds: float) -> None:
        """See `vanished`."""
        if not self.is_broken:
            watch_peer(self._transport.get_extra_info("socket"), seconds)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        reader = self.reader
        if self._waiter is None and not self._wants_pieces:
            # Nobody has asked: the connection is out of step.
            self.abort()
            return
        try:
            reader.feed(data)
        except BadAnswerError as error:
            self._fail(error)
            return
        if reader.is_complete:
            self._wake()
        elif self._wants_pieces and reader.has_head:
            self._unread += len(data)
            if self._unread > _HIGH_WATER and not self._read_paused:
                self._read_paused = True
                self._transport.pause_reading()
            self._wake()

    def eof_received(self) -> bool:
        """The far side has ended. An answer without framing is complete now."""
        self._end(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._end(exc)
        self.resume_writing()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """The socket takes more."""
        self._is_paused = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def _end(self, error: Exception | None) -> None:
        if self.is_broken:
            return
        self._break()
        if self.reader.is_complete:
            # The answer is whole, whatever became of the connection.
            self._wake()
        elif error is not None:
            self._fail(error)
        else:
            try:
                self.reader.end()
            except BadAnswerError as bad:
                self._fail(bad)
            else:
                self._wake()

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
        self._break()
        self._wake()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def _break(self) -> None:
        self.is_broken = True
        self.expires_at = self.stale_at = 0.0

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # --- the task's ---------------------------------------------------------------------------------------------------

    def begin(self, *, is_head: bool, max_body: float, deadline: float, wants_pieces: bool) -> asyncio.Future[None]:
        """Get ready for one exchange that must end by `deadline` (in the event loop's time).

        Returns:
            Done when the answer is complete, has more to take, or has failed; look with `check`. It is awaited where
            the exchange is made: a coroutine in between would cost 2 % of a call.
        """
        self.reader.begin(is_head=is_head, max_body=max_body)
        self._failure = None
        self._wants_pieces = wants_pieces
        self._unread = 0
        self.limit(deadline)
        waiter = self._waiter = self._loop.create_future()
        return waiter

    def limit(self, deadline: float) -> None:
        """Fail with TimeoutError if the exchange is not over by then."""
        self._deadline = deadline
        timer = self._timer
        # The time is kept here: uvloop's handle for a moment that is past knows none.
        if timer is None or self._rings_at > deadline:
            if timer is not None:
                timer.cancel()
            self._rings_at = deadline
            self._timer = self._loop.call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._waiter is None:
            # Nobody waits: between two pieces, the time that their reader takes is his.
            return
        if self._loop.time() >= self._deadline:
            self._fail(TimeoutError())
        else:
            self._rings_at = self._deadline
            self._timer = self._loop.call_at(self._deadline, self._ring)

    def write(self, data: bytes) -> None:
        """Send, without waiting."""
        self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the socket takes more.

        Raises:
            TimeoutError: The deadline has come.
            BadAnswerError: What came is no answer.
            OSError: The connection broke.
        """
        if self._transport.is_closing():
            # A write has failed: the event loop says why in its next turn.
            await asyncio.sleep(0)
        while self._is_paused and not self.is_broken:
            self._writable = self._loop.create_future()
            try:
                await self._writable
            finally:
                self._writable = None
        if self._failure is not None:
            raise self._failure

    def check(self) -> None:
        """See how the wait for the answer has ended.

        Raises:
            TimeoutError: The deadline has come.
            BadAnswerError: The answer is not one.
            OSError: The connection broke.
        """
        self._waiter = None
        if self._failure is not None and not self.reader.is_complete:
            raise self._failure

    async def wait_more(self) -> None:
        """Wait until the answer has more to take. Errors: see `check`."""
        if self._failure is None and not self.reader.is_complete:
            self._waiter = self._loop.create_future()
            await self._waiter
        self.check()

    def resume_reading(self) -> None:
        """The pieces that had come were taken."""
        self._unread = 0
        if self._read_paused:
            self._read_paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def has_news(self) -> bool:
        """Whether bytes, or the end, have come that the event loop has not seen yet: an idle one is then unfit."""
        return self.is_broken or (self._poll is not None and bool(self._poll.poll(0)))

    @property
    def has_unsent(self) -> bool:
        """Whether bytes of the request still wait to be sent: the answer came early."""
        return self._is_paused or self._transport.get_write_buffer_size() > 0

    def rest(self, keepalive: float) -> float:
        """Let it wait for its next request, `keepalive` seconds at most. Returns the time."""
        self._waiter = None
        self._wants_pieces = False
        if self._unread:
            self.resume_reading()
        now = self._loop.time()
        stale_at = now + keepalive
        if self.expires_at < stale_at:
            stale_at = self.expires_at
        hint = self.reader.keep_alive_hint
        self.stale_at = stale_at if hint is None else min(stale_at, hinted_end(hint, now))
        return now

    def abort(self) -> None:
        """Close it at once. Harmless when called again."""
        self._break()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport.abort()
