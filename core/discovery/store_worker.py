"""Runs what blocks for a link to a store: one after the other, in one daemon thread.

One thread that is there already, and not one for each piece of work: when the interpreter ends, no thread can be
started any more, and a lease is given back all the same.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Protocol, TypeVar

__all__ = ["Blocking", "StoreWorker"]

T = TypeVar("T")

_CLOSE_LIMIT = 0.5


class Blocking(Protocol):
    """Runs what blocks."""

    async def run(self, work: Callable[[], T], limit: float) -> T:
        """What `work` returns or raises.

        Raises:
            TimeoutError: It was not done within `limit` seconds. It may be done later all the same.
            RuntimeError: The machine gives us no thread.
        """
        ...

    def close(self) -> None:
        """End the thread, if it does not hang. The next `run` starts another one."""
        ...


class StoreWorker:
    """Mutable state: the thread and its queue; used in one event loop at a time."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stuck = threading.Event()

    async def run(self, work: Callable[[], T], limit: float) -> T:
        """What `work` returns or raises; see `Blocking`."""
        if self._stuck.is_set():
            raise TimeoutError  # what hangs is ahead of us, and nobody knows for how long
        self._start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        stuck = self._stuck

        def job() -> None:
            if future.cancelled():
                return
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - it goes to who waits for it
                told = error if not isinstance(error, StopIteration) else RuntimeError("StopIteration")
                _tell(loop, future, lambda: future.set_exception(told))
            else:
                _tell(loop, future, lambda: future.set_result(result))
            stuck.clear()

        self._queue.put(job)
        try:
            async with asyncio.timeout(limit):
                return await future
        except TimeoutError:
            if future.cancelled():
                self._stuck.set()
                self._queue.put(self._stuck.clear)  # also if this job had not begun
            raise

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=_serve, args=(self._queue,), name="directlane-store", daemon=True)
            try:
                self._thread.start()
            except BaseException:
                self._thread = None
                raise

    def close(self) -> None:
        """End the thread, if it does not hang."""
        thread, queue = self._thread, self._queue
        self._thread, self._queue, self._stuck = None, SimpleQueue(), threading.Event()
        if thread is not None:
            queue.put(None)
            thread.join(_CLOSE_LIMIT)


def _serve(queue: SimpleQueue[Callable[[], None] | None]) -> None:
    while (job := queue.get()) is not None:
        job()


def _tell(loop: asyncio.AbstractEventLoop, future: asyncio.Future[T], what: Callable[[], None]) -> None:
    def tell() -> None:
        if not future.done():  # who waited may have gone
            what()

    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(tell)
