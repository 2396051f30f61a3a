"""Open work in sizes, and open calls that are older than usual."""

from __future__ import annotations

from random import Random

import pytest
from clock_lab import VirtualClock
from hypothesis import given
from hypothesis import strategies as st

from directlane.balancers.least_loaded import LeastLoaded
from directlane.core.endpoint import Endpoint
from directlane.core.errors import Phase
from directlane.core.interfaces.balancer import ANY, PickInfo
from directlane.core.message import Reply
from directlane.core.outcome import OK, Outcome, retry_elsewhere
from directlane.core.pool.pool import Pool, PoolMember
from directlane.core.pool.statistics import EndpointStats, Lease


def _pool(balancer: LeastLoaded, *weights: int) -> tuple[Pool[None], list[PoolMember[None]], VirtualClock]:
    clock = VirtualClock(0.0)
    pool: Pool[None] = Pool(balancer, lambda endpoint: None, clock, Random(1))
    pool.update(Endpoint("10.0.0.1", 80, id=f"e{place}", weight=weight) for place, weight in enumerate(weights))
    return pool, pool.members(), clock


def _answered(pool: Pool[None], elapsed: float) -> None:
    for member in pool.members():
        member.load.record(Outcome(Phase.DONE, elapsed, Reply(200)), OK)


@pytest.mark.parametrize("full_scan", [64, 1])
def test_one_large_call_is_more_than_many_small_ones(full_scan: int) -> None:
    pool, (large, small), _ = _pool(LeastLoaded(work="size", full_scan=full_scan), 1, 1)
    leases = [Lease(large.load, 0.0, 1000.0), *(Lease(small.load, 0.0, 10.0) for _ in range(5))]
    assert pool.pick(PickInfo(size=10.0)) is small
    leases[0].release()
    assert pool.pick(PickInfo(size=10.0)) is large


def test_by_calls_sizes_mean_nothing() -> None:
    pool, (first, second), _ = _pool(LeastLoaded(), 1, 1)
    leases = [Lease(first.load, 0.0, 1000.0), Lease(second.load, 0.0, 1.0), Lease(second.load, 0.0, 1.0)]
    assert pool.pick(PickInfo(size=10.0)) is first
    del leases


def test_calls_without_a_size_are_1_each() -> None:
    pool, (light, heavy), _ = _pool(LeastLoaded(work="size"), 1, 3)
    leases = [Lease(heavy.load, 0.0) for _ in range(3)]  # (3 + 1) / 3 against (0 + 1) / 1
    assert pool.pick(ANY) is light
    leases.pop().release()
    leases.pop().release()
    assert pool.pick(ANY) is heavy


def test_a_failed_call_is_as_much_as_this_one() -> None:
    pool, (bad, good), _ = _pool(LeastLoaded(work="size"), 1, 1)
    bad.load.record(Outcome(Phase.DONE, 0.1, Reply(503)), retry_elsewhere(may_have_run=True))
    lease = Lease(good.load, 0.0, 400.0)
    assert pool.pick(PickInfo(size=500.0)) is good
    assert pool.pick(PickInfo(size=300.0)) is bad
    lease.release()


def test_a_size_of_nothing_at_all() -> None:
    pool, members, _ = _pool(LeastLoaded(work="size"), 1, 2)
    assert pool.pick(PickInfo(size=0.0)) in members


@given(st.lists(st.floats(0, 1e300)))
def test_work_is_the_sum_of_what_is_open(sizes: list[float]) -> None:
    stats = EndpointStats()
    leases = [Lease(stats, 0.0, size) for size in sizes]
    assert stats.open_work >= max(sizes, default=0.0)
    for lease in leases:
        lease.release()
        lease.release()
    assert stats.open_work == 0


def test_age_is_the_mean_over_what_is_open() -> None:
    stats = EndpointStats()
    assert stats.open_age(5.0) == 0
    leases = [Lease(stats, 1.0), Lease(stats, 3.0)]
    assert stats.open_age(5.0) == 3.0
    leases[0].release()
    assert stats.open_age(5.0) == 2.0
    assert stats.open_age(2.0) == 0.0  # a lease from after the look


@pytest.mark.parametrize("full_scan", [64, 1])
def test_calls_that_are_open_for_too_long_raise_the_cost(full_scan: int) -> None:
    pool, (old, young), clock = _pool(LeastLoaded(use_age=True, full_scan=full_scan), 1, 1)
    _answered(pool, 2.0)
    lease = Lease(old.load, 0.0)
    clock.now = 1.9
    others = [Lease(young.load, 1.0), Lease(young.load, 1.0)]
    assert pool.pick(ANY) is old  # not older than usual: one call against two
    clock.now = 10.0
    for other in others:
        other.release()
    others = [Lease(young.load, 9.9) for _ in range(3)]
    assert pool.pick(ANY) is young  # 2 calls that are five times overdue, against 4 young ones
    del lease, others


def test_before_anybody_has_answered_nothing_is_overdue() -> None:
    pool, (first, second), clock = _pool(LeastLoaded(use_age=True), 1, 1)
    lease, others = Lease(first.load, 0.0), [Lease(second.load, 99.0), Lease(second.load, 99.0)]
    clock.now = 100.0
    assert pool.pick(ANY) is first
    del lease, others


def test_everything_at_once_still_picks_somebody_who_is_not_excluded() -> None:
    balancer = LeastLoaded(work="size", use_age=True, use_latency=True, reports="orca")
    pool, (first, second), _ = _pool(balancer, 1, 1)
    _answered(pool, 1.0)
    assert pool.pick(PickInfo(excluded={"e0"}, size=7.0)) is second
    assert pool.pick(PickInfo(excluded={"e0", "e1"})) is None
    assert pool.pick(ANY) in (first, second)
