"""What a process may spend while the store is gone: all shares together keep the limit."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directlane.core.discovery.alone import AloneLedger, share_of
from directlane.core.discovery.budget import Reservation
from directlane.core.interfaces.discovery import RateBudget

USER = RateBudget("user", 20, 60.0)
HOLD = 5.0


def lost(attending: int | None, at: float = 0.0, seed: int = 0) -> AloneLedger:
    ledger = AloneLedger(HOLD, Random(seed))
    ledger.lost(at, attending)
    return ledger


def spend(ledger: AloneLedger, now: float, budget: RateBudget = USER) -> bool:
    got = ledger.reserve((budget,), now)
    if not isinstance(got, Reservation):
        return False
    ledger.settle(got, now)
    return True


def test_with_the_store_nothing_binds() -> None:
    assert not AloneLedger(HOLD, Random(0)).binds((USER,), 0.0)


def test_the_whole_limit_counts_as_spent_for_one_window() -> None:
    ledger = lost(1)
    assert ledger.reserve((USER,), 1.0) == pytest.approx(HOLD + 60.0 - 1.0)
    assert not spend(ledger, HOLD + 59.9)
    assert spend(ledger, HOLD + 60.1)


def test_one_place_is_kept_for_a_process_that_begins_meanwhile() -> None:
    for attending in range(1, 20):
        assert attending * share_of(USER, attending).limit + share_of(USER, None).limit <= USER.limit


@settings(deadline=None)
@given(st.integers(1, 40), st.floats(1.0, 100.0), st.integers(1, 39))
def test_no_window_holds_more_than_the_limit(limit: int, window: float, attending: int) -> None:
    budget = RateBudget("user", limit, window)
    if attending + 1 > limit:
        own = share_of(budget, attending)
        assert own.limit == 1
        assert own.window * limit >= 2 * window * attending, "half of the limit, on average"
        return
    ledgers = [lost(attending) for _ in range(attending)]
    moments = [
        now
        for ledger in ledgers
        for step in range(60)
        for now in [HOLD + window + step * window / 7]
        if spend(ledger, now, budget)
    ]
    for start in moments:
        assert sum(start <= one < start + window - 1e-6 for one in moments) <= limit


def test_what_was_spent_alone_is_told_when_the_store_is_back() -> None:
    ledger = lost(1)
    assert spend(ledger, 100.0)
    assert spend(ledger, 101.0)
    assert ledger.unpaid(102.0) == [("user",), ("user",)]
    assert ledger.unpaid(160.5) == [("user",)], "the first has grown old"
    ledger.back(102.0)
    assert ledger.unpaid(102.0) == []


def test_after_a_long_absence_the_share_is_kept_for_one_window_more() -> None:
    ledger = lost(4)
    ledger.back(200.0)
    assert ledger.binds((USER,), 200.0 + 60.0)
    assert not ledger.binds((USER,), 200.0 + 60.0 + HOLD + 0.1)


def test_after_a_short_absence_nobody_can_have_spent_anything() -> None:
    ledger = lost(4)
    ledger.back(30.0)
    assert not ledger.binds((USER,), 30.0)


def test_query_that_was_never_sent_does_not_count() -> None:
    ledger = lost(None)
    got = ledger.reserve((USER,), 100.0)
    assert isinstance(got, Reservation)
    ledger.cancel(got)
    assert ledger.unpaid(100.0) == []
    assert spend(ledger, 100.0)
