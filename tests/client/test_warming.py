"""Which new instances get connections ahead of the calls, and when: in virtual time, without a connection."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from random import Random
from typing import cast

import pytest

from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.client._async.channels import AsyncChannels
from directlane.core.client._async.warming import AsyncWarming
from directlane.core.client.warming import MOST_AT_ONCE, SPREAD, WarmQueue
from directlane.core.dispatch.route import Lane, Route
from directlane.core.endpoint import Endpoint
from directlane.core.pool.pool import Pool
from directlane.core.timers import TimerQueue

GRACE = 1.0


class _Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now

    def unix(self) -> float:
        return self.now


class _Route:
    """As much of a route as is looked at."""

    def __init__(self, clock: _Clock) -> None:
        self.ended_at = math.inf
        self._watchers: list[Callable[[], None]] = []
        self.pool: Pool[Lane] = Pool(WeightedRoundRobin(), _lane, clock, Random(1), on_change=self._changed)

    def watch(self, watcher: Callable[[], None]) -> None:
        self._watchers.append(watcher)

    def _changed(self) -> None:
        for watcher in self._watchers:
            watcher()


def _lane(endpoint: Endpoint) -> Lane:
    return cast("Lane", object())


class _Lab:
    """One client's queue. What its workers take is written down."""

    def __init__(self, seed: int = 1) -> None:
        self.clock = _Clock()
        self.timers = TimerQueue(self.clock)
        self.route = _Route(self.clock)
        self.started = 0
        self.refusal: Callable[[], None] | None = None
        self.queue = WarmQueue(self.timers, self.clock, Random(seed), self._start, grace=GRACE)
        self.queue.follow([self.as_route])

    @property
    def as_route(self) -> Route:
        return cast("Route", self.route)

    def _start(self) -> None:
        if self.refusal is not None:
            self.refusal()
        else:
            self.started += 1

    def listed(self, *hosts: int, weight: int | None = None) -> None:
        self.route.pool.update(Endpoint(f"10.0.0.{host}", 80, weight=weight) for host in hosts)

    def wait(self, seconds: float = SPREAD) -> None:
        self.clock.now += seconds
        self.timers.run_due()

    def taken(self) -> list[int]:
        """What one worker takes until its end."""
        found: list[int] = []
        while (took := self.queue.take()) is not None:
            found.append(int(took[1].endpoint.host.rpartition(".")[2]))
        self.started -= 1
        return found


def test_new_instances_are_taken_after_a_moment_and_once() -> None:
    lab = _Lab()
    lab.listed(1, 2)
    assert (lab.started, lab.timers.next_at <= lab.clock.now + SPREAD) == (0, True)
    lab.wait()
    assert lab.started == 2
    assert sorted(lab.taken()) == [1, 2]
    assert lab.taken() == []
    lab.listed(1, 2, weight=5)
    lab.listed(1, 2, 3)
    lab.wait()
    assert lab.taken() == [3], "another weight makes no new instance"


def test_a_few_at_a_time() -> None:
    lab = _Lab()
    lab.listed(*range(1, 101))
    lab.wait()
    lab.listed(*range(1, 121))
    lab.wait()
    assert lab.started == MOST_AT_ONCE
    assert sorted(lab.taken()) == list(range(1, 121))


def test_clients_begin_at_moments_and_in_orders_of_their_own() -> None:
    labs = [_Lab(seed) for seed in range(20)]
    for lab in labs:
        lab.listed(*range(1, 11))
    moments = {lab.timers.next_at for lab in labs}
    for lab in labs:
        lab.wait()
    firsts = {lab.taken()[0] for lab in labs}
    assert len(moments) == 20
    assert len(firsts) > 4


def test_what_left_or_is_drained_is_not_taken() -> None:
    lab = _Lab()
    lab.listed(1, 2)
    lab.wait()
    lab.listed(2)
    assert lab.taken() == [2]
    lab.listed(2, 3, weight=0)
    lab.wait()
    assert lab.started == 1, "no worker for those that are drained"
    lab.listed(2, 3)
    lab.wait()
    assert 3 in lab.taken()


def test_an_instance_that_comes_back_is_new_again() -> None:
    lab = _Lab()
    lab.listed(1, 2)
    lab.wait()
    lab.taken()
    lab.listed(2)
    lab.route.pool.reap()
    lab.listed(1, 2)
    lab.wait()
    assert lab.taken() == [1]


def test_a_route_that_has_ended_is_not_connected_to() -> None:
    lab = _Lab()
    lab.listed(1)
    lab.wait()
    lab.route.ended_at = lab.clock.now
    assert lab.taken() == []


def test_connections_to_what_left_meanwhile_are_closed_by_who_opened_them() -> None:
    lab = _Lab()
    lab.listed(1, 2)
    first, second = lab.route.pool.members()
    assert not lab.queue.must_close(lab.as_route, first)
    lab.listed(2)
    assert not lab.queue.must_close(lab.as_route, first), "the service closes it when it reaps"
    lab.route.pool.reap()
    assert lab.queue.must_close(lab.as_route, first)
    lab.route.ended_at = lab.clock.now
    assert not lab.queue.must_close(lab.as_route, second), "the service closes it soon"
    lab.clock.now += GRACE + 0.1
    assert lab.queue.must_close(lab.as_route, second)


def test_after_the_end_nobody_is_taken() -> None:
    lab = _Lab()
    lab.listed(1)
    lab.queue.close()
    assert lab.timers.next_at == math.inf
    lab.listed(1, 2)
    lab.wait()
    assert (lab.started, lab.taken()) == (0, [])


@pytest.mark.parametrize("how", ["raises", "gives up"])
def test_a_worker_that_cannot_begin_leaves_its_place_to_the_next(how: str) -> None:
    lab = _Lab()

    def fail() -> None:
        if how == "raises":
            raise RuntimeError("the event loop is closed")
        lab.queue.give_up()

    lab.refusal = fail
    lab.listed(*range(1, 11))
    lab.wait()
    lab.refusal = None
    lab.listed(*range(1, 12))
    lab.wait()
    assert lab.started == 1
    assert lab.taken() == [11], "those that nobody could work on are left to the calls"


def test_following_twice_is_following_once() -> None:
    lab = _Lab()
    lab.queue.follow([lab.as_route])
    lab.listed(1)
    lab.wait()
    assert (lab.started, lab.taken()) == (1, [1])


def test_worker_that_is_cancelled_with_its_loop_leaves_its_place_to_the_next() -> None:
    lab = _Lab()

    class Channels:
        async def warm(self, *_: object) -> int:
            await asyncio.sleep(math.inf)
            return 0

    async def main() -> None:
        channels = cast("AsyncChannels", Channels())
        warming = AsyncWarming(channels, 1, 1.0, GRACE, lab.timers, lab.clock, Random(1))
        warming.follow([lab.as_route])
        lab.listed(1, 2)
        lab.wait()
        while not warming.workers:
            await asyncio.sleep(0)
        made.append(warming)
        await asyncio.sleep(0)

    made: list[AsyncWarming] = []
    asyncio.run(main())  # cancels what still runs
    assert made[0].workers == 0
