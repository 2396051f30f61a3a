"""Reports of servers in `least_loaded`: what is foreign, how it fades, who asks, and garbage."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest
from clock_lab import VirtualClock
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from directlane.balancers.least_loaded import LeastLoaded
from directlane.balancers.least_loaded_reports import foreign_loads
from directlane.core.endpoint import Endpoint
from directlane.core.errors import Phase
from directlane.core.interfaces.balancer import ANY, PickInfo
from directlane.core.load_report import LoadReport
from directlane.core.message import Reply
from directlane.core.outcome import FAIL, OK, Outcome, Verdict, back_off
from directlane.core.pool.pool import Pool
from directlane.core.pool.statistics import EndpointStats, Lease

NAMES = ("num_requests_running", "num_requests_waiting")
REPORTS = LeastLoaded(reports="orca", report_fade=10.0)


def _pool(balancer: LeastLoaded, clock: VirtualClock, weights: list[int]) -> Pool[None]:
    pool: Pool[None] = Pool(balancer, lambda endpoint: None, clock, Random(1))
    pool.update(Endpoint("10.0.0.1", 80, id=f"e{place}", weight=weight) for place, weight in enumerate(weights))
    return pool


def _says(waiting: object, content: bytes = b"x", status: int = 200) -> Outcome:
    value = f"TEXT named_metrics.num_requests_waiting={waiting}"
    return Outcome(Phase.DONE, 1.0, Reply(status, (("endpoint-load-metrics", value),), content))


def _counts(pool: Pool[None], picks: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    for _ in range(picks):
        member = pool.pick(ANY)
        assert member is not None
        counts[member.endpoint.id] += 1
    return counts


def _stats(clock: VirtualClock, depth: float | None) -> EndpointStats:
    stats = EndpointStats(clock, takes_reports=True)
    if depth is not None:
        stats.take_report(LoadReport(named={"num_requests_running": depth}))
    return stats


class TestStatistics:
    def test_a_report_is_kept_with_its_time_and_the_open_calls(self) -> None:
        clock = VirtualClock(0.0)
        stats = EndpointStats(clock, takes_reports=True)
        leases = [Lease(stats, 0.0) for _ in range(3)]
        clock.now = 7.0
        stats.record(_says(4), OK)
        assert stats.report is not None
        assert (stats.report.at, stats.report.load.named) == (7.0, {"num_requests_waiting": 4.0})
        # The call whose answer it came with is over at the server. A stream has just begun there.
        assert stats.report.open_calls == 2
        stats.record(_says(4, content=b""), OK)
        assert stats.report.open_calls == 3
        for lease in leases:
            lease.release()

    @pytest.mark.parametrize("verdict", [FAIL, back_off(1.0)])
    def test_a_refusal_says_how_busy_it_is_as_well(self, verdict: Verdict) -> None:
        stats = EndpointStats(takes_reports=True)
        stats.record(_says(9, status=503), verdict)
        assert stats.report is not None

    @pytest.mark.parametrize("value", ["NaN", "-3", "inf", "much"])
    def test_garbage_leaves_the_last_report_alone(self, value: str) -> None:
        stats = EndpointStats(takes_reports=True)
        stats.record(_says(1), OK)
        before = stats.report
        stats.record(_says(value), OK)
        assert stats.report is before is not None

    def test_who_does_not_ask_keeps_none(self) -> None:
        clock = VirtualClock(0.0)
        pool = _pool(LeastLoaded(), clock, [1])
        member = pool.pick(ANY)
        assert member is not None
        member.load.record(_says(1), OK)
        assert member.load.report is None


class TestForeignLoad:
    def test_our_own_calls_are_not_foreign(self) -> None:
        clock = VirtualClock(0.0)
        stats = EndpointStats(clock, takes_reports=True)
        leases = [Lease(stats, 0.0) for _ in range(3)]
        stats.take_report(LoadReport(named={"num_requests_running": 2.0, "num_requests_waiting": 6.0}))
        assert foreign_loads([(stats, 1.0)], NAMES, 1.0, 0.0) == [5.0]
        stats.take_report(LoadReport(named={"num_requests_running": 2.0}))  # one of ours had not reached it yet
        assert foreign_loads([(stats, 1.0)], NAMES, 1.0, 0.0) == [0.0]
        del leases

    def test_it_fades_to_the_mean_and_who_says_nothing_is_there_already(self) -> None:
        clock = VirtualClock(0.0)
        rows = [(_stats(clock, depth), 1.0) for depth in (8.0, 2.0, None)]
        assert foreign_loads(rows, NAMES, 10.0, 0.0) == [8.0, 2.0, 5.0]
        assert foreign_loads(rows, NAMES, 10.0, 10.0) == pytest.approx([5 + 3 / math.e, 5 - 3 / math.e, 5])
        assert foreign_loads(rows, NAMES, 10.0, 1e9) == [5.0, 5.0, 5.0]

    def test_a_heavy_server_may_have_more(self) -> None:
        clock = VirtualClock(0.0)
        rows = [(_stats(clock, 8.0), 4.0), (_stats(clock, 2.0), 1.0)]
        assert foreign_loads(rows, NAMES, 10.0, 0.0) == [2.0, 2.0]

    def test_nobody_has_sent_one(self) -> None:
        assert foreign_loads([], NAMES, 1.0, 0.0) is None
        assert foreign_loads([(_stats(VirtualClock(0.0), None), 1.0)], NAMES, 1.0, 0.0) is None
        stats = EndpointStats(takes_reports=True)
        stats.take_report(LoadReport({"cpu_utilization": 0.5}))
        assert foreign_loads([(stats, 1.0)], NAMES, 1.0, 0.0) is None

    def test_the_pace_is_three_average_latencies(self) -> None:
        clock = VirtualClock(0.0)
        rows: list[tuple[EndpointStats, float]] = []
        for depth in (6.0, 0.0):
            stats = EndpointStats(clock, 100.0, takes_reports=True)
            stats.record(_says(depth), OK)  # took 1 s
            rows.append((stats, 1.0))
        assert foreign_loads(rows, NAMES, None, 3.0) == pytest.approx([3 + 3 / math.e, 3 - 3 / math.e])


@pytest.mark.parametrize("full_scan", [64, 1])
def test_calls_go_where_others_have_none(full_scan: int) -> None:
    clock = VirtualClock(0.0)
    balancer = LeastLoaded(reports="orca", report_fade=10.0, full_scan=full_scan, samples=3)
    pool = _pool(balancer, clock, [1, 1, 1])
    for member, depth in zip(pool.members(), (5, 0, 5), strict=True):
        member.load.record(_says(depth), OK)
    assert _counts(pool, 50) == {"e1": 50}
    clock.now = 1e6  # long ago: all are equal again
    assert min(_counts(pool, 300)[name] for name in ("e0", "e1", "e2")) > 60


def test_old_reports_do_not_change_what_weights_say() -> None:
    clock = VirtualClock(0.0)
    pool = _pool(REPORTS, clock, [1, 3])
    for member in pool.members():
        member.load.record(_says(1000), OK)
    clock.now = 1e6
    light, heavy = pool.members()
    leases = [Lease(heavy.load, 0.0) for _ in range(3)]  # (3 + 1) / 3 against (0 + 1) / 1
    assert pool.pick(ANY) is light
    leases.pop().release()  # a draw between equals
    leases.pop().release()
    assert pool.pick(ANY) is heavy


def test_an_excluded_one_stays_out_whatever_is_reported() -> None:
    pool = _pool(REPORTS, VirtualClock(0.0), [1, 1])
    first, second = pool.members()
    second.load.record(_says(1e18), OK)
    assert pool.pick(PickInfo(excluded={"e0"})) is second
    assert pool.pick(PickInfo(excluded={"e0", "e1"})) is None
    assert pool.pick(ANY) is first


def test_the_statistics_are_asked_for_what_is_needed_only() -> None:
    assert not LeastLoaded().wants_reports()
    assert LeastLoaded().latency_memory() is None
    assert LeastLoaded(reports="orca").wants_reports()
    assert LeastLoaded(reports="orca").latency_memory() == 100.0
    assert REPORTS.latency_memory() is None


@pytest.mark.parametrize(
    "settings", [{"reports": "csv"}, {"report_depth": []}, {"report_fade": 0}, {"report_fade": float("nan")}]
)
def test_settings_out_of_range_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LeastLoaded.model_validate(settings)


@given(st.lists(st.tuples(st.floats(0, 1e18), st.floats(0, 1e9)), min_size=1, max_size=8), st.floats(0, 1e12))
def test_any_reports_give_finite_loads(said: list[tuple[float, float]], later: float) -> None:
    clock = VirtualClock(0.0)
    rows: list[tuple[EndpointStats, float]] = []
    for depth, at in said:
        clock.now = at
        rows.append((_stats(clock, depth), 0.001))
    loads = foreign_loads(rows, NAMES, 1.0, 1e9 + later)
    assert loads is not None
    assert all(0 <= load < math.inf for load in loads)
