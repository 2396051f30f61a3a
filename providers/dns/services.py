"""What SRV records mean (RFC 2782): who is called, and who gets how much. No I/O.

- Only records of one priority are called: of the lowest that has an address. The next ones are for other routes
  (`rank`).
- Weights are shares. Records of one priority that all say 0 say nothing. If only some say 0, they get a very small
  share: a hundredth of weight 1. (Here, weight 0 would mean: no call at all.)
- A target with several addresses divides its share among them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...core.endpoint import MAX_WEIGHT
from .messages import Service

__all__ = ["Chosen", "choose", "search_names"]

_SMALL_SHARE = 100


@dataclass(frozen=True, slots=True)
class Chosen:
    """One address that is to be called, with its share; None: nobody said."""

    service: Service
    address: str
    weight: int | None


def choose(services: Sequence[Service], addresses: Mapping[str, Sequence[str]], rank: int) -> list[Chosen]:
    """The addresses of one priority, in the order of the records.

    Args:
        services: All records of the name.
        addresses: The addresses of each target; none for one that has none.
        rank: 1 for the lowest priority that has an address, 2 for the next, and so on.
    """
    able = [service for service in services if addresses.get(service.target)]
    priorities = sorted({service.priority for service in able})
    if rank > len(priorities):
        return []
    group = [service for service in able if service.priority == priorities[rank - 1]]
    weights = [service.weight for service in group]
    if not any(weights):
        return [Chosen(service, address, None) for service in group for address in addresses[service.target]]
    if not all(weights):
        weights = [weight * _SMALL_SHARE or 1 for weight in weights]
    counts = [len(addresses[service.target]) for service in group]
    # So that each share divides without rest, as long as the numbers allow it.
    scale = min(math.lcm(*counts), MAX_WEIGHT // max(weights))
    return [
        Chosen(service, address, max(1, weight * scale // count))
        for service, weight, count in zip(group, weights, counts, strict=True)
        for address in addresses[service.target]
    ]


def search_names(name: str, search: Sequence[str], dots: int) -> list[str]:
    """The names that a name may stand for, each with the dot at its end, in the order in which they are tried.

    Args:
        name: As people write it. With a dot at its end it stands for itself.
        search: The search path; empty: the name stands for itself.
        dots: A name with fewer dots is tried as it is last, not first.
    """
    if name.endswith("."):
        return [name.lower()]
    longer = [f"{name}.{domain.strip('.')}." if domain.strip(".") else f"{name}." for domain in search]
    names = [f"{name}.", *longer] if name.count(".") >= dots else [*longer, f"{name}."]
    return list(dict.fromkeys(each.lower() for each in names if len(each) <= 254))
