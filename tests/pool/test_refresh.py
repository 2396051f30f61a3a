"""New pickers for the same list: only if the balancer wants them, in time, and not after the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from clock_lab import VirtualClock

from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.endpoint import Endpoint
from directlane.core.interfaces.balancer import ANY, Balancer, Picker
from directlane.core.load_report import LoadReport
from directlane.core.pool.pool import Pool
from directlane.core.timers import Cancel, TimerQueue

TELLING = WeightedRoundRobin(reports="orca", blackout=0.0)


class _Lab:
    def __init__(self, balancer: Balancer) -> None:
        self.clock = VirtualClock(0.0)
        self.timers = TimerQueue(self.clock)
        self.pool: Pool[None] = Pool(balancer, lambda endpoint: None, self.clock, Random(1), timers=self.timers)
        self.update()

    def update(self) -> None:
        self.pool.update(Endpoint("10.0.0.1", 80, id=f"e{place}") for place in range(2))

    def say(self) -> None:
        for member, cpu in zip(self.pool.members(), (0.2, 0.6), strict=True):
            member.load.take_report(LoadReport({"rps_fractional": 10.0, "cpu_utilization": cpu}))

    def after(self, seconds: float) -> None:
        self.clock.now += seconds
        self.timers.run_due()

    def shares(self) -> list[int]:
        counts: Counter[str] = Counter()
        for _ in range(100):
            member = self.pool.pick(ANY)
            assert member is not None
            counts[member.endpoint.id] += 1
        return [counts["e0"], counts["e1"]]


def test_weights_follow_the_reports_within_a_second_and_no_call_pays_for_it() -> None:
    lab = _Lab(TELLING)
    lab.say()
    lab.after(0.9)
    assert lab.shares() == [50, 50]
    lab.after(0.1)
    assert lab.shares() == [75, 25]
    lab.after(180.0)  # nothing was heard for too long
    assert lab.shares() == [50, 50]


def test_lists_that_come_meanwhile_begin_no_second_row() -> None:
    lab = _Lab(TELLING)
    for _ in range(5):
        lab.update()
    assert lab.timers.next_at == 1.0
    lab.after(1.0)
    assert lab.timers.next_at == 2.0
    lab.pool.close()
    assert lab.timers.next_at == float("inf")
    lab.update()
    assert lab.timers.next_at == float("inf")


def test_a_balancer_that_does_not_want_it_sets_no_timer() -> None:
    assert _Lab(WeightedRoundRobin()).timers.next_at == float("inf")


def test_a_balancer_that_breaks_keeps_its_last_picker_and_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lab = _Lab(TELLING)
    lab.say()

    def build(balancer: Balancer, members: object, context: object) -> Picker:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(WeightedRoundRobin, "build", build)
        lab.after(1.0)
    assert "ZeroDivisionError" in caplog.text
    assert lab.shares() == [50, 50]
    lab.after(1.0)
    assert lab.shares() == [75, 25]


def test_a_machine_without_threads_still_serves_the_list() -> None:
    class NoThread:
        def call_at(self, when: float, action: Callable[[], None]) -> Cancel:
            raise RuntimeError("can't start new thread")

        def call_soon(self, action: Callable[[], None]) -> None:
            raise RuntimeError("can't start new thread")

    pool: Pool[None] = Pool(TELLING, lambda endpoint: None, VirtualClock(0.0), Random(1), timers=NoThread())
    for _ in range(2):
        pool.update([Endpoint("10.0.0.1", 80, id="e0")])
        assert pool.pick(ANY) is not None


def test_closed_by_its_own_action_it_does_not_go_on() -> None:
    lab = _Lab(TELLING)
    lab.timers.call_at(1.0, lab.pool.close)
    lab.after(1.0)
    lab.after(10.0)
    assert lab.timers.next_at == float("inf")
