"""The cost of an endpoint, with everything that a configuration may count in.

    cost = ((open work + failed calls + this call) / weight + foreign work) * latency * overdue

Each part is off by default; the plain cost of `least_loaded.py`, which nearly everybody uses, pays for none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from ..core.clock import Clock
from ..core.interfaces.balancer import Load, Member, PickInfo
from .least_loaded_reports import foreign_loads

__all__ = ["FullCost"]


class FullCost:
    """Costs of some members. Holds settings only.

    Args:
        clock: Source of time.
        by_size: Whether work is counted in the sizes that callers give, and not in calls.
        by_latency: Whether to multiply by how long the endpoint takes to answer.
        by_age: Whether to multiply by how much older its open calls are than usual.
        depth: Named metrics of reports whose sum is how many calls an endpoint has; empty to look at no report.
        fade: Seconds after which a report counts for 1/e; None for 3 average latencies.
    """

    __slots__ = ("_by_age", "_by_latency", "_by_size", "_clock", "_depth", "_fade")

    def __init__(
        self,
        clock: Clock,
        *,
        by_size: bool,
        by_latency: bool,
        by_age: bool,
        depth: Sequence[str],
        fade: float | None,
    ) -> None:
        self._clock = clock
        self._by_size = by_size
        self._by_latency = by_latency
        self._by_age = by_age
        self._depth = depth
        self._fade = fade

    def of(self, members: Sequence[Member], info: PickInfo) -> list[float]:
        """The cost of each member for this call."""
        now = self._clock.monotonic()
        # One call is as much as this one where only a number of calls is known: failed ones, and those of others.
        size = info.size if self._by_size else 1.0
        costs: list[float] = []
        for member in members:
            load, weight = member.load, member.weight
            failed = 0.0 if load.penalty is None else load.penalty.left(now)
            work = load.open_work if self._by_size else len(load.open)
            costs.append((work + failed * size + size) / weight)
        if self._depth:
            rows = [(member.load, member.weight) for member in members]
            foreign = foreign_loads(rows, self._depth, self._fade, now)
            if foreign is not None:
                costs = [cost + size * calls for cost, calls in zip(costs, foreign, strict=True)]
        if self._by_latency:
            costs = _by_latency(costs, [member.load for member in members], now)
        if self._by_age:
            costs = _overdue(costs, [member.load for member in members], now)
        return costs


def _by_latency(costs: list[float], loads: Sequence[Load], now: float) -> list[float]:
    """The costs times the latencies. Who has not answered yet is taken for average; as fast, it would be flooded."""
    known = [load.latency for load in loads if load.latency is not None]
    if not known:
        return costs
    # What fades stops at half of the fastest: an endpoint that never answers would else look faster and faster.
    floor = min(latency.seconds for latency in known) / 2
    seconds = [None if load.latency is None else max(floor, load.latency.left(now)) for load in loads]
    average = fsum(value for value in seconds if value is not None) / len(known)
    return [cost * (average if value is None else value) for cost, value in zip(costs, seconds, strict=True)]


def _overdue(costs: list[float], loads: Sequence[Load], now: float) -> list[float]:
    """The costs of endpoints whose open calls are older on average than an answer takes, times how much older."""
    seconds = [None if load.latency is None else load.latency.seconds for load in loads]
    known = [value for value in seconds if value is not None]
    if not known:
        return costs
    average = fsum(known) / len(known)
    return [
        cost * max(1.0, load.open_age(now) / (average if usual is None else usual))
        for cost, load, usual in zip(costs, loads, seconds, strict=True)
    ]
