"""The scenarios on the shelf with every built-in balancer: they run, they repeat, and some claims of the docs hold."""

from __future__ import annotations

import math

import pytest

from directlane.balancers.consistent_hash import ConsistentHash
from directlane.balancers.least_loaded import LeastLoaded
from directlane.balancers.plugin import directlane_balancers
from directlane.balancers.random import WeightedRandom
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.interfaces.balancer import Balancer
from directlane.core.simulation import Recorded, SimulationResult, simulate
from directlane.core.simulation.stock import STOCK, stock_scenario

TURNS, DRAWS, LEAST, HASH = WeightedRoundRobin(), WeightedRandom(), LeastLoaded(), ConsistentHash()


def _run(name: str, balancer: Balancer, *, attempts: int = 1, calls: int = 6_000) -> SimulationResult:
    return simulate(stock_scenario(name, calls=calls, attempts=attempts), balancer, seed=1)


@pytest.mark.parametrize("balancer", [make() for make in directlane_balancers()], ids=lambda balancer: balancer.kind)
@pytest.mark.parametrize("name", STOCK)
def test_every_scenario_with_every_balancer(name: str, balancer: Balancer) -> None:
    first, again = (_run(name, balancer, calls=600) for _ in range(2))
    assert first == again
    assert first.answered + first.failed + first.nobody == first.calls == 540
    assert first.open_at_end == 0
    assert first.nobody == 0
    assert math.fsum(server.fair_share for server in first.servers.values()) == pytest.approx(1)
    if balancer.kind != "sticky":  # four clients use four servers
        # Whoever is listed gets calls: nothing that happens in a scenario is out of its time.
        assert all(server.picks for server in first.servers.values())


@pytest.mark.parametrize("name", STOCK)
def test_a_scenario_is_as_long_as_its_calls(name: str) -> None:
    # What happens in its course happens with recorded calls as well, be they few or slow.
    calls = [(40.0 * number, 0.1) for number in range(200)]
    servers = stock_scenario(name, recorded=Recorded(calls)).servers
    moments = [moment for server in servers for moment in (server.joins_at, server.leaves_at)]
    moments += [moment for server in servers for fault in server.faults for moment in (fault.start, fault.end)]
    assert all(moment < calls[-1][0] for moment in moments if moment < math.inf)


@pytest.mark.parametrize("name", ["one-slow", "slow-in-the-middle", "warm-up"])
def test_who_counts_open_calls_leaves_slow_servers_alone(name: str) -> None:
    # Turns give a slow server its full share, and a queue grows there; measured: at least 5 times the 99th percentile.
    assert _run(name, LEAST).p99 < 0.4 * _run(name, TURNS).p99


@pytest.mark.parametrize("name", ["equal", "heavy-tail", "shrink", "grow", "clients-deploy"])
def test_turns_are_better_than_draws_and_open_calls_better_than_turns(name: str) -> None:
    least, turns, draws = (_run(name, balancer).p99 for balancer in (LEAST, TURNS, DRAWS))
    assert least < 0.95 * turns < 0.95 * draws


def test_many_clients_know_too_little() -> None:
    # The page says that nobody wins here: least loaded and turns are within a fifth of each other.
    assert _run("many-clients", LEAST).p99 == pytest.approx(_run("many-clients", TURNS).p99, rel=0.2)


def test_turns_follow_a_list_that_changes_exactly() -> None:
    for name in ("servers-deploy-in-waves", "shrink", "grow"):
        assert _run(name, TURNS).worst_deviation < 0.1


def test_a_server_that_fails_draws_no_traffic_to_least_loaded() -> None:
    for name in ("fail-for-a-time", "fail-for-good", "fast-failure", "black-hole"):
        assert _run(name, LEAST).failed < 0.25 * _run(name, TURNS).failed


def test_a_server_that_fails_at_once_looks_idle_to_consistent_hash() -> None:
    # It counts open calls and no failures: worse than turns, as its page says.
    assert _run("fast-failure", HASH).failed > _run("fast-failure", TURNS).failed


@pytest.mark.parametrize("balancer", [TURNS, DRAWS, LEAST, HASH], ids=lambda balancer: balancer.kind)
@pytest.mark.parametrize("name", ["fail-for-a-time", "fail-for-good"])
def test_a_second_attempt_saves_every_call(name: str, balancer: Balancer) -> None:
    assert _run(name, balancer, calls=2_000).failed > 0
    assert _run(name, balancer, calls=2_000, attempts=2).failed == 0


@pytest.mark.parametrize("name", ["equal", "popular-keys", "clients-deploy", "many-clients"])
def test_keys_stay_with_consistent_hash_only(name: str) -> None:
    # 8 clients of one key must agree: what they know of it is the same.
    assert _run(name, HASH, calls=20_000).kept > 0.4
    for balancer in (TURNS, LEAST):
        assert _run(name, balancer).kept == pytest.approx(0.1, abs=0.05)
