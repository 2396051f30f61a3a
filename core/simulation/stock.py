"""Scenarios that everybody asks about, by name. Ten servers; a call is 1 s of work on average."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from .arrivals import Arrivals, Poisson
from .faults import BlackHole, FastFailure
from .scenario import Scenario, Server
from .work import HeavyTail

__all__ = ["STOCK", "Stock", "stock_scenario"]

_SERVERS = 10


@dataclass(frozen=True, slots=True)
class Stock:
    """A scenario on the shelf.

    Args:
        summary: One sentence for lists.
        make: Makes it, from the number of calls.
    """

    summary: str
    make: Callable[[int], Scenario]


def _fleet(*first: Server, slots: int = 1) -> list[Server]:
    """These servers, and as many plain ones as are missing."""
    return [*first, *(Server(f"s{place}", slots=slots) for place in range(len(first), _SERVERS))]


def _equal(calls: int) -> Scenario:
    return Scenario(_fleet(), Poisson(8.0, calls))


def _one_slow(calls: int) -> Scenario:
    return Scenario(_fleet(Server("slow", speed=0.2)), Poisson(6.44, calls))


def _half_slow(calls: int) -> Scenario:
    return Scenario(_fleet(*(Server(f"slow{place}", speed=0.5) for place in range(5))), Poisson(5.25, calls))


def _heavy_tail(calls: int) -> Scenario:
    return Scenario(_fleet(), Poisson(7.0, calls, HeavyTail()))


def _many_clients(calls: int) -> Scenario:
    return Scenario(_fleet(), Poisson(8.0, calls), clients=50)


def _black_hole(calls: int) -> Scenario:
    servers = _fleet(Server("broken", slots=8, faults=[BlackHole()]), slots=8)
    return Scenario(servers, Poisson(40.0, calls), timeout=30.0)


def _fast_failure(calls: int) -> Scenario:
    return Scenario(_fleet(Server("broken", slots=8, faults=[FastFailure()]), slots=8), Poisson(40.0, calls))


STOCK: Mapping[str, Stock] = {
    "equal": Stock("Equal servers; load 0.8.", _equal),
    "one_slow": Stock("One server is 5 times slower and nobody says so; load 0.7.", _one_slow),
    "half_slow": Stock("Half of the servers are 2 times slower and nobody says so; load 0.7.", _half_slow),
    "heavy_tail": Stock("One call in ten takes 41 times as long as the others; load 0.7.", _heavy_tail),
    "many_clients": Stock("Equal servers, 50 clients that do not know of each other; load 0.8.", _many_clients),
    "black_hole": Stock("One server never answers; 8 slots each, load 0.5, timeout 30 s.", _black_hole),
    "fast_failure": Stock("One server fails every call after 10 ms; 8 slots each, load 0.5.", _fast_failure),
}
"""By name."""


def stock_scenario(
    name: str, *, calls: int = 20_000, clients: int | None = None, arrivals: Arrivals | None = None
) -> Scenario:
    """The scenario of this name.

    Args:
        name: One of `STOCK`.
        calls: How many calls.
        clients: How many clients. Default: the scenario's own number.
        arrivals: Calls that take the place of the scenario's own.
    """
    scenario = STOCK[name].make(calls)
    if clients is not None:
        scenario = replace(scenario, clients=clients)
    return scenario if arrivals is None else replace(scenario, arrivals=arrivals)
