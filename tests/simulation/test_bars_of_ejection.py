"""What ejection must reach in the simulator, in numbers. Seeds are fixed."""

from __future__ import annotations

import pytest

from directlane.balancers.consistent_hash import ConsistentHash
from directlane.balancers.least_loaded import LeastLoaded
from directlane.balancers.random import WeightedRandom
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.config.ejection import EjectionSettings
from directlane.core.interfaces.balancer import Balancer
from directlane.core.simulation import BlackHole, FastFailure, Fault, Poisson, Scenario, Server, simulate

BALANCERS: list[Balancer] = [WeightedRoundRobin(), WeightedRandom(), LeastLoaded(), ConsistentHash()]


def storm(fault: Fault, *, calls: int = 60_000, slow_start: float = 10.0) -> Scenario:
    """Ten servers, one of them broken; 40 calls a second, 4 clients, a timeout of 30 s. All calls are counted."""
    servers = [Server("bad", slots=8, faults=[fault]), *(Server(f"good{place}", slots=8) for place in range(9))]
    return Scenario(
        servers,
        Poisson(40.0, calls),
        timeout=30.0,
        warm_up=0,
        ejection=EjectionSettings(),
        slow_start=slow_start,
    )


@pytest.mark.parametrize("balancer", BALANCERS, ids=lambda each: each.kind)
def test_l6_fast_failure_with_ejection(balancer: Balancer) -> None:
    # n = 60,000, 25 minutes. Each fair share would be 10%.
    result = simulate(storm(FastFailure()), balancer, seed=1)
    assert result.shares["bad"] <= 0.002
    assert result.failed == result.servers["bad"].picks


def test_l6_black_hole_with_ejection() -> None:
    # Open calls hold least_loaded off before the first timeout is over.
    result = simulate(storm(BlackHole()), LeastLoaded(), seed=1)
    assert result.shares["bad"] <= 0.005


@pytest.mark.parametrize("balancer", BALANCERS[:2], ids=lambda each: each.kind)
def test_a_black_hole_costs_a_balancer_without_eyes_what_comes_in_one_timeout(balancer: Balancer) -> None:
    # For 30 s nobody can know: 120 of 60,000 calls. Then a probe now and then, each of which takes 30 s.
    result = simulate(storm(BlackHole()), balancer, seed=1)
    assert result.servers["bad"].picks <= 1.5 * 120
    without = Scenario(**{**_fields(storm(BlackHole())), "ejection": EjectionSettings(enabled=False)})  # type: ignore[arg-type]  # its own fields
    assert simulate(without, balancer, seed=1).servers["bad"].picks > 5000


def _fields(scenario: Scenario) -> dict[str, object]:
    return {name: getattr(scenario, name) for name in Scenario.__dataclass_fields__}


@pytest.mark.parametrize("balancer", BALANCERS, ids=lambda each: each.kind)
def test_a_server_that_is_well_again_gets_its_share_back(balancer: Balancer) -> None:
    # It fails for 20 s. The last probe that fails can be at 20 s, after some 15 s out: it is back by 40 s and has its
    # whole share 10 s later. Counted from 60 s on; 4,800 calls, a standard deviation of the share is 4% of itself.
    servers = [
        Server("ill", slots=8, faults=[FastFailure(end=20.0)]),
        *(Server(f"good{place}", slots=8) for place in range(9)),
    ]
    scenario = Scenario(
        servers,
        Poisson(40.0, 7200),
        timeout=30.0,
        warm_up=1 / 3,
        ejection=EjectionSettings(),
        slow_start=10.0,
    )
    assert simulate(scenario, balancer, seed=1).shares["ill"] == pytest.approx(0.1, rel=0.2)


def test_where_all_fail_calls_go_on_to_all_that_may_not_be_left_out() -> None:
    servers = [Server(f"s{place}", faults=[FastFailure()]) for place in range(4)]
    scenario = Scenario(servers, Poisson(10.0, 2000), timeout=30.0, warm_up=0, ejection=EjectionSettings())
    result = simulate(scenario, WeightedRoundRobin(), seed=1)
    assert (result.nobody, result.failed) == (0, 2000)


@pytest.mark.parametrize("balancer", BALANCERS, ids=lambda each: each.kind)
def test_healthy_fleets_are_left_alone(balancer: Balancer) -> None:
    scenario = storm(FastFailure(start=1e6), calls=4000)
    plain = Scenario(scenario.servers, scenario.arrivals, timeout=30.0, warm_up=0)
    assert simulate(scenario, balancer, seed=1) == simulate(plain, balancer, seed=1)
