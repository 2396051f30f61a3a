"""Attempts that run side by side, in both colours: tasks of a task group, or threads of a small pool.

Leaving the block of a race ends what still runs, and closes what the caller will not get. A task is cancelled and
waited for. A thread cannot be cancelled: its connection is shut, which ends it, and nobody waits for it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self, TypeAlias

import anyio

from ..config.model import CallSettings
from ..dispatch.call import Attempt
from ..errors import ClosedError
from ..interfaces.transport import Abort, AsyncBody, Body
from ..outcome import Outcome

__all__ = ["AsyncRace", "AsyncRaces", "Race", "Races", "races_of", "races_of_async"]

_End: TypeAlias = tuple[Attempt, Outcome | Exception]
_PER_RACE = 2
"""Threads: an attempt and its hedge."""


def races_of_async(settings: CallSettings) -> AsyncRaces | None:
    """As `races_of`, for async code."""
    return None if settings.hedge is None else AsyncRaces(settings.hedge.threads)


def races_of(settings: CallSettings) -> Races | None:
    """What makes the races of a service; None if it has no hedges."""
    return None if settings.hedge is None else Races(settings.hedge.threads)


class AsyncRaces:
    """Makes the races of one service. Tasks are cheap, so there may be any number.

    Args:
        most: For the twin.
    """

    def __init__(self, most: int) -> None:
        del most

    def enter(self) -> AsyncRace | None:
        """A race, to be used as a context manager."""
        return AsyncRace()

    async def aclose(self) -> None:
        """For the twin."""


class AsyncRace:
    """One race. Mutable state: who runs, who came in, and whose answer is kept."""

    def __init__(self) -> None:
        self._group = anyio.create_task_group()
        self._ends: deque[_End] = deque()
        self._news = anyio.Event()
        self._started: list[Attempt] = []
        self._kept: Attempt | None = None

    def start(self, attempt: Attempt, perform: Callable[[], Awaitable[Outcome | None]]) -> None:
        """Let an attempt run."""
        self._started.append(attempt)
        self._group.start_soon(self._run, attempt, perform)

    async def _run(self, attempt: Attempt, perform: Callable[[], Awaitable[Outcome | None]]) -> None:
        self._ends.append((attempt, await _caught_async(perform)))
        self._news.set()

    async def ended(self, within: float | None = None) -> tuple[Attempt, Outcome] | None:
        """Wait for the next attempt that ends. None: none did within this time.

        Raises:
            Exception: What the attempt raised, if it did not end with an outcome.
        """
        if not self._ends:
            self._news = anyio.Event()
            with anyio.move_on_after(within):
                await self._news.wait()
        return _told(self._ends.popleft()) if self._ends else None

    def keep(self, attempt: Attempt) -> None:
        """The answer of this attempt is wanted, and that of no other."""
        self._kept = attempt

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._group.cancel_scope.cancel()
        try:
            if error is None or isinstance(error, Exception):
                # Our own errors pass as they are; the group would wrap them.
                await self._group.__aexit__(None, None, None)
            else:
                await self._group.__aexit__(kind, error, trace)
        finally:
            with anyio.CancelScope(shield=True):
                for attempt in self._started:
                    if isinstance(attempt.body, AsyncBody) and (attempt is not self._kept or error is not None):
                        body, attempt.body = attempt.body, None
                        await body.aclose()


class Races:
    """Makes the races of one service.

    Mutable state: how many threads are free, and the pool, which is made with the first race.

    Args:
        most: Threads.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._free = most
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._is_closed = False

    def enter(self) -> Race | None:
        """A race, to be used as a context manager; None if there are not enough free threads."""
        with self._lock:
            if self._free < _PER_RACE or self._is_closed:
                return None
            self._free -= _PER_RACE
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._most, thread_name_prefix="directlane-race")
            return Race(self, self._pool)

    def leave(self, threads: int) -> None:
        """Threads are free again."""
        with self._lock:
            self._free += threads

    def close(self) -> None:
        """Let the threads end when their attempts have."""
        with self._lock:
            self._is_closed = True
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)


class Race:
    """One race. Mutable state: who runs, who came in, whose answer is kept, and whether it is over, under `_lock`."""

    def __init__(self, races: Races, pool: ThreadPoolExecutor) -> None:
        self._races = races
        self._pool = pool
        self._lock = threading.Lock()
        self._ends: SimpleQueue[_End] = SimpleQueue()
        self._started: list[Attempt] = []
        self._came_in: list[Attempt] = []
        self._kept: Attempt | None = None
        self._is_over = False

    def start(self, attempt: Attempt, perform: Callable[[], Outcome | None]) -> None:
        """Let an attempt run. At most two in one race."""
        attempt.timeouts.abort = Abort()
        # What belongs to the caller's context, such as the span of a trace, belongs to the attempt as well.
        try:
            self._pool.submit(copy_context().run, self._run, attempt, perform)
        except RuntimeError:
            raise ClosedError("the client was closed while a call was under way") from None
        self._started.append(attempt)

    def _run(self, attempt: Attempt, perform: Callable[[], Outcome | None]) -> None:
        try:
            end = _caught(perform)
            with self._lock:
                if not self._is_over:
                    self._came_in.append(attempt)
                    self._ends.put((attempt, end))
                    return
            if isinstance(attempt.body, Body):
                attempt.body.close()
        finally:
            self._races.leave(1)

    def ended(self, within: float | None = None) -> tuple[Attempt, Outcome] | None:
        """Wait for the next attempt that ends. None: none did within this time.

        Raises:
            Exception: What the attempt raised, if it did not end with an outcome.
        """
        try:
            return _told(self._ends.get(timeout=within))
        except Empty:
            return None

    def keep(self, attempt: Attempt) -> None:
        """The answer of this attempt is wanted, and that of no other."""
        self._kept = attempt

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._is_over = True
        self._races.leave(_PER_RACE - len(self._started))
        for attempt in self._started:
            if attempt is self._kept and error is None:
                continue
            if attempt.timeouts.abort is not None:
                attempt.timeouts.abort.call()
            if any(attempt is one for one in self._came_in) and isinstance(attempt.body, Body):
                attempt.body.close()


def _caught(perform: Callable[[], Outcome | None]) -> Outcome | Exception:
    try:
        return _outcome(perform())
    except Exception as error:  # noqa: BLE001 - raised again in the caller's own thread
        return error


async def _caught_async(perform: Callable[[], Awaitable[Outcome | None]]) -> Outcome | Exception:
    try:
        return _outcome(await perform())
    except Exception as error:  # noqa: BLE001 - raised again in the caller's own task
        return error


def _outcome(outcome: Outcome | None) -> Outcome:
    assert outcome is not None  # noqa: S101 - an attempt ends with an outcome
    return outcome


def _told(end: _End) -> tuple[Attempt, Outcome]:
    attempt, outcome = end
    if isinstance(outcome, Exception):
        raise outcome
    return attempt, outcome
