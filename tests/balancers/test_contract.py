"""Each built-in balancer keeps to the contract, plain and with everything switched on that it has."""

from __future__ import annotations

import pytest

from directlane import Balancer
from directlane.balancers.consistent_hash import ConsistentHash
from directlane.balancers.least_loaded import LeastLoaded
from directlane.balancers.random import WeightedRandom
from directlane.balancers.sticky import Sticky
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.testing import BalancerContract


class TestWeightedRoundRobin(BalancerContract):
    capabilities = frozenset({"weights"})

    def balancer(self) -> Balancer:
        return WeightedRoundRobin()


class TestWeightedRoundRobinWithReports(BalancerContract):
    def balancer(self) -> Balancer:
        return WeightedRoundRobin(reports="orca", blackout=0.0)


class TestWeightedRandom(BalancerContract):
    def balancer(self) -> Balancer:
        return WeightedRandom()


class TestLeastLoaded(BalancerContract):
    capabilities = frozenset({"weights", "load"})

    def balancer(self) -> Balancer:
        return LeastLoaded()


class TestLeastLoadedWithEverything(BalancerContract):
    def balancer(self) -> Balancer:
        return LeastLoaded(work="size", use_age=True, use_latency=True, reports="orca")


class TestLeastLoadedOfTwo(BalancerContract):
    def balancer(self) -> Balancer:
        return LeastLoaded(work="size", use_age=True, use_latency=True, reports="orca", full_scan=1)


class TestSticky(BalancerContract):
    def balancer(self) -> Balancer:
        return Sticky()


class TestConsistentHash(BalancerContract):
    def balancer(self) -> Balancer:
        return ConsistentHash()


@pytest.fixture
def _small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules are those of large tables, and there are hundreds of them to build."""
    monkeypatch.setattr("directlane.balancers.consistent_hash_maglev.SIZES", (251, 509, 1021))
    monkeypatch.setattr("directlane.balancers.consistent_hash_ring._MOST", 4096)


@pytest.mark.usefixtures("_small_tables")
class TestRing(BalancerContract):
    capabilities = frozenset({"affinity", "weights"})

    def balancer(self) -> Balancer:
        return ConsistentHash(algorithm="ring", bound="off")


@pytest.mark.usefixtures("_small_tables")
class TestMaglev(BalancerContract):
    def balancer(self) -> Balancer:
        return ConsistentHash(algorithm="maglev")
