"""Weights from reports in `weighted_round_robin`: the formula, when a report counts, and what odd ones do."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest
from clock_lab import VirtualClock
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.balancers.weighted_round_robin_reports import ReportRules, weight_of
from directlane.core.endpoint import Endpoint
from directlane.core.interfaces.balancer import ANY, BuildContext, Member, Picker
from directlane.core.load_report import LoadReport
from directlane.core.pool.pool import PoolMember
from directlane.core.pool.statistics import EndpointStats

RULES = ReportRules((), 1.0, 10.0, 180.0)
TELLING = WeightedRoundRobin(reports="orca")


class _Fleet:
    """Endpoints with reports, and the picker that a pool would have."""

    def __init__(self, *weights: float, balancer: WeightedRoundRobin = TELLING) -> None:
        self.clock = VirtualClock(0.0)
        self.balancer = balancer
        self.picker: Picker | None = None
        self.members = [
            PoolMember(Endpoint("10.0.0.1", 80, id=f"e{place}"), weight, EndpointStats(self.clock), None)
            for place, weight in enumerate(weights)
        ]

    def say(self, *reports: LoadReport | None) -> None:
        for member, report in zip(self.members, reports, strict=True):
            if report is not None:
                member.load.take_report(report)

    def shares(self) -> list[float]:
        """What a fresh picker gives to each, over a whole schedule or more."""
        members: list[Member] = list(self.members)
        self.picker = self.balancer.build(members, BuildContext(Random(1), self.clock, self.picker))
        counts: Counter[str] = Counter()
        for _ in range(5120):
            member = self.picker.pick(ANY)
            assert member is not None
            counts[member.endpoint.id] += 1
        return [counts[member.endpoint.id] / 5120 for member in self.members]


def _load(rps: float, cpu: float, eps: float = 0.0) -> LoadReport:
    return LoadReport({"rps_fractional": rps, "cpu_utilization": cpu, "eps": eps})


class TestFormula:
    @pytest.mark.parametrize(
        ("values", "named", "weight"),
        [
            ({"rps_fractional": 10.0, "cpu_utilization": 0.5}, {}, 20.0),
            ({"rps_fractional": 10.0, "cpu_utilization": 0.5, "eps": 5.0}, {}, 10.0),
            ({"rps_fractional": 10.0, "cpu_utilization": 0.5, "application_utilization": 0.25}, {}, 40.0),
            ({"rps_fractional": 10.0, "cpu_utilization": 0.5, "application_utilization": 0.0}, {}, 20.0),
            ({"rps_fractional": 10.0, "application_utilization": 0.25}, {"a": 0.1, "b": 0.5, "c": 0.9}, 20.0),
            ({"rps_fractional": 10.0, "cpu_utilization": 0.5}, {"a": 0.0}, 20.0),
            ({"rps_fractional": 10.0, "cpu_utilization": 2.5}, {}, 4.0),  # more than all is allowed
            ({"rps_fractional": 10.0, "cpu_utilization": 0.0}, {}, None),
            ({"rps_fractional": 0.0, "cpu_utilization": 0.5}, {}, None),
            ({"cpu_utilization": 0.5}, {}, None),
            ({"rps_fractional": 10.0}, {"c": 0.5}, None),  # not one of those that count
        ],
    )
    def test_calls_for_each_unit_of_load(
        self, values: dict[str, float], named: dict[str, float], weight: float | None
    ) -> None:
        rules = ReportRules(("a", "b"), 1.0, 10.0, 180.0)
        assert weight_of(LoadReport(values, named), rules) == weight

    @given(
        st.dictionaries(
            st.sampled_from(["rps_fractional", "eps", "cpu_utilization", "application_utilization"]),
            st.floats(0, allow_infinity=False),
        )
    )
    def test_any_report_gives_a_finite_weight_above_0_or_none(self, values: dict[str, float]) -> None:
        weight = weight_of(LoadReport(values), RULES)
        assert weight is None or 0 < weight < math.inf


class TestShares:
    def test_the_same_work_at_half_the_load_is_twice_the_share(self) -> None:
        fleet = _Fleet(1, 1)
        fleet.say(_load(10, 0.2), _load(10, 0.4))
        assert fleet.shares() == [0.5, 0.5]  # not yet: the first reports mislead
        fleet.clock.now = 10.0
        fleet.say(_load(10, 0.2), _load(10, 0.4))
        assert fleet.shares() == pytest.approx([2 / 3, 1 / 3], abs=0.005)

    def test_an_old_report_does_not_count_and_a_new_row_of_them_waits_again(self) -> None:
        fleet = _Fleet(1, 1)
        fleet.say(_load(10, 0.2), _load(10, 0.4))
        fleet.shares()
        fleet.clock.now = 179.0
        assert fleet.shares() == pytest.approx([2 / 3, 1 / 3], abs=0.005)
        fleet.clock.now = 180.0
        assert fleet.shares() == [0.5, 0.5]
        fleet.say(_load(10, 0.2), _load(10, 0.4))
        assert fleet.shares() == [0.5, 0.5]
        fleet.clock.now = 190.0
        assert fleet.shares() == pytest.approx([2 / 3, 1 / 3], abs=0.005)

    def test_without_two_reports_the_weights_of_the_list_hold(self) -> None:
        fleet = _Fleet(1, 3, balancer=WeightedRoundRobin(reports="orca", blackout=0.0))
        fleet.say(_load(10, 0.2), None)
        assert fleet.shares() == [0.25, 0.75]

    def test_who_does_not_report_gets_the_mean(self) -> None:
        fleet = _Fleet(1, 1, 1, balancer=WeightedRoundRobin(reports="orca", blackout=0.0))
        fleet.say(_load(10, 0.1), _load(10, 0.5), None)  # 100, 20, and their mean
        assert fleet.shares() == pytest.approx([100 / 180, 20 / 180, 60 / 180], abs=0.005)

    def test_no_report_takes_all_or_nothing(self) -> None:
        fleet = _Fleet(*[1.0] * 20, balancer=WeightedRoundRobin(reports="orca", blackout=0.0))
        fleet.say(_load(1e9, 1e-9), _load(1e-9, 1e9), *[_load(10, 0.5)] * 18)
        assert all(share > 0 for share in fleet.shares())

    def test_off_looks_at_no_report(self) -> None:
        fleet = _Fleet(1, 1, balancer=WeightedRoundRobin(blackout=0.0))
        fleet.say(_load(10, 0.1), _load(10, 0.5))
        assert fleet.shares() == [0.5, 0.5]


def test_the_pool_is_asked_for_a_new_picker_only_if_there_are_reports() -> None:
    assert WeightedRoundRobin().refresh_interval() is None
    assert not WeightedRoundRobin().wants_reports()
    assert TELLING.refresh_interval() == 1.0
    assert TELLING.wants_reports()


@pytest.mark.parametrize(
    "settings",
    [{"update_every": 0.05}, {"expiry": 0}, {"error_penalty": -1}, {"error_penalty": float("nan")}, {"blackout": -1}],
)
def test_settings_out_of_range_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WeightedRoundRobin.model_validate(settings)
