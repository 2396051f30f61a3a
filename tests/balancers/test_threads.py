"""Many threads on one picker: nothing is lost, nothing is counted twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Barrier

from directlane.balancers.least_loaded import LeastLoaded
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.clock import SYSTEM_CLOCK
from directlane.core.endpoint import Endpoint
from directlane.core.errors import Phase
from directlane.core.interfaces.balancer import ANY, Balancer, BuildContext, Member, Picker, PickInfo
from directlane.core.message import Reply
from directlane.core.outcome import OK, Outcome
from directlane.core.pool.pool import Pool
from directlane.core.pool.statistics import Lease

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


def test_work_and_ages_are_read_while_others_open_and_close() -> None:
    balancer = LeastLoaded(work="size", use_age=True, use_latency=True, reports="orca")
    pool: Pool[None] = Pool(balancer, lambda endpoint: None, SYSTEM_CLOCK, Random(4))
    pool.update(Endpoint("10.0.0.1", 80, id=f"e{place}") for place in range(3))
    said = (("endpoint-load-metrics", "TEXT named_metrics.num_requests_waiting=3"),)
    answer = Outcome(Phase.DONE, 0.01, Reply(200, said, b"{}"))
    barrier = Barrier(THREADS)

    def work() -> None:
        barrier.wait()
        for number in range(100):
            member = pool.pick(PickInfo(size=float(number)))
            assert member is not None
            lease = Lease(member.load, SYSTEM_CLOCK.monotonic(), float(number))
            member.load.record(answer, OK)
            lease.release()

    with ThreadPoolExecutor(THREADS) as executor:
        for future in [executor.submit(work) for _ in range(THREADS)]:
            future.result()
    assert sum(member.load.open_work for member in pool.members()) == 0
    assert sum(member.load.figures().attempts for member in pool.members()) == 100 * THREADS
