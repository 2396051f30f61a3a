"""How a poller is woken before its time, by whatever thread."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress

__all__ = ["Wishes"]


class Wishes:
    """Wakes a poller: from its rest, or out of a watch. Belongs to one event loop.

    Args:
        wake: Wakes from a rest.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.watch: asyncio.Timeout | None = None
        self._wake = wake

    def from_any_thread(self) -> Callable[[], None]:
        """`tell`, for all threads."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop is closing: so is this poller
                loop.call_soon_threadsafe(self.tell)

        return wake

    def tell(self) -> None:
        """Somebody wants a question that the watch does not serve."""
        self._wake()
        if self.watch is not None:
            with suppress(RuntimeError):  # it has just ended
                self.watch.reschedule(-math.inf)
