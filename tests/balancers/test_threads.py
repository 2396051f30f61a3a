"""Many threads on one picker: nothing is lost, nothing is counted twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Barrier

from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.interfaces.balancer import ANY, Balancer, BuildContext, Member, Picker, PickInfo

Members = Callable[[Iterable[float]], list[Member]]
THREADS = 16


def _storm(picker: Picker, picks: int, info: PickInfo = ANY) -> Counter[str]:
    barrier = Barrier(THREADS)

    def work() -> Counter[str]:
        counts: Counter[str] = Counter()
        barrier.wait()
        for _ in range(picks):
            picked = picker.pick(info)
            assert picked is not None
            counts[picked.endpoint.id] += 1
        return counts

    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(work) for _ in range(THREADS)]
        total: Counter[str] = Counter()
        for future in futures:
            total.update(future.result())
        return total


def test_round_robin_counts_are_exact_over_whole_cycles(members: Members) -> None:
    weights = [5, 3, 2, 1, 1]
    picker = WeightedRoundRobin().build(members(weights), BuildContext(Random(1)))
    cycles_a_thread = 500
    counts = _storm(picker, cycles_a_thread * sum(weights))
    assert counts == {f"e{place:04}": weight * cycles_a_thread * THREADS for place, weight in enumerate(weights)}


def test_nothing_is_lost_with_exclusions(load_blind: Balancer, members: Members) -> None:
    picker = load_blind.build(members([5, 3, 2]), BuildContext(Random(2)))
    counts = _storm(picker, 500, PickInfo(excluded=("e0000",)))
    assert counts.total() == 500 * THREADS
    assert set(counts) == {"e0001", "e0002"}


def test_rebuilds_while_others_pick(balancer: Balancer, members: Members) -> None:
    fleet = members([1, 2, 3, 4])
    context = BuildContext(Random(3))
    current = [balancer.build(fleet, context)]
    barrier = Barrier(THREADS + 1)

    def work() -> int:
        barrier.wait()
        return sum(current[0].pick(ANY) is not None for _ in range(2_000))

    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(work) for _ in range(THREADS)]
        barrier.wait()
        for turn in range(200):
            current[0] = balancer.build(fleet[turn % 3 :], BuildContext(context.random, previous=current[0]))
        assert [future.result() for future in futures] == [2_000] * THREADS
