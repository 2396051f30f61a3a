"""Which route a call takes, in virtual time: tiers by health, shares by weight, keys that stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from dispatch_lab import Answered, Lab, ListProvider, answered, failed

from directlane import (
    AttemptsError,
    CallSettings,
    Endpoint,
    NoEndpointError,
    Outcome,
    Phase,
    RoutePlan,
    TransportError,
    retry_elsewhere,
)
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.dispatch.call import Call


def route(name: str, count: int, *, weight: int = 1, tier: int = 0) -> RoutePlan:
    endpoints = tuple(Endpoint(f"{name}{i}", 80, id=f"{name}{i}") for i in range(count))
    return RoutePlan(name, ListProvider(endpoints=endpoints), weight, tier)


def with_key(lab: Lab, key: bytes) -> Call:
    call = lab.call()
    call.key = key
    return call


def spread(lab: Lab, calls: int) -> Counter[str]:
    """How many of the calls each route gets, if all go well."""
    before = len(lab.asked)
    for _ in range(calls):
        lab.run(lab.call(), lambda _: answered())
    return Counter(who[0] for who in lab.asked[before:])


class Network:
    """Hosts that cannot be reached: a connection to one costs the whole `connect_timeout`."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.dead: Callable[[str], bool] = lambda _: False

    def __call__(self, attempt: object) -> Answered:
        if self.dead(self.lab.asked[-1]):
            return failed(Phase.CONNECT, 1.0, timed_out=True)
        return answered()

    def call(self) -> float:
        """One call that must go well. How many seconds it took."""
        began = self.lab.clock.now
        assert self.lab.run(self.lab.call(), self).ok
        took = self.lab.clock.now - began
        self.lab.timers.run_due()
        return took


def set_health(lab: Lab, name: str, healthy: int) -> None:
    """As the pool says it when endpoints are ejected or come back."""
    (found,) = [live for live in lab.live if live.name == name]
    found.pool.healthy = healthy
    for watcher in found._watchers:  # pyright: ignore[reportPrivateUsage]  # in place of a hundred ejections
        watcher()


@pytest.mark.parametrize(("well", "load"), [(100, 100), (72, 100), (71, 99), (50, 70), (25, 35), (0, 0)])
def test_r6_first_tier_gets_its_share_of_the_calls(well: int, load: int) -> None:
    """4,000 calls, seed 1: 5 standard deviations are at most 158."""
    lab = Lab([route("a", 100), route("b", 1, tier=1)])
    set_health(lab, "a", well)
    assert [view.load for view in lab.routing.tier_views()] == [load, 100 - load]
    shares = spread(lab, 4000)
    assert abs(shares["a"] - 40 * load) < 158
    if load in (0, 100):
        assert shares["a"] == 40 * load


def test_all_instances_of_the_first_cloud_die_and_come_back() -> None:
    lab = Lab([route("a", 4), route("b", 2, tier=1)], balancer=WeightedRoundRobin())
    net = Network(lab)
    assert [net.call() for _ in range(3)] == pytest.approx([0.01] * 3)

    net.dead = lambda who: who.startswith("a")
    while lab.routing.tier_views()[0].load:
        assert net.call() < 1.1, "no call waits for a second connection of a dead cloud"
    assert sum(who.startswith("a") for who in lab.asked) == 3 + 2 * 4, "two attempts say of an instance that it is dead"
    took = [net.call() for _ in range(20)]
    assert took == pytest.approx([0.01] * 20), "when it is known, nobody pays any more"

    net.dead = lambda _: False
    loads: list[int] = []
    for _ in range(300):
        lab.clock.now += 0.5
        lab.timers.run_due()
        net.call()
        loads.append(lab.routing.tier_views()[0].load)
    steps = list(dict.fromkeys(loads))
    assert steps == sorted(steps)
    assert set(steps) <= {0, 35, 70, 100}, "one endpoint after the other, as the probes find them"
    assert steps[-1] == 100
    assert set(spread(lab, 100)) == {"a"}


def test_a_standby_tier_is_probed_although_it_gets_no_calls() -> None:
    lab = Lab([route("a", 1), route("b", 2, tier=1)])
    standby = lab.live[1]
    for member in standby.pool.members():
        for _ in range(2):
            error = TransportError("nobody there", phase=Phase.CONNECT)
            member.load.record(Outcome(Phase.CONNECT, 1.0, error=error), retry_elsewhere(may_have_run=False))
    assert lab.routing.tier_views()[1].healthy == 0
    for _ in range(100):
        lab.clock.now += 0.5
        lab.timers.run_due()
        lab.run(lab.call(), lambda _: answered())
    assert lab.routing.tier_views()[1].healthy == 2
    assert Counter(who[0] for who in lab.asked) == {"a": 98, "b": 2}, "two probes, and nothing else"


def test_nobody_is_well_and_calls_still_go_out() -> None:
    lab = Lab([route("a", 2), route("b", 2, tier=1)])
    set_health(lab, "a", 0)
    set_health(lab, "b", 0)
    assert set(spread(lab, 20)) == {"a"}


def test_a_route_that_fails_loses_its_share_within_the_tier() -> None:
    """Half of 4,000 calls, or 70 in 170 of them; 5 standard deviations are 158."""
    lab = Lab([route("a", 10), route("b", 10)])
    assert abs(spread(lab, 4000)["a"] - 2000) < 158
    set_health(lab, "a", 5)
    assert abs(spread(lab, 4000)["a"] - 4000 * 70 / 170) < 158
    set_health(lab, "a", 0)
    assert set(spread(lab, 100)) == {"b"}


def test_a_call_that_meets_a_closed_door_goes_to_another_route_next() -> None:
    lab = Lab([route("a", 3), route("b", 3, tier=1)], CallSettings(attempts=2))
    lab.run(lab.call(), lambda attempt: failed(Phase.CONNECT) if lab.asked == ["a0"] else answered())
    assert lab.asked == ["a0", "b0"]
    # A failure after the connection says nothing about the others of its route.
    lab = Lab([route("a", 3), route("b", 3, tier=1)], CallSettings(attempts=2))
    lab.run(lab.call(), lambda attempt: failed(Phase.SEND) if lab.asked == ["a0"] else answered())
    assert lab.asked == ["a0", "a1"]


def test_a_tier_that_is_used_up_leads_to_the_next() -> None:
    lab = Lab([route("a", 1), route("b", 1, tier=1), route("c", 1, tier=2)], CallSettings(attempts=4))
    with pytest.raises(AttemptsError):
        lab.run(lab.call(), lambda _: failed(Phase.SEND))
    assert lab.asked[:3] == ["a0", "b0", "c0"]


def test_a_route_of_weight_0_gets_no_call_at_all() -> None:
    lab = Lab([route("a", 1, weight=0), route("b", 1)])
    assert set(spread(lab, 20)) == {"b"}
    assert {view.state for view in lab.live[0].views()} == {"draining"}
    assert {view.state for view in lab.live[1].views()} == {"ready"}
    lab = Lab([route("a", 1, weight=0), route("b", 0)])
    with pytest.raises(NoEndpointError):
        lab.run(lab.call(), lambda _: answered())


def test_a_key_keeps_its_route() -> None:
    lab = Lab([route("a", 1, weight=3), route("b", 1)])
    homes: dict[bytes, str] = {}
    for number in range(100):
        key = b"user-%d" % number
        for _ in range(3):
            lab.run(with_key(lab, key), lambda _: answered())
        (homes[key],) = set(lab.asked[-3:])
    assert Counter(homes.values()).keys() == {"a0", "b0"}
    other = Lab([route("b", 1), route("a", 1, weight=3)], seed=2)
    for key, home in homes.items():
        other.run(with_key(other, key), lambda _: answered())
        assert other.asked[-1] == home, "whatever the order in the file, and the process"


def test_a_key_keeps_its_tier_and_comes_back_to_it() -> None:
    keys = [b"user-%d" % number for number in range(300)]
    lab = Lab([route("a", 10), route("b", 10, tier=1)])

    def tiers() -> str:
        for key in keys:
            lab.run(with_key(lab, key), lambda _: answered())
        return "".join(who[0] for who in lab.asked[-len(keys) :])

    whole = tiers()
    assert set(whole) == {"a"}
    set_health(lab, "a", 5)
    half = tiers()
    assert half == tiers()
    set_health(lab, "a", 2)
    little = tiers()
    assert all(later == "b" for earlier, later in zip(half, little, strict=True) if earlier == "b")
    set_health(lab, "a", 5)
    assert tiers() == half
    set_health(lab, "a", 10)
    assert tiers() == whole
