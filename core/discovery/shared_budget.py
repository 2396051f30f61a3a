"""Rate budgets over all processes that share a store: exact while the store answers, careful while it does not.

A query goes out with a permit of the store. The store counts it as spent until it is told that the answer is there, or
until nobody can be waiting for one any more. In this process, who waits stands in one line; the first of those who want
the same budgets asks the store.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial

from ..clock import Clock
from ..errors import DiscoveryThrottled
from ..interfaces.discovery import RateBudget
from ..interfaces.store import MAX_NAME, Permit, Saved, Store, StoreUnavailable
from .budget import Reservation
from .link import HOLD_MARGIN, Place, StoreLink

__all__ = ["SharedBudgetKeeper", "Superseded", "stored_name", "throttle_name", "throttled_for"]

_LATEST = 1.5
"""Seconds within which a permit must be there, or it is not used; less than `HOLD_MARGIN`."""

_LOOK = 0.2
LONGEST_THROTTLE = 600.0
"""Seconds: a control plane that asks for more is asked again all the same."""


class Superseded(Exception):
    """The question that waits for a permit is not ours to ask any more."""


class SharedBudgetKeeper:
    """A keeper for the queries of one question.

    Mutable state: what was spent since `begin`, and when the first query went out. Used in the hub's thread.

    Args:
        link: To the store.
        limit: Seconds that one query may take.
        may_ask: Whether this process may ask the question now. Looked at while a query waits for its permit.
    """

    def __init__(self, link: StoreLink, limit: float, may_ask: Callable[[], bool] = lambda: True) -> None:
        self._link = link
        self._clock: Clock = link.clock
        self._hold = limit + HOLD_MARGIN
        self._may_ask = may_ask
        self.spent: list[RateBudget] = []
        self.last: tuple[RateBudget, ...] = ()
        """The budgets of the last query that went out."""
        self.sent_at: float | None = None

    def begin(self) -> None:
        """A conversation begins."""
        self.spent, self.last, self.sent_at = [], (), None

    def spend(self, budgets: Sequence[RateBudget], limit: float | None = None) -> AbstractAsyncContextManager[None]:
        """As `BudgetKeeper.spend`.

        Raises:
            Superseded: The question is not ours any more.
        """
        hold = self._hold if limit is None else max(self._hold, limit + HOLD_MARGIN)
        return self._spend(tuple(map(_stored, budgets)), hold)

    @asynccontextmanager
    async def _spend(self, budgets: tuple[RateBudget, ...], hold: float) -> AsyncGenerator[None, None]:
        if not budgets:
            self._sent(budgets)
            yield
            return
        permit, reservation = await self._turn(budgets, hold)
        self._sent(budgets)
        is_leaving = False
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            is_leaving = True
            raise
        finally:
            if reservation is not None:
                self._link.alone.settle(reservation, self._clock.monotonic())
            if permit is not None:
                await self._settle(permit, is_leaving=is_leaving)

    async def tell_throttled(self, error: DiscoveryThrottled, interval: float) -> None:
        """Keep all who spend from the same limit from asking, for as long as we were told.

        Args:
            error: What the control plane said.
            interval: The configured time between two questions.
        """
        if not self.last:
            return
        # Which of several limits it was, nobody says: the tightest is it most likely.
        tightest = min(self.last, key=lambda one: one.limit / one.window)
        name = throttle_name(tightest.name)
        with suppress(StoreUnavailable):
            before = await self._link.ask(lambda store: store.read(name))
            for_seconds = throttled_for(error.retry_after, before, interval, tightest.window)
            await self._link.announce(name, f"{for_seconds:.3f}".encode())

    def _sent(self, budgets: tuple[RateBudget, ...]) -> None:
        self.spent += budgets
        self.last = budgets
        if self.sent_at is None:
            self.sent_at = self._clock.monotonic()

    async def _settle(self, permit: Permit, *, is_leaving: bool) -> None:
        tell = self._link.last_word if is_leaving else self._link.ask
        # If the store does not hear it, it takes the query as over when `hold` is.
        with suppress(StoreUnavailable):
            await tell(lambda store: store.settle(permit))

    async def _turn(self, budgets: tuple[RateBudget, ...], hold: float) -> tuple[Permit | None, Reservation | None]:
        me: Place = (frozenset(budget.name for budget in budgets), object())
        line = self._link.line
        line.append(me)
        try:
            while True:
                if not self._may_ask():
                    raise Superseded
                if next(one for one in line if one[0] == me[0]) is not me:
                    await self._link.changed.wait(1.0)
                    continue
                got = await self._try(budgets, hold)
                if isinstance(got, tuple):
                    return got
                await self._link.changed.wait(min(got, 1.0))
        finally:
            line.remove(me)
            self._link.changed.fire()

    async def _try(
        self, budgets: tuple[RateBudget, ...], hold: float
    ) -> tuple[Permit | None, Reservation | None] | float:
        """Permission to send one query, from the store, from our own share, or from both; or seconds to wait."""
        link, now = self._link, self._clock.monotonic()
        reservation: Reservation | None = None
        if link.alone.binds(budgets, now):
            got = link.alone.reserve(budgets, now)
            if not isinstance(got, Reservation):
                return max(got, 0.001)
            reservation = got
        if not link.is_up:
            if link.is_surely_lost:
                return None, reservation
            if reservation is not None:
                link.alone.cancel(reservation)
            return _LOOK
        try:
            taken = await self._take(budgets, hold)
        except BaseException as error:
            if reservation is not None:
                link.alone.cancel(reservation)
            if isinstance(error, StoreUnavailable):
                return 0.001  # gone at this moment: the next look finds us alone
            raise
        if isinstance(taken, Permit):
            return taken, reservation
        if reservation is not None:
            link.alone.cancel(reservation)
        return taken

    async def _take(self, budgets: tuple[RateBudget, ...], hold: float) -> Permit | float:
        began = self._clock.monotonic()
        got = await self._link.ask(partial(_take, budgets=budgets, hold=hold))
        if isinstance(got, Permit) and self._clock.monotonic() - began > _LATEST:
            # This process stood still meanwhile. The store would take a query that goes out now as over too soon.
            with suppress(StoreUnavailable):
                await self._link.ask(lambda store: store.cancel(got))
            return 0.001
        return got


def _take(store: Store, budgets: tuple[RateBudget, ...], hold: float) -> Permit | float:
    for budget in budgets:
        told = store.read(throttle_name(budget.name))
        if told is not None:
            with suppress(ValueError):
                left = min(float(told.data), LONGEST_THROTTLE) - told.age
                if left > 0:
                    return left
    return store.take(budgets, hold)


def throttle_name(budget: str) -> str:
    """Where processes tell each other that a control plane wants to be left alone for a while."""
    return f"throttle/{hashlib.sha256(budget.encode()).hexdigest()[:32]}"


def throttled_for(told: float | None, before: Saved | None, interval: float, window: float) -> float:
    """For how many seconds all are to leave a control plane alone that says that it is asked too often.

    Args:
        told: What it asks for; None if it does not say. Then the time doubles, if the last time is not long over, up to
            two windows: who spends the limit besides us goes on, and a longer wait would only make our lists older.
        before: What was said the last time.
        interval: The configured time between two questions: never less.
        window: Of the limit, in seconds.
    """
    if told is not None:
        return min(max(told, interval), LONGEST_THROTTLE)
    last = 0.0
    if before is not None:
        with suppress(ValueError):
            last = float(before.data)
            last = last if before.age < 3 * last else 0.0
    return min(max(2 * last, 2 * interval), max(2 * window, 2 * interval), LONGEST_THROTTLE)


def stored_name(name: str) -> str:
    """The name of a budget in a store: itself, if it can be one."""
    if 1 <= len(name) <= MAX_NAME and name.isprintable():
        return name
    return f"budget/{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _stored(budget: RateBudget) -> RateBudget:
    return replace(budget, name=stored_name(budget.name))
