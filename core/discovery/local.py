"""Runs what blocks, for questions that are not asked over HTTP: each in a daemon thread of its own.

What hangs cannot be ended from outside. So it is counted, and the number of threads has a bound: one for each question,
and so many in the process.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future

__all__ = ["LocalBusy", "LocalRunner"]

_MAX_THREADS = 64


class LocalBusy(Exception):
    """No thread can be had. The text says why."""


class LocalRunner:
    """Runs questions in threads. Safe to use from several event loops, one after the other.

    Mutable state: what runs now, by question, under `_lock`. It outlives the event loops that ask: what hangs goes on
    hanging.
    """

    def __init__(self) -> None:
        self._running: dict[Hashable, Future[object]] = {}
        self._lock = threading.Lock()

    async def run(self, question: Hashable, work: Callable[[], object]) -> object:
        """What `work` returned or raised: an exception of `work` is the result, and is not raised.

        Args:
            question: What is asked. While an equal question runs, this waits for its end, and asks then.
            work: Asks. It goes on in its thread if who waits for it is cancelled.

        Raises:
            LocalBusy: Too many questions hang, or the machine gives us no thread.
        """
        while True:
            with self._lock:
                before = self._running.get(question)
                if before is None:
                    mine = self._begin(question)
                    break
            await asyncio.wrap_future(before)
        thread = threading.Thread(target=self._work, args=(question, work, mine), name="directlane-local", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._end(question, mine, None)
            raise LocalBusy("the machine gives us no thread") from error
        return await asyncio.wrap_future(mine)

    def _begin(self, question: Hashable) -> Future[object]:
        if len(self._running) >= _MAX_THREADS:
            raise LocalBusy(f"{_MAX_THREADS} other questions hang")
        future = self._running[question] = Future[object]()
        future.set_running_or_notify_cancel()  # who waits may go away; the thread cannot be called off
        return future

    def _work(self, question: Hashable, work: Callable[[], object], mine: Future[object]) -> None:
        result: object
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - it goes to who waits for it
            result = error
        self._end(question, mine, result)

    def _end(self, question: Hashable, mine: Future[object], result: object) -> None:
        with self._lock:
            if self._running.get(question) is mine:
                del self._running[question]
        mine.set_result(result)

    @property
    def running(self) -> int:
        """How many threads there are now."""
        return len(self._running)

    def after_fork_in_child(self) -> None:
        """The threads are the parent's; here nothing runs."""
        self._lock = threading.Lock()
        self._running = {}
