"""Work on the side, in both colours: started without waiting, bounded in number, and nobody asks what came of it."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from queue import SimpleQueue
from typing import Any, TypeAlias

__all__ = ["AsyncErrands", "Errands"]

_Errand: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class Errands:
    """Runs errands in a few threads, which begin when they are needed and end with `close`.

    Mutable state: the queue, and the counts, under `_lock`. The threads are daemons: the end of a program waits for
    none.

    Args:
        limit: Errands under way at most; as many threads.
        name: What they do, for the names of the threads.
    """

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = f"directlane-{name}"
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._open = 0
        self._threads = 0

    def start(self, errand: Callable[[], None]) -> bool:
        """Run it soon. Returns False, and does nothing, if too many are under way. The errand must not raise."""
        with self._lock:
            if self._open >= self._limit:
                return False
            self._open += 1
            if self._open > self._threads:
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
                self._threads += 1
        self._queue.put(errand)
        return True

    def _run(self) -> None:
        while (errand := self._queue.get()) is not None:
            try:
                errand()
            finally:
                with self._lock:
                    self._open -= 1

    def close(self) -> None:
        """Start no more. Does not wait for those that are under way."""
        with self._lock:
            self._limit = 0
            threads = self._threads
        for _ in range(threads):
            self._queue.put(None)


class AsyncErrands:
    """Runs errands as tasks of the event loop (asyncio or trio), and cancels them in `aclose`.

    Args:
        limit: Errands under way at most.
        name: For the twin.
    """

    def __init__(self, limit: int, name: str) -> None:
        del name
        self._limit = limit
        self._cancels: dict[object, Callable[[], object]] = {}

    def start(self, errand: _Errand) -> bool:
        """As `Errands.start`."""
        if len(self._cancels) >= self._limit:
            return False
        mark = object()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            trio = sys.modules["trio"]  # the only other loop that there is
            scope = trio.CancelScope()

            async def run() -> None:
                with scope:
                    await self._run(errand, mark)

            self._cancels[mark] = scope.cancel
            trio.lowlevel.spawn_system_task(run)
        else:
            # The loop itself holds a task only weakly; the bound method in our table holds it.
            task = loop.create_task(self._run(errand, mark))
            self._cancels[mark] = task.cancel
            task.add_done_callback(lambda _: self._cancels.pop(mark, None))  # one that never began has no `finally`
        return True

    async def _run(self, errand: _Errand, mark: object) -> None:
        try:
            await errand()
        finally:
            self._cancels.pop(mark, None)

    async def aclose(self) -> None:
        """Start no more, and cancel those that are under way."""
        self._limit = 0
        for cancel in list(self._cancels.values()):
            cancel()
