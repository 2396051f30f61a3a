"""Slow start in a pool: who comes in slowly, and how fast its share grows. In virtual time."""

from __future__ import annotations

import pytest
from pool_lab import PoolLab


def test_nobody_is_slow_when_all_are_new() -> None:
    lab = PoolLab("a", "b", slow_start=10.0)
    assert set(lab.states().values()) == {"ready"}
    assert lab.timers.next_at == float("inf")


def test_r7_the_share_of_a_newcomer_follows_the_formula() -> None:
    lab = PoolLab("a", "b", "c", slow_start=10.0)
    lab.list("a", "b", "c", "d")
    assert lab.states()["d"] == "warming"
    for second in range(10):
        lab.wait(0.5)
        # 8,000 picks: rounding of the schedule is below a hundredth.
        share = lab.calls(8000)["d"] / 8000
        weight = max(0.1, (second + 0.5) / 10)
        assert share == pytest.approx(weight / (3 + weight), rel=0.1)
        lab.wait(0.5)
    assert lab.states()["d"] == "ready"
    assert lab.calls(40)["d"] == 10


def test_who_comes_back_comes_slowly() -> None:
    lab = PoolLab("a", "b", slow_start=10.0)
    lab.dead = {"a"}
    lab.calls(8)
    lab.wait(5.0)
    lab.dead.clear()
    assert lab.call() == "a"
    assert lab.states()["a"] == "warming"
    assert lab.calls(1100)["a"] == pytest.approx(100, abs=5)
    lab.wait(10.0)
    assert lab.states()["a"] == "ready"
    assert lab.calls(100)["a"] == 50


def test_a_fleet_that_is_replaced_takes_over_at_once() -> None:
    lab = PoolLab("a", "b", "c", slow_start=10.0)
    lab.list("c", "d", "e")
    assert set(lab.states().values()) == {"ready"}


def test_who_was_drained_comes_slowly() -> None:
    lab = PoolLab("a", "b", "c:0", slow_start=10.0)
    lab.list("a", "b", "c:1")
    assert lab.states()["c"] == "warming"


def test_a_list_that_says_the_same_begins_nothing_anew() -> None:
    lab = PoolLab("a", "b", slow_start=10.0)
    lab.list("a", "b", "c")
    lab.wait(9.0)
    lab.list("b", "c", "a")
    lab.wait(1.0)
    assert lab.states()["c"] == "ready"


def test_an_end_that_comes_while_a_picker_is_built_is_seen_all_the_same() -> None:
    # When the next step is looked for, there is none any more.
    lab = PoolLab("a", "b", slow_start=10.0)
    lab.list("a", "b", "c")

    class Slow(list[tuple[int, int]]):
        def append(self, change: tuple[int, int]) -> None:
            lab.clock.now = 11.0

    lab.changes = Slow()
    lab.clock.now = 5.0
    lab.timers.run_due()
    assert lab.states()["c"] == "ready"
