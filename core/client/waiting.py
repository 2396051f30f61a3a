"""Waiting for what another thread does, in both colours: for a poller, which lives in a thread of its own, and for a
slot, which any thread or task may free."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from ..discovery.subscription import Subscription
from ..dispatch.call import Queue
from ..dispatch.route import Route

__all__ = [
    "into_this_loop",
    "into_this_loop_async",
    "wait_ready",
    "wait_ready_async",
    "wait_served",
    "wait_served_async",
    "wait_turn",
    "wait_turn_async",
]


def wait_ready(route: Route, timeout: float, *, or_asked: bool = False) -> bool:
    """Block until the route has endpoints, and what its calls need; see `Poller.wait_ready`."""
    ends_at = time.monotonic() + timeout
    for share in route.shares:
        share.wait_ready(max(0.0, ends_at - time.monotonic()), or_asked=or_asked)
    return route.is_ready


async def wait_ready_async(route: Route, timeout: float, *, or_asked: bool = False) -> bool:
    """As `wait_ready`, without blocking the event loop."""
    if route.is_ready:
        return True
    return await anyio.to_thread.run_sync(
        partial(wait_ready, route, timeout, or_asked=or_asked), abandon_on_cancel=True
    )


def wait_served(subscription: Subscription, ticket: int, timeout: float) -> bool:
    """Block until the question of this ticket has ended; see `Poller.wait_served`."""
    return subscription.wait_served(ticket, timeout)


async def wait_served_async(subscription: Subscription, ticket: int, timeout: float) -> bool:
    """As `wait_served`, without blocking the event loop."""
    return await anyio.to_thread.run_sync(partial(subscription.wait_served, ticket, timeout), abandon_on_cancel=True)


def wait_turn(queue: Queue) -> None:
    """Block until the ticket has ended, or its time is over."""
    has_ended = threading.Event()
    if queue.ticket.wake_by(has_ended.set):
        has_ended.wait(queue.timeout)


async def wait_turn_async(queue: Queue) -> None:
    """As `wait_turn`, without blocking the event loop. Who frees the slot may be in any thread."""
    has_ended = anyio.Event()
    if queue.ticket.wake_by(into_this_loop_async(has_ended.set)):
        with anyio.move_on_after(queue.timeout):
            await has_ended.wait()


def into_this_loop(function: Callable[[], None]) -> Callable[[], None]:
    """For the twin: sync code has no loop, and the function runs where it is called."""
    return function


def into_this_loop_async(function: Callable[[], Any]) -> Callable[[], None]:
    """`function`, to be called from any thread; it runs in this event loop, soon.

    If the loop is closed by then, calling it is a RuntimeError.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        import trio  # it runs, so it is there

        return partial(trio.lowlevel.current_trio_token().run_sync_soon, function)
    return partial(_soon, loop, function)


def _soon(loop: asyncio.AbstractEventLoop, function: Callable[[], Any]) -> None:
    loop.call_soon_threadsafe(function)
