"""Which instances get connections ahead of the calls, and when. No I/O, for both colours.

When a list brings new instances, every client of a fleet hears of it at the same moment. So each begins after a moment
of its own, takes its new instances in an order of its own, and connects to a few at a time. An instance that cannot be
reached is passed over: the calls will tell. What left the list meanwhile is not connected to.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from random import Random

from ..clock import Clock
from ..dispatch.route import Lane, Route, RouteMember
from ..timers import Cancel, Timers

__all__ = ["MOST_AT_ONCE", "SPREAD", "WarmQueue"]

SPREAD = 1.0
"""Seconds, at most, after which a client begins. An instance that joins others gets few calls until then."""

MOST_AT_ONCE = 4
"""Instances that one service connects to at the same time."""


class WarmQueue:
    """The instances that wait, of one service.

    Mutable state, under `_lock`: the lanes that were seen, the instances that wait, the timers, and how many workers
    run.

    Args:
        timers: For the moment of waiting.
        clock: Source of time.
        random: Source of chance.
        start: Starts one more worker, which calls `take` until that is None. It must be quick; it is called in any
            thread. A RuntimeError says that there will be none; so does `give_up`.
        grace: Seconds after its end for which somebody else closes what a route has.
    """

    def __init__(
        self, timers: Timers, clock: Clock, random: Random, start: Callable[[], object], *, grace: float
    ) -> None:
        self._timers = timers
        self._clock = clock
        self._random = random
        self._start = start
        self._grace = grace
        self._lock = threading.Lock()
        self._seen: dict[Route, frozenset[Lane]] = {}
        self._waiting: deque[tuple[Route, RouteMember]] = deque()
        self._cancels: dict[object, Cancel] = {}
        self.workers: int = 0
        """How many run; read it without the lock to look at it only."""
        self._is_closed = False

    def follow(self, routes: Iterable[Route]) -> None:
        """Look at these routes now, and whenever their lists change; once, however often this is said."""
        with self._lock:
            self._seen = {route: lanes for route, lanes in self._seen.items() if math.isinf(route.ended_at)}
            fresh = [route for route in routes if route not in self._seen]
            self._seen.update((route, frozenset()) for route in fresh)
        for route in fresh:
            route.watch(partial(self._look, route))
            self._look(route)

    def _look(self, route: Route) -> None:
        """There may be new instances. Must not raise: the poller waits."""
        members = [member for member in route.pool.members() if member.weight > 0 and not route.pool.is_leaving(member)]
        with self._lock:
            known = self._seen.get(route, frozenset())
            fresh = [member for member in members if member.lane not in known]
            self._seen[route] = frozenset(member.lane for member in members)
            if self._is_closed or not fresh:
                return
            self._random.shuffle(fresh)
            when = self._clock.monotonic() + self._random.random() * SPREAD
        mark = object()
        with suppress(RuntimeError, OSError):  # the machine gives us no thread: then the calls connect
            cancel = self._timers.call_at(when, partial(self._due, mark, route, fresh))
            with self._lock:
                self._cancels[mark] = cancel
            if self._is_closed:
                cancel()

    def _due(self, mark: object, route: Route, fresh: list[RouteMember]) -> None:
        with self._lock:
            self._cancels.pop(mark, None)
            if self._is_closed:
                return
            self._waiting += ((route, member) for member in fresh)
            wanted = min(MOST_AT_ONCE - self.workers, len(fresh))
            self.workers += wanted
        for _ in range(wanted):
            self._begin()

    def _begin(self) -> None:
        try:
            self._start()
        except RuntimeError:  # the event loop is closed, or there is no thread to be had
            self.give_up()

    def give_up(self) -> None:
        """A worker ends, or could not begin, without an answer from `take`. Without workers nobody waits any more: the
        calls connect.
        """
        with self._lock:
            self.workers -= 1
            if not self.workers:
                self._waiting.clear()

    def take(self) -> tuple[Route, RouteMember] | None:
        """Whom to connect to now; None: nobody waits, and the worker must end."""
        while True:
            with self._lock:
                if not self._waiting:
                    self.workers -= 1
                    return None
                route, member = self._waiting.popleft()
            if math.isinf(route.ended_at) and not route.pool.is_leaving(member) and _is_known(route, member):
                return route, member

    def must_close(self, route: Route, member: RouteMember) -> bool:
        """Whether the instance left while it was connected to, so that nobody else closes these connections."""
        has_ended = self._clock.monotonic() - route.ended_at > self._grace
        return not member.load.open and (has_ended or not _is_known(route, member))

    def close(self) -> None:
        """Nobody waits any more."""
        with self._lock:
            self._is_closed = True
            self._waiting.clear()
            cancels = list(self._cancels.values())
            self._cancels.clear()
        for cancel in cancels:
            cancel()


def _is_known(route: Route, member: RouteMember) -> bool:
    return any(known.lane is member.lane for known in route.pool.members())
