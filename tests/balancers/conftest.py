"""What every test of a balancer needs: members, and the two balancers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest

from directlane.balancers.consistent_hash import ConsistentHash
from directlane.balancers.least_loaded import LeastLoaded
from directlane.balancers.random import WeightedRandom
from directlane.balancers.sticky import Sticky
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.endpoint import Endpoint
from directlane.core.interfaces.balancer import Balancer, Latency, Load, Member, Penalty, Report


@dataclass(slots=True)
class FakeLoad:
    """The statistics of an endpoint, as plain values."""

    open: set[int] = field(default_factory=set[int])
    penalty: Penalty | None = None
    latency: Latency | None = None
    report: Report | None = None

    @property
    def open_calls(self) -> int:
        return len(self.open)

    @property
    def open_work(self) -> float:
        return float(len(self.open))

    def open_age(self, now: float) -> float:
        return 0.0


@dataclass(slots=True)
class FakeMember:
    """An endpoint that may be picked, with a weight of any kind."""

    endpoint: Endpoint
    weight: float = 1.0
    load: Load = field(default_factory=FakeLoad)


def _member(name: str, weight: float = 1.0) -> Member:
    return FakeMember(Endpoint("10.0.0.1", 80, id=name), weight)


# These fixtures hold no state, so they may serve all examples of a hypothesis test: hence the scope.
@pytest.fixture(scope="session")
def member() -> Callable[[str, float], Member]:
    """Makes a member from an id and a weight."""
    return _member


@pytest.fixture(scope="session")
def members() -> Callable[[Iterable[float]], list[Member]]:
    """Makes members from weights; their ids are `e0000`, `e0001`, ... in this order."""

    def make(weights: Iterable[float]) -> list[Member]:
        return [_member(f"e{place:04}", weight) for place, weight in enumerate(weights)]

    return make


@pytest.fixture(
    params=[WeightedRoundRobin, WeightedRandom, LeastLoaded, ConsistentHash, Sticky],
    ids=lambda model: str(model.kind),
    scope="session",
)
def balancer(request: pytest.FixtureRequest) -> Balancer:
    """Each built-in balancer."""
    model: type[Balancer] = request.param
    return model()


@pytest.fixture(
    params=[WeightedRoundRobin(), WeightedRandom(), ConsistentHash(bound="off")],
    ids=lambda balancer: str(balancer.kind),
    scope="session",
)
def load_blind(request: pytest.FixtureRequest) -> Balancer:
    """Each built-in balancer whose picks depend on weights alone, and not on who is busy."""
    balancer: Balancer = request.param
    return balancer
