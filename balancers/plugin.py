"""The built-in balancers, as a plug-in like everybody's."""

from __future__ import annotations

from ..core.interfaces.balancer import Balancer
from ..core.plugins.hooks import hookimpl
from .consistent_hash import ConsistentHash
from .least_loaded import LeastLoaded
from .random import WeightedRandom
from .sticky import Sticky
from .weighted_round_robin import WeightedRoundRobin

__all__ = ["directlane_balancers"]


@hookimpl
def directlane_balancers() -> list[type[Balancer]]:
    """The balancers that come with directlane."""
    return [WeightedRoundRobin, WeightedRandom, LeastLoaded, ConsistentHash, Sticky]
