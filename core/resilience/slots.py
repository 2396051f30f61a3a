"""Slots and the queue in front of them: how many calls each endpoint gets, and who is next.

There is one queue for all endpoints. A call that waits belongs to none of them: it is bound when a slot frees, so that
no slot is idle while a call waits that could use it. The earliest deadline comes first; of equal ones a repeat comes
before a new call, then who came first. The queue is bounded, and who finds it full is told so at once.

Rules:
- All decisions are made under one lock. What comes back (a slot, a ticket, news of the list) is put into a letter box,
  which takes no lock, for it may come from wherever garbage is collected. Whoever has the lock reads the letters, and
  looks again when it has given the lock back: no letter stays unread.
- Between two letters nobody waits who could have a free slot. So a newcomer may take what it finds free, and overtakes
  nobody.
- Waiters are woken without the lock. Each ticket ends exactly once.

Nothing here waits: the shells do, by `Ticket.wake_by`.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Generic

from ..clock import Clock
from ..config.slots import SlotSettings
from .adaptive_limit import AdaptiveLimit, Load
from .tickets import End, S, Seeker, Ticket

__all__ = ["QueueView", "Slots"]


@dataclass(frozen=True, slots=True)
class QueueView:
    """The queue of a service, for people.

    Args:
        waiting: Calls that wait for a slot now.
        queue: How many may.
        oldest_wait: Seconds for which the one that came first of them has waited; 0 if nobody waits.
        used: Slots in use, all endpoints together.
        granted: Calls that got a slot after waiting, so far.
        mean_wait: Seconds for which they waited, on average; 0 before the first.
        refused: Calls that found the queue full, so far.
        late: Calls whose deadline passed in the queue, so far.
    """

    waiting: int
    queue: int
    oldest_wait: float
    used: int
    granted: int
    mean_wait: float
    refused: int
    late: int


class Slots(Generic[S]):
    """The slots and the queue of one service.

    Mutable state: everything that begins with `_` and is no setting; changed under `_lock`, except the letter box.

    Args:
        settings: How many.
        clock: Source of time.
    """

    def __init__(self, settings: SlotSettings, clock: Clock) -> None:
        self.settings: SlotSettings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._letters: deque[Callable[[], None]] = deque()
        self._waiting: list[Ticket[S]] = []
        self._used: dict[str, set[S]] = {}
        self._full: set[str] = set()
        self._limits: dict[str, AdaptiveLimit] = {}
        self._is_full = False
        """Whether the last who asked, and would take every endpoint, found none, and nothing has come back since: it
        spares the balancer a question without hope. Slots are not counted instead: an endpoint that may get one call
        only, as a probe, has slots that are free, and cannot be had."""
        self._woken: deque[Ticket[S]] = deque()
        self._count = 0
        self._is_closed = False
        self._granted = 0
        self._waited = 0.0
        self._refused = 0
        self._late = 0

    # --- what calls do ------------------------------------------------------------------------------------------------

    def enter(self, seeker: Seeker[S], deadline: float, *, is_repeat: bool = False, may_wait: bool = True) -> Ticket[S]:
        """Ask for a slot. The ticket has ended already, unless the call is to wait: then it ends some time.

        Args:
            seeker: Who wants it.
            deadline: When it is no use any more, on the monotonic clock.
            is_repeat: Whether the call has had an attempt.
            may_wait: Whether it would wait. If not, a ticket that gets no slot ends as FULL, and is not counted.
        """
        try:
            with self._lock:
                self._work()
                now = self._clock.monotonic()
                self._count += 1
                ticket: Ticket[S] = Ticket(seeker, deadline, now, (deadline, not is_repeat, self._count))
                self._settle_newcomer(ticket, now, may_wait=may_wait)
                return ticket
        finally:
            self._after()

    def _settle_newcomer(self, ticket: Ticket[S], now: float, *, may_wait: bool) -> None:
        if self._is_closed:
            ticket.end = End.CLOSED
        elif ticket.deadline <= now:
            ticket.end = End.LATE
        else:
            # The last who asked was told that every slot is in use, and nothing has come back since: the balancer is
            # not asked again. Being refused costs the same, however many endpoints there are.
            is_known_full = self._is_full and not ticket.seeker.is_choosy
            if is_known_full or not (self._grant(ticket) or ticket.end is not None or self._is_lost(ticket)):
                self._queue_up(ticket, now, may_wait=may_wait)

    def _queue_up(self, ticket: Ticket[S], now: float, *, may_wait: bool) -> None:
        self._drop_late(now)
        if not may_wait:
            ticket.end = End.FULL
        elif len(self._waiting) < self.settings.queue:
            insort(self._waiting, ticket, key=attrgetter("order"))
        else:
            ticket.end = End.FULL
            self._refused += 1

    def leave(self, ticket: Ticket[S]) -> None:
        """The call waits no more, or does not want the slot that it got. Harmless when called again."""
        self._post(partial(self._left, ticket))

    def give_back(self, slot: S, load: Load | None = None) -> None:
        """A slot is free again. Harmless when called again.

        Args:
            slot: The slot.
            load: What the end of the attempt says of the endpoint's load; None: nothing.
        """
        self._post(partial(self._given_back, slot, load))

    def list_changed(self, known: Iterable[str]) -> None:
        """Endpoints came, went, were ejected, are back, or want a probe.

        Args:
            known: Ids of all endpoints that are listed or still in use.
        """
        self._post(partial(self._changed, frozenset(known)))

    def resize(self, settings: SlotSettings) -> None:
        """Go on with other settings. What is above a smaller limit or a shorter queue stays until its own end."""
        self._post(partial(self._resize, settings))

    def close(self) -> None:
        """End all tickets. Whoever comes later is told that it is closed."""
        self._post(self._close)

    # --- what people see ----------------------------------------------------------------------------------------------

    def limit_of(self, endpoint_id: str) -> int:
        """How many open calls an endpoint may have."""
        limit = self._limits.get(endpoint_id)
        return self.settings.per_endpoint if limit is None else limit.now

    def used_of(self, endpoint_id: str) -> int:
        """How many of its slots are in use."""
        return len(self._used.get(endpoint_id, ()))

    def view(self) -> QueueView:
        """The queue at this moment."""
        waiting = self._waiting.copy()
        now = self._clock.monotonic()
        return QueueView(
            waiting=len(waiting),
            queue=self.settings.queue,
            oldest_wait=max((now - ticket.came_at for ticket in waiting), default=0.0),
            used=sum(len(slots) for slots in self._used.copy().values()),
            granted=self._granted,
            mean_wait=self._waited / self._granted if self._granted else 0.0,
            refused=self._refused,
            late=self._late,
        )

    # --- the letter box -----------------------------------------------------------------------------------------------

    def _post(self, letter: Callable[[], None]) -> None:
        self._letters.append(letter)
        self._after()

    def _after(self) -> None:
        """Wake who is to be woken, and read the letters, unless somebody is at it: he looks again before he goes."""
        while True:
            while self._woken:
                try:
                    ticket = self._woken.popleft()
                except IndexError:
                    break  # another thread was quicker
                try:
                    ticket.wake()
                except RuntimeError:
                    # Its event loop is closed: nobody waits any more.
                    self._letters.append(partial(self._left, ticket))
            if not self._letters or not self._lock.acquire(blocking=False):
                return
            try:
                self._work()
            finally:
                self._lock.release()

    # --- with the lock held -------------------------------------------------------------------------------------------

    def _work(self) -> None:
        """Read the letters, and hand out what is free."""
        if not self._letters:
            return
        while self._letters:
            self._letters.popleft()()
        if self._waiting:
            self._drop_late(self._clock.monotonic())
            self._hand_out()

    def _hand_out(self) -> None:
        place = 0
        while place < len(self._waiting) and not self._is_full:
            ticket = self._waiting[place]
            if self._grant(ticket) or ticket.end is not None:
                del self._waiting[place]
                self._woken.append(ticket)
                if ticket.end is End.GRANTED:
                    self._granted += 1
                    self._waited += max(0.0, self._clock.monotonic() - ticket.came_at)
            else:
                place += 1

    def _grant(self, ticket: Ticket[S]) -> bool:
        """Give the ticket a slot, if there is one for it. If the balancer fails, the ticket ends with that."""
        if self._is_full:
            return False
        try:
            slot = ticket.seeker.seek(self._full)
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything; others wait for their slots, too
            ticket.error = error
            ticket.end = End.FAILED
            return False
        if slot is None:
            if not ticket.seeker.is_choosy:
                self._is_full = True
            return False
        endpoint_id = slot.endpoint_id
        used = self._used.get(endpoint_id)
        if used is None:
            used = self._used[endpoint_id] = set()
        used.add(slot)
        if len(used) >= self.limit_of(endpoint_id):
            self._full.add(endpoint_id)
        ticket.slot = slot
        ticket.end = End.GRANTED
        return True

    def _is_lost(self, ticket: Ticket[S]) -> bool:
        """Whether there is no endpoint for it, so that waiting is of no use."""
        try:
            if ticket.seeker.has_somebody():
                return False
            ticket.end = End.NOBODY
            self._is_full = False
        except Exception as error:  # noqa: BLE001 - as in `_grant`
            ticket.error = error
            ticket.end = End.FAILED
        return True

    def _mark(self, endpoint_id: str) -> None:
        if self.used_of(endpoint_id) >= self.limit_of(endpoint_id):
            self._full.add(endpoint_id)
        else:
            self._full.discard(endpoint_id)

    def _drop_late(self, now: float) -> None:
        while self._waiting and self._waiting[0].deadline <= now:
            ticket = self._waiting.pop(0)
            ticket.end = End.LATE
            self._late += 1
            self._woken.append(ticket)

    def _left(self, ticket: Ticket[S]) -> None:
        if ticket.end is None:
            place = bisect_left(self._waiting, ticket.order, key=attrgetter("order"))
            del self._waiting[place]
            ticket.end = End.LEFT
            if ticket.deadline <= self._clock.monotonic():
                ticket.end = End.LATE
                self._late += 1
        elif ticket.slot is not None:
            ticket.slot.release()  # comes back as another letter

    def _given_back(self, slot: S, load: Load | None) -> None:
        endpoint_id = slot.endpoint_id
        used = self._used.get(endpoint_id)
        if used is None or slot not in used:
            return
        if load is not None and self.settings.adaptive:
            self._learn(slot, load, len(used))
        used.discard(slot)
        if not used:
            del self._used[endpoint_id]
        self._is_full = False
        if self._full or self.settings.adaptive:
            self._mark(endpoint_id)

    def _learn(self, slot: S, load: Load, used: int) -> None:
        settings = self.settings
        limit = self._limits.get(slot.endpoint_id)
        if limit is None:
            limit = AdaptiveLimit(settings.per_endpoint, settings.minimum, settings.maximum)
            self._limits[slot.endpoint_id] = limit
        before = limit.now
        limit.learn(load, used, slot.started_at, self._clock.monotonic())
        if limit.now != before:
            self._is_full = False

    def _changed(self, known: frozenset[str]) -> None:
        self._is_full = False
        for gone in self._limits.keys() - known:
            del self._limits[gone]
            self._mark(gone)
        for ticket in self._waiting.copy():
            if self._is_lost(ticket):
                self._waiting.remove(ticket)
                self._woken.append(ticket)

    def _resize(self, settings: SlotSettings) -> None:
        if settings == self.settings:
            return
        self.settings = settings
        self._limits.clear()
        self._is_full = False
        for endpoint_id in self._used:
            self._mark(endpoint_id)

    def _close(self) -> None:
        self._is_closed = True
        for ticket in self._waiting:
            ticket.end = End.CLOSED
        self._woken += self._waiting
        self._waiting.clear()

    def __repr__(self) -> str:
        return f"<Slots {sum(map(len, self._used.copy().values()))} in use, {len(self._waiting)} waiting>"
