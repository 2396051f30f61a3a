"""Least loaded: the least cost wins, chance decides among equals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Barrier

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from directlane.balancers.least_loaded import LeastLoaded
from directlane.core.clock import SYSTEM_CLOCK
from directlane.core.endpoint import Endpoint
from directlane.core.interfaces.balancer import ANY, BuildContext, Member, PickInfo
from directlane.core.pool.pool import Pool
from directlane.core.pool.statistics import Lease

Members = Callable[[Iterable[float]], list[Member]]
SAMPLING = LeastLoaded(full_scan=1)
CHI_SQUARE = {2: 10.83, 3: 13.82, 10: 27.88, 100: 148.2}
"""Limits that chance passes once in a thousand times, by number of equals."""


def _pool(weights: Iterable[int | None], balancer: LeastLoaded, seed: int = 1) -> Pool[None]:
    pool: Pool[None] = Pool(balancer, lambda endpoint: None, SYSTEM_CLOCK, Random(seed))
    pool.update(Endpoint("10.0.0.1", 80, weight=weight, id=f"e{place}") for place, weight in enumerate(weights))
    return pool


@pytest.mark.parametrize(("size", "balancer"), [(3, LeastLoaded()), (10, LeastLoaded()), (100, SAMPLING)])
def test_l1_idle_picks_are_uniform(members: Members, size: int, balancer: LeastLoaded) -> None:
    # 10^6 picks (200,000 for the samples), seed 6. The share of each is within half a percentage point of 1/N, which
    # is 10 standard deviations and more; chi-square is the sharper test, and would show a bias of 1% of a share.
    picks = 1_000_000 if size <= 10 else 200_000
    pick = balancer.build(members([1.0] * size), BuildContext(Random(6))).pick
    counts: Counter[Member | None] = Counter(map(id, (pick(ANY) for _ in range(picks))))  # type: ignore[arg-type]
    assert len(counts) == size
    assert all(abs(count / picks - 1 / size) < 0.005 for count in counts.values())
    expected = picks / size
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < CHI_SQUARE[size]


@pytest.mark.parametrize("balancer", [LeastLoaded(), SAMPLING], ids=["scan", "samples"])
def test_any_of_some_equals_with_the_same_chance(balancer: LeastLoaded) -> None:
    # Two of three are idle. 20,000 picks, seed 1.
    pool = _pool([None] * 3, balancer)
    busy = pool.members()[1]
    lease = Lease(busy.load, 0.0)
    counts = Counter(member.endpoint.id for member in (pool.pick(ANY) for _ in range(20_000)) if member)
    lease.release()
    assert set(counts) == {"e0", "e2"}
    assert sum((count - 10_000) ** 2 / 10_000 for count in counts.values()) < CHI_SQUARE[2]


@settings(max_examples=200, deadline=None)
@given(
    weights=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    open_calls=st.lists(st.integers(0, 20), min_size=8, max_size=8),
    excluded=st.sets(st.integers(0, 7)),
    seed=st.integers(0, 9),
)
def test_nobody_costs_less_than_the_picked(
    weights: list[int], open_calls: list[int], excluded: set[int], seed: int
) -> None:
    # As many samples as members: both ways must agree on the least cost.
    for balancer in (LeastLoaded(), LeastLoaded(full_scan=1, samples=8)):
        pool = _pool(weights, balancer, seed)
        costs: dict[str, float] = {}
        for place, member in enumerate(pool.members()):
            for _ in range(open_calls[place]):
                Lease(member.load, 0.0)
            if place not in excluded:
                costs[member.endpoint.id] = (open_calls[place] + 1) / weights[place]
        picked = pool.pick(PickInfo(excluded=[f"e{place}" for place in excluded]))
        if picked is None:
            assert not costs
        else:
            assert costs[picked.endpoint.id] == min(costs.values())


def test_open_calls_settle_by_weight() -> None:
    # 80 calls that stay open: each endpoint has its weight's part, exactly.
    pool = _pool([1, 2, 5], LeastLoaded())
    for _ in range(80):
        member = pool.pick(ANY)
        assert member is not None
        Lease(member.load, 0.0)
    assert [member.load.open_calls for member in pool.members()] == [10, 20, 50]


def test_a_new_endpoint_in_a_busy_fleet_is_found_at_once() -> None:
    pool = _pool([None] * 3, LeastLoaded())
    for member in pool.members():
        for _ in range(5):
            Lease(member.load, 0.0)
    pool.update(Endpoint("10.0.0.1", 80, id=f"e{place}") for place in range(4))
    picked = pool.pick(ANY)
    assert picked is not None
    assert picked.endpoint.id == "e3"
    # The statistics of the others have survived the rebuild.
    assert [member.load.open_calls for member in pool.members()] == [5, 5, 5, 0]


def test_samples_follow_the_weights() -> None:
    # One of 101 has half of all weight. If everybody were drawn alike it could have 3 picks in 101 at most.
    pool = _pool([100] + [1] * 100, LeastLoaded())
    for _ in range(1_000):
        member = pool.pick(ANY)
        assert member is not None
        Lease(member.load, 0.0)
    # By weight it is due 500 of 1,000; of three drawn, it is one with a chance of nearly 0.9. Seed 1.
    assert pool.members()[0].load.open_calls == pytest.approx(500, rel=0.1)


def test_samples_are_different_members() -> None:
    # Of two endpoints one is busy: two samples that may be the same one would pick it in a quarter of all cases.
    pool = _pool([None] * 2, LeastLoaded(full_scan=1, samples=2))
    Lease(pool.members()[0].load, 0.0)
    picks = {member.endpoint.id for member in (pool.pick(ANY) for _ in range(1_000)) if member}
    assert picks == {"e1"}


@pytest.mark.parametrize("balancer", [LeastLoaded(), SAMPLING], ids=["scan", "samples"])
def test_l7_a_storm_of_threads_leaves_no_call_behind(balancer: LeastLoaded) -> None:
    pool = _pool([None] * 5, balancer)
    threads = 8
    barrier = Barrier(threads)

    def work() -> int:
        barrier.wait()
        for _ in range(2_000):
            member = pool.pick(ANY)
            assert member is not None
            lease = Lease(member.load, 0.0)
            lease.release()
            lease.release()  # a second time is harmless
        return 2_000

    with ThreadPoolExecutor(threads) as executor:
        assert sum(future.result() for future in [executor.submit(work) for _ in range(threads)]) == 16_000
    assert [member.load.open_calls for member in pool.members()] == [0] * 5


@pytest.mark.parametrize("setting", [{"full_scan": 0}, {"samples": 1}, {"samples": 17}, {"penalty": 3}])
def test_settings_out_of_range(setting: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        LeastLoaded.model_validate(setting)
