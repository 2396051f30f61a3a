"""The latency that `least_loaded` may learn: how it moves, how it fades, and who keeps it."""

from __future__ import annotations

import math
from random import Random

import pytest
from clock_lab import VirtualClock
from hypothesis import given
from hypothesis import strategies as st

from directlane.balancers.least_loaded import LeastLoaded
from directlane.core.clock import SYSTEM_CLOCK
from directlane.core.endpoint import Endpoint
from directlane.core.errors import Phase
from directlane.core.interfaces.balancer import ANY, Latency
from directlane.core.message import Reply
from directlane.core.outcome import FAIL, OK, Outcome, retry_elsewhere
from directlane.core.pool.latency import after_answer
from directlane.core.pool.pool import Pool


def _pool(balancer: LeastLoaded, size: int, clock: VirtualClock) -> Pool[None]:
    pool: Pool[None] = Pool(balancer, lambda endpoint: None, clock, Random(1))
    pool.update(Endpoint("10.0.0.1", 80, id=f"e{place}") for place in range(size))
    return pool


def _answer(elapsed: float, status: int = 200) -> Outcome:
    return Outcome(Phase.DONE, elapsed, Reply(status))


def test_the_first_answer_is_the_average() -> None:
    assert after_answer(None, 2.0, now=5.0, memory=100.0) == Latency(2.0, at=5.0, fade=200.0)


def test_after_as_many_latencies_as_it_remembers_most_is_forgotten() -> None:
    latency = after_answer(Latency(2.0, at=0.0, fade=200.0), 1.0, now=200.0, memory=100.0)
    assert latency.seconds == pytest.approx(1 + 1 / math.e)


def test_the_pace_is_the_endpoints_own() -> None:
    """In milliseconds or in minutes: the same story has the same course."""
    averages: list[float] = []
    for unit in (0.001, 60.0):
        latency = None
        for step, seconds in enumerate([1.0, 5.0, 2.0, 2.0]):
            latency = after_answer(latency, seconds * unit, now=step * 10 * unit, memory=50.0)
        assert latency is not None
        averages.append(latency.seconds / unit)
    assert averages[0] == pytest.approx(averages[1])


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1), st.floats(1, 1000))
def test_the_average_stays_among_what_was_seen(story: list[tuple[float, float]], memory: float) -> None:
    latency, now = None, 0.0
    for pause, elapsed in story:
        now += pause
        latency = after_answer(latency, elapsed, now, memory)
    assert latency is not None
    seen = [max(elapsed, 1e-6) for _, elapsed in story]
    assert min(seen) * (1 - 1e-9) <= latency.seconds <= max(seen) * (1 + 1e-9)
    assert 0 <= latency.left(now + 1e9) <= latency.left(now) == latency.seconds


def test_good_answers_alone_are_measured() -> None:
    pool = _pool(LeastLoaded(use_latency=True), 1, VirtualClock(0.0))
    stats = pool.members()[0].load
    stats.record(_answer(9.0, 404), FAIL)
    stats.record(_answer(9.0, 503), retry_elsewhere(may_have_run=True))
    assert stats.latency is None
    stats.record(_answer(0.5), OK)
    assert stats.latency is not None
    assert stats.latency.seconds == 0.5


def test_nothing_is_measured_unless_asked_for() -> None:
    pool: Pool[None] = Pool(LeastLoaded(), lambda endpoint: None, SYSTEM_CLOCK, Random(1))
    pool.update([Endpoint("10.0.0.1", 80)])
    stats = pool.members()[0].load
    stats.record(_answer(0.5), OK)
    assert stats.latency is None


@pytest.mark.parametrize("full_scan", [64, 1], ids=["scan", "samples"])
def test_the_faster_one_gets_the_call(full_scan: int) -> None:
    pool = _pool(LeastLoaded(use_latency=True, full_scan=full_scan), 3, VirtualClock(0.0))
    for member, seconds in zip(pool.members(), (3.0, 1.0, 2.0), strict=True):
        member.load.record(_answer(seconds), OK)
    assert {member.endpoint.id for member in (pool.pick(ANY) for _ in range(100)) if member} == {"e1"}


def test_one_that_has_not_answered_yet_is_taken_for_average() -> None:
    pool = _pool(LeastLoaded(use_latency=True), 3, VirtualClock(0.0))
    slow, fast, _ = pool.members()
    assert {member.endpoint.id for member in (pool.pick(ANY) for _ in range(100)) if member} == {"e0", "e1", "e2"}
    slow.load.record(_answer(3.0), OK)
    fast.load.record(_answer(1.0), OK)
    order: list[str] = []
    while (member := pool.pick(type(ANY)(excluded=tuple(order)))) is not None:
        order.append(member.endpoint.id)
    assert order == ["e1", "e2", "e0"]


def test_a_slow_one_is_tried_again_some_day() -> None:
    clock = VirtualClock(0.0)
    pool = _pool(LeastLoaded(use_latency=True, memory=30), 2, clock)
    slow, fast = pool.members()
    slow.load.record(_answer(10.0), OK)
    for second in range(1_000):
        clock.now = float(second)
        fast.load.record(_answer(1.0), OK)
        if pool.pick(ANY) is slow:
            break
    # 10 seconds fade to 1 within ln(10) times 30 * 10 seconds.
    assert clock.now == pytest.approx(math.log(10) * 300, abs=2)
