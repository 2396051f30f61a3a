"""The link of one process to a store: who it is there, whether the store answers, and what to do when it does not.

All pollers of the process that share through one store use one link. It runs in the hub's thread, and what blocks runs
in a thread of its own: never on the path of a call. When the store is gone, the link says so once, keeps to this
process's share of every rate limit, and looks again every second; when it is back, the store is told first what was
spent meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import threading
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import partial
from random import Random
from typing import TypeVar

from ..clock import Clock
from ..interfaces.store import Lease, Permit, Store, StoreUnavailable
from .alone import AloneLedger
from .saved_list import question_name
from .store_worker import Blocking, StoreWorker
from .who_asks import this_process

__all__ = ["FLEET", "HOLD_MARGIN", "Place", "Signal", "StoreLink"]

_log = logging.getLogger("directlane.discovery")

T = TypeVar("T")

Place = tuple[frozenset[str], object]
"""A place in a line: the names of the budgets that are wanted, and who wants them."""

HOLD_MARGIN = 2.0
"""Seconds that are added to the limit of a query: the store must not think that it is over before it is."""

FLEET = "fleet"
"""The name under which the processes that share a store say that they are there."""

_PATIENCE = 3.0
_BEAT = 2.0
_PRESENCE = 10.0
_COUNTED = 60.0
_LOOK_AGAIN = 1.0
_ANNOUNCING = 2.0
_LAST_WORD = 0.4
_QUIET = 60.0
"""Seconds between two log lines about a store that is lost: one that comes and goes must not fill the log."""

_SURE = _PATIENCE + _LOOK_AGAIN + 1.0


class Signal:
    """Wakes who waits, in one event loop. Nothing is remembered: look first, then wait."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[
            asyncio.Future[None], None
        ] = {}  # in the order of their coming, so that a simulation repeats

    async def wait(self, seconds: float | None) -> None:
        """Return when somebody fires, or after so many seconds. None: whenever that is."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[future] = None
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await future
        finally:
            del self._waiting[future]

    def fire(self) -> None:
        """Wake everybody who waits now."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)


class StoreLink:
    """Mutable state: whether the store answers, who shares it, what was spent alone, and which credentials are good;
    all changed in the hub's thread.

    Args:
        store: What to share through.
        clock: Source of time.
        random: Source of chance.
        hold: Seconds that a query of another process may take at most, as far as we know.
        worker: Runs what blocks. Default: a thread.
    """

    def __init__(
        self, store: Store, clock: Clock, random: Random, hold: float = 10.0, worker: Blocking | None = None
    ) -> None:
        self.store = store
        self.clock = clock
        self.holder: str = secrets.token_hex(8)
        """Who this process is in the store. A child process has a link of its own, and so another name."""
        self.who: str = this_process()
        """The same for people."""
        self.trouble: StoreUnavailable | None = None
        """Why the store does not answer; None while it does."""
        self._tried_at = -math.inf
        self._said_at = -math.inf
        self._is_said = True
        self._unsaid = 0
        self._counts: deque[tuple[float, int]] = deque()
        self.alone: AloneLedger = AloneLedger(hold, random)
        self.accepted: set[Hashable] = set()
        """Credentials that have served this process well."""
        self.line: list[Place] = []
        """Who waits for a place in a rate limit, in the order of arrival; see `shared_budget`."""
        self.changed: Signal = Signal()
        """Fired when the store is lost or found, and when somebody leaves the line."""
        self._names: dict[Hashable, str | None] = {}
        self._naming = threading.Lock()
        self._worker: Blocking = worker if worker is not None else StoreWorker()
        self._watchers: dict[Callable[[], None], None] = {}

    @property
    def is_up(self) -> bool:
        """Whether the store answered last time."""
        return self.trouble is None

    @property
    def attending(self) -> int | None:
        """How many processes share the store: the most that it said lately. None if nobody knows.

        The first count says little: those who began at the same time had not said yet that they are there.
        """
        return max(count for _, count in self._counts) if len(self._counts) > 1 else None

    @property
    def is_surely_lost(self) -> bool:
        """Whether the store did not answer a moment ago. A process that stood still for a while must look again first:
        the others may have found it long since."""
        return self.trouble is not None and self.clock.monotonic() - self._tried_at < _SURE

    def watch(self, watcher: Callable[[], None]) -> None:
        """Have `watcher` called when the store is lost, and when it is back."""
        self._watchers[watcher] = None

    def unwatch(self, watcher: Callable[[], None]) -> None:
        """The other half of `watch`."""
        self._watchers.pop(watcher, None)

    # --- asking the store ---------------------------------------------------------------------------------------------

    async def ask(self, work: Callable[[Store], T]) -> T:
        """What the store says.

        Raises:
            StoreUnavailable: It does not answer. Then it may have done what it was asked, or not.
        """
        if self.trouble is not None:
            raise StoreUnavailable(str(self.trouble))
        return await self._ask(work, _PATIENCE)

    def name_of(self, identity: Hashable) -> str | None:
        """`question_name`, worked out once. Some 50 ms of work, on purpose: not for an event loop."""
        with self._naming:
            if identity not in self._names:
                self._names[identity] = question_name(identity)
            return self._names[identity]

    async def last_word(self, work: Callable[[Store], object]) -> None:
        """Tell the store something on the way out: soon or never."""
        if self.trouble is None:
            with suppress(Exception):  # whatever it is, nobody is there any more whom it concerns
                await self._worker.run(partial(work, self.store), _LAST_WORD)

    async def announce(self, name: str, data: bytes) -> bool:
        """Publish something that anybody may say. False if another is saying something at this moment.

        Raises:
            StoreUnavailable: As for `ask`.
        """
        return await self.ask(partial(_announced, name=name, holder=self.holder, data=data))

    async def _ask(self, work: Callable[[Store], T], limit: float) -> T:
        trouble: StoreUnavailable
        try:
            return await self._worker.run(partial(work, self.store), limit)
        except StoreUnavailable as error:
            trouble = error
        except TimeoutError:
            trouble = StoreUnavailable(f"no answer within {limit:g} s")
        except Exception as error:  # noqa: BLE001 - a store is a plug-in; the text of its error may quote a secret
            trouble = StoreUnavailable(f"it failed with {type(error).__name__}")
        self._tried_at = self.clock.monotonic()
        self._lost(trouble)
        raise StoreUnavailable(str(trouble)) from None

    # --- lost and found -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Say "I am here" again and again, and look for a store that was lost; ends by cancellation."""
        try:
            while True:
                await self._beat()
                await asyncio.sleep(_BEAT if self.is_up else _LOOK_AGAIN)
        finally:
            self._worker.close()

    async def _beat(self) -> None:
        paid = self.alone.unpaid(self.clock.monotonic()) if self.trouble is not None else []
        try:
            count = await self._ask(partial(_present, holder=self.holder, paid=paid), _PATIENCE)
        except StoreUnavailable:
            return
        now = self.clock.monotonic()
        # A store that lost its memory counts from 1 again.
        self._counts.append((now, count))
        while self._counts[0][0] < now - _COUNTED:
            self._counts.popleft()
        if self.trouble is not None:
            if self.alone.unpaid(self.clock.monotonic()) != paid:
                return  # something was spent while we told; the next beat tells all of it
            self._found()

    def _lost(self, trouble: StoreUnavailable) -> None:
        if self.trouble is not None:
            self._say_lost(trouble)
            return
        self.trouble = trouble
        self.alone.lost(self.clock.monotonic(), self.attending)
        self._is_said = False
        self._unsaid += 1
        self._say_lost(trouble)
        self._tell()

    def _say_lost(self, trouble: StoreUnavailable) -> None:
        now = self.clock.monotonic()
        if self._is_said or now < self._said_at + _QUIET:
            return
        among = f"1/{self.attending + 1}" if self.attending is not None else "a careful part"
        often = f" (lost {self._unsaid} times since this was said last)" if self._unsaid > 1 else ""
        self._is_said, self._said_at, self._unsaid = True, now, 0
        _log.warning(
            "the store %s does not answer: %s; this process goes on alone and keeps to %s of each rate limit%s",
            self.store,
            trouble,
            among,
            often,
        )

    def _found(self) -> None:
        self.trouble = None
        self.alone.back(self.clock.monotonic())
        if self._is_said:
            _log.warning("the store %s answers again", self.store)
        self._tell()

    def _tell(self) -> None:
        self.changed.fire()
        for watcher in tuple(self._watchers):
            watcher()


def _present(store: Store, holder: str, paid: list[tuple[str, ...]]) -> int:
    for names in paid:
        store.settle(Permit(secrets.token_hex(8), names))
    return store.attend(FLEET, holder, _PRESENCE)


def _announced(store: Store, name: str, holder: str, data: bytes) -> bool:
    got = store.lease(name, holder, _ANNOUNCING)
    if not isinstance(got, Lease):
        return False
    try:
        return store.publish(got, data)
    finally:
        store.release(got)
