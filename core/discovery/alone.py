"""What one process may spend of a shared rate limit while it cannot ask the store.

Nobody knows then what the others spend. So the whole limit counts as spent when the store is lost, for one window;
after that each process keeps to a share of it, by the number of processes that were last seen.

Pure decisions: budgets and the time go in, a reservation or a wait comes out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from ..interfaces.discovery import RateBudget
from .budget import BudgetLedger, Reservation

__all__ = ["AloneLedger", "share_of"]

_NOTICE = 5.0
"""Seconds by which another process may have noticed sooner that the store is gone."""


def share_of(budget: RateBudget, attending: int | None) -> RateBudget:
    """The part of a limit that one of `attending` processes may spend by itself.

    Where the limit has a place for each process and one more, the parts together never exceed it: the one more is kept
    for a process that begins while the store is gone. Where there are more processes, each has one query in twice as
    many windows as would do, at moments left to chance: then at most half of the limit is used on average.

    Args:
        budget: The whole limit.
        attending: How many share it, this process included. None, if nobody knows: one query in each window.
    """
    if attending is None:
        return replace(budget, limit=1)
    claims = max(1, attending) + 1
    if claims <= budget.limit:
        return replace(budget, limit=budget.limit // claims)
    return replace(budget, limit=1, window=budget.window * 2 * math.ceil(claims / budget.limit))


@dataclass(slots=True)
class _Spent:
    budgets: tuple[RateBudget, ...]
    reservation: Reservation
    ended_at: float


class AloneLedger:
    """What this process spends by itself. Belongs to one thread.

    Mutable state: when the store was lost and came back, among how many, and what was spent since.

    Args:
        hold: Seconds for which a query of another process may still be under way.
        random: Source of chance.
    """

    def __init__(self, hold: float, random: Random) -> None:
        self._hold = hold
        self._random = random
        self._phase = 0.0
        self._ledger = BudgetLedger()
        self._lost_at = -math.inf
        self._back_at: float | None = -math.inf
        self._attending: int | None = None
        self._spent: list[_Spent] = []

    @property
    def attending(self) -> int | None:
        """How many processes share the limits, as it was last known; None if it never was."""
        return self._attending

    def lost(self, now: float, attending: int | None) -> None:
        """The store does not answer any more.

        Args:
            now: The time.
            attending: How many processes were there; None if nobody knows.
        """
        self._lost_at, self._back_at, self._attending = now, None, attending
        self._phase = self._random.random()

    def back(self, now: float) -> None:
        """The store answers again, and was told what `unpaid` says."""
        self._back_at = now
        self._spent.clear()

    def binds(self, budgets: Sequence[RateBudget], now: float) -> bool:
        """Whether the share is to be kept: without the store, and for one window after it is back.

        Others may be alone a little longer, and have not told the store yet what they spent. If the store was away for
        so short a time that nobody can have spent anything alone, there is nothing to be careful about.
        """
        return any(self._binds(budget, now) for budget in budgets)

    def _binds(self, budget: RateBudget, now: float) -> bool:
        if self._back_at is None:
            return True
        away = self._back_at - self._lost_at
        return away > self._hold + budget.window - _NOTICE and now < self._back_at + budget.window + self._hold

    def reserve(self, budgets: Sequence[RateBudget], now: float) -> Reservation | float:
        """A reservation, if the share of every budget allows it; else the seconds to wait, with nothing spent."""
        if self._back_at is None:
            wait = max((self._begins_at(budget) - now for budget in budgets), default=0.0)
            if wait > 0:
                return wait
        got = self._ledger.reserve([share_of(budget, self._attending) for budget in budgets], now)
        if isinstance(got, Reservation) and self._back_at is None:
            self._spent.append(_Spent(tuple(budgets), got, math.inf))
        return got

    def _begins_at(self, budget: RateBudget) -> float:
        """When the first query may go out after the store was lost."""
        own = share_of(budget, self._attending)
        spread = self._phase * own.window if own.window > budget.window else 0.0
        return self._lost_at + self._hold + budget.window + spread

    def settle(self, reservation: Reservation, now: float) -> None:
        """The query has its answer, or failed."""
        reservation.settle(now)
        for one in self._spent:
            if one.reservation is reservation:
                one.ended_at = now

    def cancel(self, reservation: Reservation) -> None:
        """The query was never sent."""
        reservation.cancel()
        self._spent = [one for one in self._spent if one.reservation is not reservation]

    def unpaid(self, now: float) -> list[tuple[str, ...]]:
        """The names of the budgets of each query that was sent alone and still counts: the store does not know it."""
        return [
            tuple(dict.fromkeys(budget.name for budget in one.budgets))
            for one in self._spent
            if any(one.ended_at > now - budget.window for budget in one.budgets)
        ]
