"""Waiting for a poller, in both colours. A poller lives in a thread of its own, whatever the colour of the caller."""

from __future__ import annotations

from functools import partial

import anyio
import anyio.to_thread

from ..discovery.hub import Subscription

__all__ = ["wait_ready", "wait_ready_async", "wait_served", "wait_served_async"]


def wait_ready(subscription: Subscription, timeout: float, *, or_asked: bool = False) -> bool:
    """Block until the route has endpoints; see `Poller.wait_ready`."""
    return subscription.wait_ready(timeout, or_asked=or_asked)


async def wait_ready_async(subscription: Subscription, timeout: float, *, or_asked: bool = False) -> bool:
    """As `wait_ready`, without blocking the event loop."""
    if subscription.belief.endpoints:
        return True
    return await anyio.to_thread.run_sync(
        partial(subscription.wait_ready, timeout, or_asked=or_asked), abandon_on_cancel=True
    )


def wait_served(subscription: Subscription, ticket: int, timeout: float) -> bool:
    """Block until the question of this ticket has ended; see `Poller.wait_served`."""
    return subscription.wait_served(ticket, timeout)


async def wait_served_async(subscription: Subscription, ticket: int, timeout: float) -> bool:
    """As `wait_served`, without blocking the event loop."""
    return await anyio.to_thread.run_sync(partial(subscription.wait_served, ticket, timeout), abandon_on_cancel=True)
