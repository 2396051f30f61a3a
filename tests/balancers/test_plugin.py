"""The built-in balancers come through the same door as everybody's."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from directlane.balancers import plugin
from directlane.balancers.consistent_hash import ConsistentHash
from directlane.balancers.least_loaded import LeastLoaded
from directlane.balancers.random import WeightedRandom
from directlane.balancers.sticky import Sticky
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.interfaces.balancer import Balancer
from directlane.core.plugins.registry import Registered, Registry


def test_the_hook_brings_all() -> None:
    registry = Registry()
    registry.add(plugin, Registered("balancers", "directlane"))
    assert registry.balancers == {
        "weighted_round_robin": WeightedRoundRobin,
        "random": WeightedRandom,
        "least_loaded": LeastLoaded,
        "consistent_hash": ConsistentHash,
        "sticky": Sticky,
    }


def test_unknown_settings_are_refused(balancer: Balancer) -> None:
    with pytest.raises(ValidationError, match="retries"):
        type(balancer).model_validate({"retries": 3})


def test_each_has_a_line_for_lists(balancer: Balancer) -> None:
    assert balancer.summary.endswith(".")
    assert type(balancer).__doc__
