"""How much of a service's load each tier gets: Envoy's priority levels with overprovisioning.

The health of a tier is the share of its endpoints that are well, times 1.4 and at most 100 %: a tier that has lost
less than a third of its endpoints is trusted to carry everything. Load fills the tiers from the top; if all of them
together stay below 100 %, they share in proportion. Whole per cents, as there, so that a table can be written down.

Source: Envoy, "Priority levels".
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

__all__ = ["OVERPROVISIONING", "tier_ends", "tier_health", "tier_loads"]

OVERPROVISIONING = 140
"""Per cent: what the endpoints of a tier that are well can carry, over their own share."""


def tier_health(healthy: int, size: int) -> int:
    """The health of a tier in whole per cent, 0 to 100. An empty tier has none.

    Args:
        healthy: How many of its endpoints are well.
        size: How many endpoints it has that may get calls.
    """
    return min(100, OVERPROVISIONING * healthy // size) if size > 0 else 0


def tier_loads(counts: Sequence[tuple[int, int]]) -> list[int]:
    """The load of each tier in whole per cent; they add up to 100, or are all 0 if there is no endpoint at all.

    If no endpoint is well, the first tier that has one gets everything: a call that may fail beats one that must.

    Args:
        counts: For each tier, the first one first: how many endpoints are well, and how many there are.
    """
    healths = [tier_health(healthy, size) for healthy, size in counts]
    total = sum(healths)
    if not total:
        first = next((place for place, (_, size) in enumerate(counts) if size > 0), None)
        return [100 if place == first else 0 for place in range(len(counts))]
    if total < 100:
        healths = [100 * health // total for health in healths]
        # What rounding has taken away goes to the first tier that serves, as in Envoy.
        healths[next(place for place, health in enumerate(healths) if health)] += 100 - sum(healths)
    loads: list[int] = []
    left = 100
    for health in healths:
        loads.append(min(left, health))
        left -= loads[-1]
    return loads


def tier_ends(loads: Sequence[int]) -> tuple[int, ...]:
    """Where the part of each tier ends on a line from 0 to 100: a point below belongs to the first tier that ends
    above it."""
    return tuple(accumulate(loads))
