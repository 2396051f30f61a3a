"""Whether a gRPC channel has a connection: asked before a call is begun, so that what fails here was never sent.

For asyncio, gRPC tells the state at once. A sync channel tells it only to a subscriber, for whom gRPC starts a thread
that ends up to 0.2 s after the subscription; a second subscription before that end makes the thread fail if the channel
is closed meanwhile. So the sync state is asked for only where there is reason to doubt, by one thread for all, and with
a gap between two questions.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

from ..errors import Phase, TransportError

if TYPE_CHECKING:
    import grpc
    import grpc.aio

__all__ = ["Readiness", "connected", "connected_async"]

_GAP = 0.5
"""Seconds between two subscriptions to one channel."""


class Readiness:
    """What is known of one channel's connection.

    Mutable state: `is_connected`, which calls read without a lock; the question under way and the end of the last one,
    which change under `_lock`.
    """

    def __init__(self) -> None:
        self.is_connected: bool = False
        self._lock = threading.Lock()
        self._question: threading.Event | None = None
        self._asked_at: float | None = None
        self._was_ready = False

    def doubt(self) -> None:
        """A call failed in a way that a lost connection explains."""
        self.is_connected = False

    def ask(self, channel: grpc.Channel, seconds: float) -> bool:
        """Whether the channel has, or within this time gets, a connection. One thread asks; the others wait for it."""
        with self._lock:
            question = self._question
            is_mine = question is None
            if question is None:
                question = self._question = threading.Event()
        if not is_mine:
            question.wait(seconds)
            return self.is_connected
        try:
            self.is_connected = self._ask(channel, time.monotonic() + seconds)
        finally:
            with self._lock:
                self._question = None
            question.set()
        return self.is_connected

    def _ask(self, channel: grpc.Channel, ends_at: float) -> bool:
        if self._asked_at is not None:
            pause = self._asked_at + _GAP - time.monotonic()
            if pause > 0 and not self._was_ready:
                return False  # gRPC itself does not connect again so soon
            if pause > 0:
                time.sleep(min(pause, max(0.0, ends_at - time.monotonic())))
                if time.monotonic() >= ends_at:
                    return False
        self._was_ready = _settles_ready(channel, ends_at - time.monotonic())
        self._asked_at = time.monotonic()
        return self._was_ready


def _settles_ready(channel: grpc.Channel, seconds: float) -> bool:
    from grpc import ChannelConnectivity as State

    settled = threading.Event()
    ends: list[grpc.ChannelConnectivity] = []

    def note(state: grpc.ChannelConnectivity) -> None:
        if state in (State.READY, State.TRANSIENT_FAILURE, State.SHUTDOWN):
            ends.append(state)
            settled.set()

    channel.subscribe(note, try_to_connect=True)
    try:
        settled.wait(seconds)
    finally:
        channel.unsubscribe(note)
    return bool(ends) and ends[0] is State.READY


def connected(channel: grpc.Channel, seconds: float, readiness: Readiness) -> None:
    """Wait until the channel has a connection, or cannot get one.

    Raises:
        TransportError: With phase CONNECT.
    """
    if not readiness.is_connected:
        started = time.monotonic()
        if not readiness.ask(channel, seconds):
            raise _not_connected(seconds if time.monotonic() - started >= seconds else None)


async def connected_async(channel: grpc.aio.Channel, seconds: float, readiness: Readiness) -> None:
    """As `connected`, for asyncio, where the state is asked for at every call.

    Raises:
        TransportError: With phase CONNECT.
    """
    del readiness
    from grpc import ChannelConnectivity as State

    state = channel.get_state(try_to_connect=True)
    if state is State.READY:
        return
    try:
        async with asyncio.timeout(seconds):
            while state is not State.READY:
                if state in (State.TRANSIENT_FAILURE, State.SHUTDOWN):
                    raise _not_connected(None)
                await channel.wait_for_state_change(state)
                state = channel.get_state(try_to_connect=True)
    except TimeoutError:
        raise _not_connected(seconds) from None


def _not_connected(seconds: float | None) -> TransportError:
    if seconds is None:
        return TransportError("cannot connect: gRPC has no connection to the instance", phase=Phase.CONNECT)
    return TransportError(f"no gRPC connection within {seconds:.3g} s", phase=Phase.CONNECT, timed_out=True)
