"""What the store is told of a query that goes out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

import pytest

from directlane.core.clock import SYSTEM_CLOCK
from directlane.core.discovery.link import HOLD_MARGIN, StoreLink
from directlane.core.discovery.shared_budget import SharedBudgetKeeper
from directlane.core.interfaces.discovery import RateBudget
from directlane.core.interfaces.store import Permit
from directlane.core.stores.memory_store import MemoryStore

T = TypeVar("T")

USER = RateBudget("user", 10, 20.0)


class Holds(MemoryStore):
    """Remembers how long each query was said to take."""

    def __init__(self) -> None:
        super().__init__()
        self.holds: list[float] = []

    def take(self, budgets: Sequence[RateBudget], hold: float) -> Permit | float:
        self.holds.append(hold)
        return super().take(budgets, hold)


class AtOnce:
    """Asks the store without a thread."""

    async def run(self, work: Callable[[], T], limit: float) -> T:
        del limit
        return work()

    def close(self) -> None:
        """Nothing to end."""


@pytest.mark.parametrize(("limit", "held"), [(None, 3.0), (1.0, 3.0), (60.0, 60.0)])
def test_query_with_a_longer_limit_of_its_own_is_held_for_as_long(limit: float | None, held: float) -> None:
    store = Holds()

    async def spend() -> None:
        link = StoreLink(store, SYSTEM_CLOCK, Random(1), worker=AtOnce())
        async with SharedBudgetKeeper(link, 3.0).spend((USER,), limit):
            pass

    asyncio.run(spend())
    assert store.holds == [held + HOLD_MARGIN]
