"""Keys, repeated attempts, clients that are replaced, servers that warm up: each does what its page says."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from directlane.balancers.consistent_hash import ConsistentHash
from directlane.balancers.least_loaded import LeastLoaded
from directlane.balancers.random import WeightedRandom
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.simulation import (
    BlackHole,
    ClientDeploy,
    ConstantWork,
    FastFailure,
    Poisson,
    Recorded,
    Scenario,
    Server,
    Slow,
    Steady,
    UniformKeys,
    WarmUp,
    ZipfKeys,
    simulate,
)


def test_uniform_keys_are_alike() -> None:
    # 10,000 draws of 10 keys, seed 1: 1,000 each, with a standard deviation of 30.
    random = Random(1)
    counts = Counter(UniformKeys(10).draw(random) for _ in range(10_000))
    assert len(counts) == 10
    assert all(abs(count - 1000) < 150 for count in counts.values())


def test_zipf_keys_have_the_shares_of_their_ranks() -> None:
    # Exponent 1, 3 keys: 6/11, 3/11, 2/11. 11,000 draws, seed 1: standard deviations are about 50.
    random = Random(1)
    counts = Counter(ZipfKeys(3, 1.0).draw(random) for _ in range(11_000))
    for rank, share in enumerate((6, 3, 2)):
        assert counts[b"key %d" % rank] == pytest.approx(share * 1000, abs=250)


def test_a_balancer_that_looks_at_keys_keeps_them_together() -> None:
    # 5 open calls per endpoint: with the bound, 84% of the picks are at home (measured in the tests of the balancer),
    # and two in a row with a chance of about 0.84²; without it, all.
    servers = [Server(f"s{n}", slots=8) for n in range(10)]
    keyed = Scenario(servers, Poisson(50.0, 5_000), clients=1, keys=UniformKeys(100))
    assert simulate(keyed, ConsistentHash(bound="off")).kept == 1.0
    assert simulate(keyed, ConsistentHash()).kept > 0.6
    assert simulate(keyed, WeightedRandom()).kept == pytest.approx(0.1, abs=0.02)  # one of ten, by chance


def test_keys_change_nothing_for_those_who_do_not_look() -> None:
    servers = [Server("a"), Server("b")]
    without, with_keys = (
        simulate(Scenario(servers, Poisson(1.0, 500), keys=keys), LeastLoaded()) for keys in (None, ZipfKeys())
    )
    assert without.latencies == with_keys.latencies
    assert math.isnan(without.kept)


def test_a_failed_attempt_is_made_elsewhere() -> None:
    servers = [Server("ill", faults=[FastFailure(after=0.5)]), Server("well")]
    scenario = Scenario(servers, Steady(0.5, 10, ConstantWork()), clients=1, warm_up=0, attempts=2)
    result = simulate(scenario, WeightedRoundRobin())
    assert (result.answered, result.failed, result.attempts) == (10, 0, 15)
    assert set(result.latencies) == {1.0, 1.5}  # the time of the failed attempt is part of the call's
    assert result.servers["ill"].failed == 5


def test_no_endpoint_is_tried_twice() -> None:
    servers = [Server(name, faults=[FastFailure()]) for name in "abc"]
    result = simulate(Scenario(servers, Steady(1.0, 10), warm_up=0, attempts=9), LeastLoaded())
    assert (result.failed, result.attempts) == (10, 30)


def test_the_timeout_is_that_of_an_attempt() -> None:
    servers = [Server("hole", faults=[BlackHole()]), Server("well")]
    calls = [(0.0, 1.0), (10.0, 1.0)]
    scenario = Scenario(servers, Recorded(calls), clients=1, timeout=3.0, warm_up=0, attempts=2)
    assert sorted(simulate(scenario, WeightedRoundRobin()).latencies) == [1.0, 4.0]


def test_a_new_client_has_to_find_out_again() -> None:
    # Fast failures of one server: a client learns once. With 20 deploys of 5 clients, each pays again.
    servers = [Server("ill", slots=8, faults=[FastFailure()]), *(Server(f"s{n}", slots=8) for n in range(9))]
    deploys = [ClientDeploy(start=10.0 * number, pause=1.0) for number in range(1, 21)]
    still, moving = (
        simulate(Scenario(servers, Poisson(20.0, 5_000), clients=5, deploys=some), LeastLoaded())
        for some in ((), deploys)
    )
    assert moving.failed > 2 * still.failed
    assert moving.open_at_end == 0


def test_a_server_warms_up() -> None:
    # Half speed at second 10, full speed at 20; a call keeps the speed it began with.
    server = Server("only", faults=[WarmUp(seconds=10.0, factor=0.5, start=10.0)])
    calls = [(0.0, 1.0), (10.0, 1.0), (15.0, 1.0), (20.0, 1.0)]
    result = simulate(Scenario([server], Recorded(calls), warm_up=0), LeastLoaded())
    assert list(result.latencies) == pytest.approx([1.0, 1.0, 1 / 0.75, 2.0])


def test_of_two_faults_the_first_counts() -> None:
    server = Server("only", faults=[Slow(0.5), WarmUp(seconds=10.0)])
    assert list(simulate(Scenario([server], Recorded([(0.0, 1.0)]), warm_up=0), LeastLoaded()).latencies) == [2.0]


def test_fair_shares_follow_the_list() -> None:
    # "late" is listed for the second half of the calls, with a third of the weight then.
    servers = [Server("early", weight=2), Server("late", weight=1, joins_at=50.0)]
    result = simulate(Scenario(servers, Steady(1.0, 100, ConstantWork(0.5)), clients=1, warm_up=0), LeastLoaded())
    fair = {name: server.fair_share for name, server in result.servers.items()}
    assert fair == pytest.approx({"early": 0.5 + 0.5 * 2 / 3, "late": 0.5 / 3})
    # Nothing is ever open when a call comes, so the heavier one gets them all.
    assert result.worst_deviation == 1.0


def test_turns_are_fair() -> None:
    servers = [Server("a", weight=3), Server("b", weight=1)]
    scenario = Scenario(servers, Steady(1.0, 100), clients=1, warm_up=0)
    assert simulate(scenario, WeightedRoundRobin()).worst_deviation == 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: UniformKeys(0), "at least one key"),
        (lambda: ZipfKeys(0), "at least one key"),
        (lambda: ZipfKeys(10, -1), "exponent must be 0 or more"),
        (lambda: ZipfKeys(10, math.nan), "exponent must be 0 or more"),
        (lambda: WarmUp(0), "more than 0 seconds"),
        (lambda: WarmUp(10, factor=0), "above 0 and 1 at most"),
        (lambda: WarmUp(10, factor=1.5), "above 0 and 1 at most"),
        (lambda: ClientDeploy(-1), "starts at 0 or later"),
        (lambda: ClientDeploy(1, pause=math.nan), "pause of 0 or more"),
        (lambda: Scenario([Server("a")], Poisson(1), attempts=0), "needs an attempt"),
    ],
)
def test_what_cannot_be_run_is_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
