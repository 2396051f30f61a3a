"""Ejection under many threads, with the real thread of the hub: nothing is lost, nobody waits for ever."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

from discovery_lab import hub_threads
from pool_lab import endpoints_of

from directlane import OK, Outcome, Phase, Reply, TransportError
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.clock import SYSTEM_CLOCK
from directlane.core.config.ejection import EjectionSettings
from directlane.core.discovery.hub import DiscoveryHub
from directlane.core.interfaces.balancer import ANY
from directlane.core.outcome import retry_elsewhere
from directlane.core.pool.pool import Pool
from directlane.core.pool.statistics import Lease

NAMES = ["a", "b", "c", "d"]


def test_a_storm_from_eight_threads_ends_with_everybody_back() -> None:
    hub = DiscoveryHub()
    pool: Pool[None] = Pool(
        WeightedRoundRobin(),
        lambda endpoint: None,
        SYSTEM_CLOCK,
        Random(1),
        ejection=EjectionSettings(base_time=0.002, max_time=0.01),
        slow_start=0.01,
        timers=hub,
    )
    pool.update(endpoints_of(NAMES))
    is_over = threading.Event()

    def call(random: Random, *, may_fail: bool) -> None:
        member = pool.pick(ANY)
        assert member is not None
        lease = Lease(member.load, time.monotonic())
        chance = random.random() if may_fail else 1.0
        if chance < 0.05:
            member.load.record_cancelled()
        elif chance < 0.1:
            pass  # it vanishes
        elif chance < 0.5:
            error = TransportError("refused", phase=Phase.CONNECT)
            member.load.record(Outcome(Phase.CONNECT, 0.0, error=error), retry_elsewhere(may_have_run=False))
        else:
            member.load.record(Outcome(Phase.DONE, 0.0, Reply(200)), OK)
        lease.release()

    def storm(seed: int) -> None:
        random = Random(seed)
        for _ in range(1500):
            call(random, may_fail=True)

    def lists() -> None:
        random = Random(99)
        while not is_over.wait(0.001):
            pool.update(endpoints_of(random.sample(NAMES, random.randint(2, 4))))
            pool.reap()

    listing = threading.Thread(target=lists)
    listing.start()
    with ThreadPoolExecutor(8) as workers:
        for done in [workers.submit(storm, seed) for seed in range(8)]:
            done.result(60)
    is_over.set()
    listing.join()

    pool.update(endpoints_of(NAMES))
    ends_at = time.monotonic() + 60
    while {pool.standing(member).state for member in pool.members()} != {"ready"}:
        assert time.monotonic() < ends_at, [pool.standing(member) for member in pool.members()]
        call(Random(1), may_fail=False)
        pool.reap()
    assert pool.healthy == pool.size == 4
    assert all(member.load.open_calls == 0 for member in pool.members())
    pool.close()
    while hub_threads() and time.monotonic() < ends_at:
        time.sleep(0.002)
    assert hub_threads() == []
