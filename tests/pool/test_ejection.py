"""Ejection in a pool: who gets calls, who finds out, who comes back, and what is said about it. In virtual time."""

from __future__ import annotations

import gc
import logging
from collections import Counter
from itertools import pairwise

import pytest
from pool_lab import Member, PoolLab

from directlane import PickInfo
from directlane.balancers.consistent_hash import ConsistentHash
from directlane.balancers.least_loaded import LeastLoaded
from directlane.balancers.random import WeightedRandom
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.config.ejection import EjectionSettings
from directlane.core.interfaces.balancer import Balancer

EVERY_BALANCER: list[Balancer] = [WeightedRoundRobin(), WeightedRandom(), LeastLoaded(), ConsistentHash()]


@pytest.mark.parametrize("balancer", EVERY_BALANCER, ids=lambda each: each.kind)
def test_r1_one_of_two_dead_for_a_minute_is_touched_twice_before_it_is_out(balancer: Balancer) -> None:
    lab = PoolLab("a", "b", balancer=balancer)
    lab.dead = {"a"}
    touched = 0
    while lab.states()["a"] == "ready" and lab.clock.now < 60:
        touched += lab.call() == "a"
        lab.wait(4.0)
    assert lab.reason("a") == "2 connections in a row could not be opened"
    assert touched == 2
    began, probes = lab.clock.now, 0
    while lab.clock.now < 60:
        probes += lab.call() == "a"
        lab.wait(4.0)
    # Out for 5, 10, 20 and 40 s at the most: one probe after each.
    assert probes <= 4, began


def test_who_is_out_leaves_its_share_to_all_by_weight() -> None:
    lab = PoolLab("a:1", "b:1", "c:2")
    lab.dead = {"a"}
    lab.calls(12)
    assert lab.states() == {"a": "ejected", "b": "ready", "c": "ready"}
    assert lab.calls(30) == {"b": 10, "c": 20}


def out(*names: str, seed: int = 1) -> PoolLab:
    """A pool of which one is ejected."""
    lab = PoolLab(*names, seed=seed)
    lab.dead = {"a"}
    while lab.states()["a"] != "ejected":
        lab.call()
    return lab


def due(*names: str) -> PoolLab:
    """A pool of which one waits for its probe."""
    lab = out(*names)
    lab.wait(5.0)
    assert lab.states()["a"] == "probing"
    return lab


def test_one_call_finds_out_and_brings_it_back() -> None:
    lab = due("a", "b", "c")
    lab.dead.clear()
    assert lab.call() == "a", "the next call is the probe"
    assert lab.states()["a"] == "ready"
    assert lab.calls(30) == {"a": 10, "b": 10, "c": 10}


def test_nobody_else_asks_while_one_finds_out() -> None:
    lab = due("a", "b", "c")
    probe = lab.pick()
    assert probe.endpoint.id == "a"
    assert not lab.pool.has_probe
    assert set(lab.calls(20)) == {"b", "c"}
    lab.dead.clear()
    assert lab.end(probe)
    assert set(lab.calls(20)) == {"a", "b", "c"}


def test_a_probe_that_fails_sends_it_out_for_twice_as_long() -> None:
    lab = due("a", "b", "c")
    moments: list[float] = []
    while lab.clock.now < 700:
        if lab.call() == "a":
            moments.append(lab.clock.now)
        lab.wait(0.25)
    gaps = [after - before for before, after in pairwise(moments)]
    # Doubling from 10 s to 300 s, by up to a fifth shorter; a call comes every quarter of a second.
    for gap, longest in zip(gaps, [10, 20, 40, 80, 160, 300], strict=False):
        assert 0.8 * longest - 0.25 <= gap <= longest + 0.5
    assert len(gaps) >= 5
    assert len({round(gap / longest, 3) for gap, longest in zip(gaps, [10, 20, 40, 80, 160], strict=False)}) > 1


def test_clients_do_not_come_back_all_at_once() -> None:
    returns = {round(out("a", "b", seed=seed).timers.next_at, 3) for seed in range(20)}
    assert len(returns) == 20
    assert all(4.0 <= moment <= 5.0 for moment in returns)


@pytest.mark.parametrize("way", ["cancelled", "vanished"])
def test_a_probe_whose_caller_gives_up_goes_to_the_next(way: str) -> None:
    lab = due("a", "b")
    probe: Member | None = lab.pick()
    assert probe is not None
    assert set(lab.calls(4)) == {"b"}
    if way == "cancelled":
        probe.load.record_cancelled()
    probe = None
    gc.collect()
    lab.dead.clear()
    assert lab.call() == "a"
    assert lab.states()["a"] == "ready"


def test_a_probe_counts_in_the_statistics_of_its_endpoint() -> None:
    lab = due("a", "b")
    [figures] = [member.load.figures() for member in lab.pool.members() if member.endpoint.id == "a"]
    lab.call()
    [after] = [member.load.figures() for member in lab.pool.members() if member.endpoint.id == "a"]
    assert (after.attempts, after.errors, after.open_calls) == (figures.attempts + 1, figures.errors + 1, 0)


def test_a_call_that_must_not_go_there_is_no_probe() -> None:
    lab = due("a", "b")
    for _ in range(30):
        assert lab.call(PickInfo(excluded=("a",))) == "b"
    assert lab.pool.has_probe


def test_a_call_that_failed_elsewhere_leaves_the_probe_to_others_but_not_for_ever() -> None:
    lab = due("a", "b", "c")
    asked = [lab.call(PickInfo(excluded=("b",))) for _ in range(12)]
    assert asked[:10] == ["c"] * 10
    assert "a" in asked


def test_a_call_with_nobody_else_to_ask_takes_the_probe() -> None:
    lab = due("a", "b")
    assert lab.call(PickInfo(excluded=("b",))) == "a"


def test_never_the_last_one() -> None:
    lab = PoolLab("a")
    lab.dead = {"a"}
    assert lab.calls(20) == {"a": 20}
    assert lab.states() == {"a": "failing"}
    assert (lab.pool.healthy, lab.pool.size) == (0, 1)


def test_never_more_than_half_and_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "directlane.pool")
    lab = PoolLab("a", "b", "c")
    lab.dead = {"a", "b", "c"}
    assert sum(lab.calls(60).values()) == 60
    assert Counter(lab.states().values()) == {"ejected": 1, "failing": 2}
    assert (lab.pool.healthy, lab.pool.size) == (0, 3)
    texts = [record.getMessage() for record in caplog.records]
    assert len([text for text in texts if "is ejected for" in text]) == 1
    kept = [text for text in texts if "is not ejected, because too many fail (1 of 3 endpoints are out)" in text]
    assert len(kept) == 2
    assert len(texts) == 3


def test_who_fails_and_stays_is_well_again_by_its_calls() -> None:
    lab = PoolLab("a", "b")
    lab.dead = {"a", "b"}
    lab.calls(10)
    [stays] = [who for who, state in lab.states().items() if state == "failing"]
    lab.dead.clear()
    lab.calls(40)
    assert lab.states()[stays] == "ready", "without a probe: the ratio of its calls is good again"


def test_when_one_comes_back_another_that_fails_may_go() -> None:
    lab = PoolLab("a", "b", "c", "d", max_share=0.25)
    lab.dead = {"a"}
    lab.calls(12)
    lab.dead = {"a", "b"}
    lab.calls(12)
    assert lab.states() == {"a": "ejected", "b": "failing", "c": "ready", "d": "ready"}
    lab.dead = {"b"}
    lab.wait(5.0)
    for _ in range(20):
        lab.call()
    assert lab.states() == {"a": "ready", "b": "ejected", "c": "ready", "d": "ready"}


def test_what_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "directlane.pool")
    lab = out("a", "b")
    lab.wait(5.0)
    lab.call()
    lab.wait(10.0)
    lab.dead.clear()
    lab.call()
    first, second, third = (record.getMessage() for record in caplog.records)
    assert first.startswith("r: a is ejected for 4.")
    assert first.endswith("s: 2 connections in a row could not be opened")
    assert second.startswith("r: a failed once more; it is asked again in ")
    assert third == "r: a is well again after 15s"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [("dead", "2 connections in a row could not be opened"), ("ill", "5 failures in a row")],
)
def test_reasons(broken: str, reason: str) -> None:
    lab = PoolLab("a", "b", "c")
    getattr(lab, broken).add("a")
    lab.calls(60)
    assert lab.reason("a") == reason


def test_an_endpoint_that_fails_now_and_then_is_out_by_its_ratio() -> None:
    lab = PoolLab("a", "b")
    for number in range(40):
        lab.ill = {"a"} if number % 4 < 2 else set()
        lab.call()
    reason = lab.reason("a")
    assert reason is not None
    assert "went well, less than 80%" in reason


def test_a_new_list_forgets_no_ejection() -> None:
    lab = out("a", "b", "c")
    lab.list("c", "a:7", "b", "d")
    assert lab.states()["a"] == "ejected"
    assert "a" not in lab.calls(40)
    lab.wait(5.0)
    assert lab.states()["a"] == "probing"


def test_who_left_the_list_and_is_listed_again_is_well() -> None:
    lab = out("a", "b", "c")
    lab.list("b", "c")
    lab.wait(100.0)
    lab.list("a", "b", "c")
    assert lab.states()["a"] == "ready"
    assert lab.pool.healthy == 3


def test_a_probe_of_one_that_left_is_dropped() -> None:
    lab = due("a", "b", "c")
    under_way = lab.pick()
    lab.list("b", "c")
    lab.end(under_way)
    assert set(lab.calls(9)) == {"b", "c"}
    lab.list("a", "b", "c")
    assert lab.states()["a"] == "ready"
    lab = due("a", "b", "c")
    lab.list("b", "c")
    assert set(lab.calls(9)) == {"b", "c"}
    assert not lab.pool.has_probe


def test_a_shorter_list_calls_back_who_may_not_be_out_any_more(caplog: pytest.LogCaptureFixture) -> None:
    lab = PoolLab("a", "b", "c", "d")
    lab.dead = {"a", "b"}
    lab.calls(20)
    assert Counter(lab.states().values()) == {"ejected": 2, "ready": 2}
    lab.list("a", "b", "c")
    assert Counter(lab.states().values()) == {"ejected": 1, "failing": 1, "ready": 1}
    assert "gets calls again, because too many fail" in caplog.text


def test_late_failures_of_old_calls_do_not_count_after_the_return() -> None:
    lab = PoolLab("a", "b")
    stuck = [lab.pick() for _ in range(20)]
    stuck = [member for member in stuck if member.endpoint.id == "a"]
    lab.dead = {"a"}
    lab.calls(8)
    lab.wait(5.0)
    lab.dead.clear()
    lab.call()
    assert lab.states()["a"] == "ready"
    lab.wait(2.0)
    lab.ill = {"a"}
    for member in stuck:
        lab.end(member, elapsed=lab.clock.now)
    assert lab.states()["a"] == "ready", "they began before it was out"


def test_a_broken_stream_counts() -> None:
    lab = PoolLab("a", "b", success_ratio=0)
    for _ in range(20):
        member = lab.pick()
        lab.end(member)
        if member.endpoint.id == "a":
            member.load.record_broken(ConnectionError("cut off"))
    assert lab.reason("a") == "5 failures in a row"


def test_busy_is_not_ill() -> None:
    from directlane import Outcome, Phase, Reply
    from directlane.core.outcome import back_off

    lab = PoolLab("a", "b")
    for _ in range(50):
        member = lab.pick()
        member.load.record(Outcome(Phase.DONE, 0.0, Reply(429)), back_off(1.0))
    assert lab.states() == {"a": "ready", "b": "ready"}


def test_it_can_be_turned_off() -> None:
    lab = PoolLab("a", "b", enabled=False)
    lab.dead = {"a"}
    assert lab.calls(40) == {"a": 20, "b": 20}


def test_the_slow_one_goes_if_that_is_wanted() -> None:
    lab = PoolLab("a", "b", "c", latency_factor=5)
    for _ in range(60):
        member = lab.pick()
        lab.end(member, elapsed=1.0 if member.endpoint.id == "a" else 0.1)
    assert lab.states()["a"] == "ready", "nobody has looked yet"
    lab.wait(5.0)
    assert lab.reason("a") == "answers take 1 s, 10.0 times as long as those of the others"
    lab.wait(5.0)
    assert lab.call() == "a"
    assert lab.states()["a"] == "ready", "back until it has shown that nothing has changed"


def test_changes_are_told() -> None:
    lab = due("a", "b", "c")
    assert lab.changes[0] == (3, 3)
    assert (2, 3) in lab.changes
    lab.dead.clear()
    lab.call()
    assert lab.changes[-1] == (3, 3)
    lab.list("a", "b:0")
    assert lab.changes[-1] == (1, 1)
    assert lab.pool.listed == 2


def test_a_closed_pool_does_nothing_any_more() -> None:
    lab = out("a", "b")
    lab.pool.close()
    lab.wait(1000.0)
    assert lab.states()["a"] == "ejected"
    assert lab.timers.next_at == float("inf")


def test_a_machine_without_threads_ejects_nobody_and_calls_go_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = PoolLab("a", "b")

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(lab.timers, "call_soon", refuse)
    lab.dead = {"a"}
    assert lab.calls(20) == {"a": 10, "b": 10}
    assert lab.states()["a"] == "ready"
    assert "nobody can be ejected" in caplog.text


def test_settings_are_those_of_the_sheet() -> None:
    defaults = EjectionSettings()
    assert (defaults.consecutive_failures, defaults.success_ratio, defaults.window, defaults.min_calls) == (
        5,
        0.8,
        30,
        5,
    )
    assert (defaults.base_time, defaults.max_time, defaults.max_share) == (5, 300, 0.5)
