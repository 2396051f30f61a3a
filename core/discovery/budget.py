"""Rate budgets: never more than `limit` queries in any `window` seconds, counted where the control plane counts.

The far side counts a query when it arrives, which is somewhere between our sending it and our having its answer. So a
query counts as spent *now* while it is under way, and from the moment of its answer afterwards: whatever the network
does, no window of the far side holds more than the limit.

This ledger is for one process. `BudgetKeeper` is the seam where a keeper for many processes goes.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Protocol

from ..clock import Clock
from ..interfaces.discovery import RateBudget

__all__ = ["BudgetKeeper", "BudgetLedger", "LocalBudgetKeeper", "Reservation"]


class BudgetKeeper(Protocol):
    """Lets a query go when its budgets allow it."""

    def spend(self, budgets: Sequence[RateBudget], limit: float | None = None) -> AbstractAsyncContextManager[None]:
        """Wait until all `budgets` allow one more query; the query runs inside the context.

        Args:
            budgets: Where to spend from.
            limit: Seconds that the query may take, if it says so itself.
        """
        ...


class BudgetLedger:
    """Who spent what, and when. Decisions only: time is passed in. It outlives the threads that ask.

    Mutable state, all under `_lock`: the entries of each budget name, and the longest window that was seen for it (two
    routes may know one limit by different windows, and the longer one still counts what the shorter has forgotten).
    """

    __slots__ = ("_entries", "_lock", "_windows")

    def __init__(self) -> None:
        self._entries: dict[str, list[_Entry]] = {}
        self._windows: dict[str, float] = {}
        self._lock = threading.Lock()

    def reserve(self, budgets: Sequence[RateBudget], now: float) -> float | Reservation:
        """A reservation if every budget allows one more query; else the seconds to wait, with nothing spent."""
        with self._lock:
            wait = max((self._wait(budget, now) for budget in budgets), default=0.0)
            if wait > 0:
                return wait
            entry = _Entry()
            for name in {budget.name for budget in budgets}:
                self._entries[name].append(entry)
            return Reservation(entry)

    def spent(self, budget: RateBudget, now: float) -> int:
        """How many queries count against the budget now."""
        with self._lock:
            return len(self._counting(budget, now))

    def after_fork_in_child(self, now: float) -> None:
        """Count on: the child shares the parent's limits. What was under way is the parent's; here it ages from now."""
        self._lock = threading.Lock()
        for entries in self._entries.values():
            for entry in entries:
                entry.ended_at = min(entry.ended_at, now)

    def _counting(self, budget: RateBudget, now: float) -> list[float]:
        """When the queries ended that count against the budget, oldest first."""
        longest = self._windows[budget.name] = max(budget.window, self._windows.get(budget.name, 0.0))
        entries = self._entries.setdefault(budget.name, [])
        entries[:] = [entry for entry in entries if entry.ended_at > now - longest]
        return sorted(entry.ended_at for entry in entries if entry.ended_at > now - budget.window)

    def _wait(self, budget: RateBudget, now: float) -> float:
        ends = self._counting(budget, now)
        if len(ends) < budget.limit:
            return 0.0
        frees = ends[len(ends) - budget.limit] + budget.window
        # Only queries under way: nobody knows when they end, so look again soon.
        return min(max(frees - now, 0.001), budget.window) if math.isfinite(frees) else min(0.1, budget.window)


class _Entry:
    __slots__ = ("ended_at",)

    def __init__(self) -> None:
        self.ended_at: float = math.inf


class Reservation:
    """One query that was let go."""

    __slots__ = ("_entry",)

    def __init__(self, entry: _Entry) -> None:
        self._entry = entry

    def settle(self, now: float) -> None:
        """The query has its answer, or failed: from now on it grows old."""
        self._entry.ended_at = now

    def cancel(self) -> None:
        """The query was never sent: it does not count."""
        self._entry.ended_at = -math.inf


class _Waiter:
    __slots__ = ("budgets", "got", "turn")

    def __init__(self, budgets: Sequence[RateBudget]) -> None:
        self.budgets = budgets
        self.turn = asyncio.Event()
        self.got: Reservation | None = None


class LocalBudgetKeeper:
    """A keeper for the queries of this process. Belongs to one event loop.

    Who waits stands in one line, in the order of arrival; a free place goes to the first in the line who can use it. So
    nobody is overtaken by one who wants the same, and who waits for one budget does not block those who need another.

    Args:
        clock: Source of time.
        ledger: What was spent so far. Default: nothing.
    """

    def __init__(self, clock: Clock, ledger: BudgetLedger | None = None) -> None:
        self._clock = clock
        self._ledger = ledger if ledger is not None else BudgetLedger()
        self._line: list[_Waiter] = []

    @asynccontextmanager
    async def _spend(self, budgets: Sequence[RateBudget]) -> AsyncGenerator[None, None]:
        reservation = await self._turn_of(_Waiter(budgets))
        try:
            yield
        finally:
            reservation.settle(self._clock.monotonic())

    async def _turn_of(self, waiter: _Waiter) -> Reservation:
        self._line.append(waiter)
        try:
            while True:
                wait = self._serve(waiter)
                if waiter.got is not None:
                    return waiter.got
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):  # `wait_for` of Python 3.11 may swallow a cancellation
                        await waiter.turn.wait()
        except BaseException:
            if waiter.got is not None:
                waiter.got.cancel()
            raise
        finally:
            if waiter in self._line:
                self._line.remove(waiter)

    def _serve(self, waiter: _Waiter) -> float:
        """Give the free places out along the line. Returns how long `waiter` must wait at least."""
        now, wait = self._clock.monotonic(), 0.0
        for one in tuple(self._line):
            got = self._ledger.reserve(one.budgets, now)
            if isinstance(got, Reservation):
                one.got = got
                one.turn.set()
                self._line.remove(one)
            elif one is waiter:
                wait = got
        return wait

    def spend(self, budgets: Sequence[RateBudget], limit: float | None = None) -> AbstractAsyncContextManager[None]:
        """As `BudgetKeeper.spend`. The ledger sees the end of each query, so how long one may take does not matter."""
        del limit
        return self._spend(budgets)
