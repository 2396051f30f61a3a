"""What every test of a balancer needs: members, and the two balancers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from directlane.balancers.consistent_hash import ConsistentHash
from directlane.balancers.least_loaded import LeastLoaded
from directlane.balancers.random import WeightedRandom
from directlane.balancers.sticky import Sticky
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.endpoint import Endpoint
from directlane.core.interfaces.balancer import Balancer, Member
from directlane.testing import FakeMember, members_of


# These fixtures hold no state, so they may serve all examples of a hypothesis test: hence the scope.
@pytest.fixture(scope="session")
def member() -> Callable[[str, float], Member]:
    """Makes a member from an id and a weight."""

    def make(name: str, weight: float = 1.0) -> Member:
        return FakeMember(Endpoint("10.0.0.1", 80, id=name), weight)

    return make


@pytest.fixture(scope="session")
def members() -> Callable[[Iterable[float]], list[Member]]:
    """Makes members from weights; their ids are `e0000`, `e0001`, ... in this order."""
    return members_of


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
