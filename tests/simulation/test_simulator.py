"""The simulator tells the truth: known queues have their known figures, and nothing is lost."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directlane.balancers.least_loaded import LeastLoaded
from directlane.balancers.random import WeightedRandom
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.interfaces.balancer import Balancer
from directlane.core.simulation import (
    Arrivals,
    BlackHole,
    ConstantWork,
    ExponentialWork,
    FastFailure,
    HeavyTail,
    Poisson,
    Recorded,
    Scenario,
    Server,
    Slow,
    Steady,
    Work,
    simulate,
)

BALANCERS: list[Balancer] = [WeightedRandom(), WeightedRoundRobin(), LeastLoaded(), LeastLoaded(full_scan=1)]


@pytest.mark.parametrize(
    ("work", "mean"),
    [
        # One server at load 0.5, by Pollaczek and Khinchine: 1 + 0.5 * (1 + cv²) / 2 / (1 - 0.5).
        (ExponentialWork(), 2.0),
        (ConstantWork(), 1.5),
        (HeavyTail(), 1 + 0.5 * (0.9 * 0.2**2 + 0.1 * 8.2**2)),
    ],
    ids=["exponential", "constant", "heavy tail"],
)
def test_one_queue_waits_as_theory_says(work: Work, mean: float) -> None:
    # 100,000 calls, seed 5: the mean of a queue's times is good to about 2%, with a heavy tail to 5%.
    scenario = Scenario([Server("only")], Poisson(0.5, 100_000, work))
    result = simulate(scenario, WeightedRandom(), seed=5)
    assert result.mean == pytest.approx(mean, rel=0.05)
    assert result.servers["only"].busy == pytest.approx(0.5, rel=0.05)
    assert result.servers["only"].mean_wait == pytest.approx(mean - 1, rel=0.1)


def test_two_slots_wait_as_theory_says() -> None:
    # Erlang C for two slots at load 0.8: waiting chance 0.711, mean wait 0.711 / (2 - 1.6). 100,000 calls, seed 5.
    result = simulate(Scenario([Server("only", slots=2)], Poisson(1.6, 100_000)), WeightedRandom(), seed=5)
    assert result.mean == pytest.approx(1 + 0.7111 / 0.4, rel=0.05)


def test_a_recorded_list_step_by_step() -> None:
    # Two slots at double speed: the third call waits for the first to end at 1.0, the fourth finds a free slot.
    calls = [(0.0, 2.0), (0.0, 3.0), (0.5, 1.0), (9.0, 4.0)]
    scenario = Scenario([Server("only", slots=2, speed=2.0)], Recorded(calls), clients=1, warm_up=0)
    result = simulate(scenario, LeastLoaded())
    assert list(result.latencies) == [1.0, 1.0, 1.5, 2.0]
    assert result.servers["only"].longest_queue == 1
    assert result.servers["only"].mean_wait == 0.125
    assert (result.p50, result.percentile(0), result.percentile(100)) == (1.0, 1.0, 2.0)


def test_a_constant_stream_takes_turns() -> None:
    scenario = Scenario([Server("a"), Server("b")], Steady(1.0, 100, ConstantWork()), clients=1, warm_up=0)
    result = simulate(scenario, WeightedRoundRobin())
    assert result.shares == {"a": 0.5, "b": 0.5}
    assert set(result.latencies) == {1.0}


def test_the_same_seed_is_the_same_run_and_another_is_not() -> None:
    scenario = Scenario([Server("a"), Server("b", faults=[Slow(0.5)])], Poisson(1.0, 500))
    first, again, other = (simulate(scenario, LeastLoaded(), seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.latencies != other.latencies


def test_a_client_gives_up_in_the_queue_and_in_the_slot() -> None:
    # The first call is begun and too long, the second never leaves the queue, the third comes when all is over: its
    # latency shows that the server still worked off the first call, and not the second.
    calls = [(0.0, 5.0), (1.0, 5.0), (4.5, 0.5)]
    scenario = Scenario([Server("only")], Recorded(calls), clients=1, timeout=3.0, warm_up=0)
    result = simulate(scenario, LeastLoaded())
    assert (result.answered, result.failed) == (1, 2)
    assert list(result.latencies) == [1.0]
    assert result.open_at_end == 0


def test_slow_for_a_time() -> None:
    calls = [(0.0, 1.0), (10.0, 1.0), (20.0, 1.0)]
    server = Server("only", faults=[Slow(0.25, start=10.0, end=20.0)])
    assert list(simulate(Scenario([server], Recorded(calls), warm_up=0), LeastLoaded()).latencies) == [1.0, 1.0, 4.0]


def test_servers_come_and_go() -> None:
    servers = [Server("first", leaves_at=50.0), Server("second", joins_at=50.0)]
    result = simulate(Scenario(servers, Steady(1.0, 100, ConstantWork(0.5)), warm_up=0), LeastLoaded())
    assert {name: figures.picks for name, figures in result.servers.items()} == {"first": 50, "second": 50}


def test_nobody_to_ask() -> None:
    result = simulate(Scenario([Server("late", joins_at=5.0)], Steady(1.0, 10), warm_up=0), LeastLoaded())
    assert (result.calls, result.nobody, result.answered) == (10, 5, 5)


def test_drained_servers_get_nothing() -> None:
    servers = [Server("drained", weight=0), Server("heavy", weight=3), Server("light", weight=1)]
    for balancer in BALANCERS:
        assert simulate(Scenario(servers, Poisson(1.0, 200)), balancer).shares["drained"] == 0


FAULTS = st.one_of(
    st.builds(BlackHole, start=st.floats(0, 20), end=st.floats(20, 60)),
    st.builds(
        FastFailure,
        after=st.floats(0, 2),
        retry_after=st.none() | st.floats(0, 400),
        start=st.floats(0, 20),
        end=st.floats(20, 60),
    ),
    st.builds(Slow, st.floats(0.01, 2), start=st.floats(0, 20), end=st.floats(20, 60)),
)


@st.composite
def storms(draw: st.DrawFn) -> Scenario:
    """Any fleet with any faults, under light load or far too much."""
    servers = [
        Server(
            f"s{place}",
            weight=draw(st.none() | st.integers(0, 5)),
            slots=draw(st.integers(1, 3)),
            speed=draw(st.floats(0.1, 3)),
            faults=draw(st.lists(FAULTS, max_size=2)),
            joins_at=draw(st.just(0.0) | st.floats(0, 30)),
            leaves_at=draw(st.just(math.inf) | st.floats(31, 60)),
        )
        for place in range(draw(st.integers(1, 5)))
    ]
    arrivals: Arrivals = Poisson(draw(st.floats(0.5, 20)), draw(st.integers(1, 200)), draw(st.sampled_from(WORKS)))
    timeout = draw(st.floats(0.1, 20))
    return Scenario(servers, arrivals, clients=draw(st.integers(1, 5)), timeout=timeout, warm_up=0)


WORKS: list[Work] = [ExponentialWork(), ConstantWork(), HeavyTail()]


@settings(max_examples=120, deadline=None)
@given(scenario=storms(), balancer=st.sampled_from(BALANCERS), seed=st.integers(0, 99))
def test_l7_all_counters_are_zero_after_any_storm(scenario: Scenario, balancer: Balancer, seed: int) -> None:
    result = simulate(scenario, balancer, seed=seed)
    assert result.open_at_end == 0
    assert result.answered + result.failed + result.nobody == result.calls == len(scenario.arrivals)
    assert sum(figures.picks for figures in result.servers.values()) == result.answered + result.failed
    assert sum(figures.failed for figures in result.servers.values()) == result.failed
    assert all(latency <= scenario.timeout + 1e-9 for latency in result.latencies)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Server("a", slots=0), "1 slot or more"),
        (lambda: Server("a", speed=0), "speed above 0"),
        (lambda: Server("a", speed=math.nan), "speed above 0"),
        (lambda: Server("a", joins_at=3, leaves_at=2), "before it leaves"),
        (lambda: Slow(0), "BlackHole"),
        (lambda: Poisson(0), "rate must be above 0"),
        (lambda: Steady(math.nan), "rate must be above 0"),
        (lambda: Poisson(1, 0), "at least one call"),
        (lambda: Recorded([(1, 1), (0, 1)]), "sort the calls"),
        (lambda: Recorded([(0, 0)]), "must be above 0"),
        (lambda: Scenario([], Poisson(1)), "needs a server"),
        (lambda: Scenario([Server("a"), Server("a")], Poisson(1)), "name of its own"),
        (lambda: Scenario([Server("a")], Poisson(1), clients=0), "needs a client"),
        (lambda: Scenario([Server("a")], Poisson(1), timeout=0), "timeout must be above 0"),
        (lambda: Scenario([Server("a")], Poisson(1), warm_up=1), "warm-up"),
        (lambda: Scenario([Server("a", faults=[BlackHole()])], Poisson(1)), "needs a timeout"),
        (lambda: Scenario([Server("a")], Poisson(1), report_every=math.nan), "time between reports"),
    ],
)
def test_what_cannot_be_run_is_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_percentiles_of_nothing() -> None:
    holes = [Server("only", faults=[BlackHole()])]
    result = simulate(Scenario(holes, Poisson(1.0, 10), timeout=1.0), LeastLoaded())
    assert math.isnan(result.p99)
    assert math.isnan(result.mean)
    with pytest.raises(ValueError, match="0 to 100"):
        result.percentile(101)
