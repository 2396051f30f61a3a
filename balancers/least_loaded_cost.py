"""The cost of an endpoint, with everything that a configuration may count in.

    cost = ((open work + failed calls + this call) / weight + foreign work) * latency * overdue

Each part is off by default; the plain cost of `least_loaded.py`, which nearly everybody uses, pays for none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from ..core.clock import Clock
from ..core.interfaces.balancer import Load, PickInfo
from .least_loaded_reports import foreign_loads

__all__ = ["FullCost", "Row"]

Row = tuple[Load, float]
"""An endpoint's statistics and weight."""


class FullCost:
    """Costs of some endpoints. Holds settings only.

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

    def of(self, rows: Sequence[Row], info: PickInfo) -> list[float]:
        """The cost of each endpoint for this call."""
        now = self._clock.monotonic()
        # One call is as much as this one where only a number of calls is known: failed ones, and those of others.
        size = 1.0
        if self._by_size:
            size = info.size
            costs = [(load.open_work + _failed(load, now) * size + size) / weight for load, weight in rows]
        else:
            costs = [
                (len(load.open) + 1) / weight
                if load.penalty is None
                else (len(load.open) + _failed(load, now) + 1) / weight
                for load, weight in rows
            ]
        if self._depth:
            foreign = foreign_loads(rows, self._depth, self._fade, now)
            if foreign is not None:
                costs = [cost + size * calls for cost, calls in zip(costs, foreign, strict=True)]
        if self._by_latency:
            costs = _by_latency(costs, rows, now)
        if self._by_age:
            costs = _overdue(costs, rows, now)
        return costs


def _failed(load: Load, now: float) -> float:
    return 0.0 if load.penalty is None else load.penalty.left(now)


def _by_latency(costs: list[float], rows: Sequence[Row], now: float) -> list[float]:
    """The costs times the latencies. Who has not answered yet is taken for average; as fast, it would be flooded."""
    latencies = [load.latency for load, _ in rows]
    known = [latency for latency in latencies if latency is not None]
    if not known:
        return costs
    # What fades stops at half of the fastest: an endpoint that never answers would else look faster and faster.
    floor = min([latency.seconds for latency in known]) / 2
    seconds = [value if (value := latency.left(now)) > floor else floor for latency in known]
    if len(known) < len(latencies):
        average, values = fsum(seconds) / len(seconds), iter(seconds)
        seconds = [average if latency is None else next(values) for latency in latencies]
    return [cost * value for cost, value in zip(costs, seconds, strict=True)]


def _overdue(costs: list[float], rows: Sequence[Row], now: float) -> list[float]:
    """The costs of endpoints whose open calls are older on average than an answer takes, times how much older."""
    seconds = [None if (latency := load.latency) is None else latency.seconds for load, _ in rows]
    known = [value for value in seconds if value is not None]
    if not known:
        return costs
    average = fsum(known) / len(known)
    return [
        cost * max(1.0, load.open_age(now) / (average if usual is None else usual))
        for cost, (load, _), usual in zip(costs, rows, seconds, strict=True)
    ]
