"""Least loaded: every call goes to the endpoint with the least open work for its weight.

The cost of an endpoint is (open calls + failed calls that still count + 1) / weight; the least cost wins, and chance
decides among equals. The 1 is the call itself: without it, all idle endpoints would be equal and weights would mean
nothing. Chance, and not the order of the list: many clients that each take the first idle endpoint would all take the
same one.

A failed call counts as one that is still open, for seconds (`core/pool/penalty.py`), so that an endpoint that fails
fast does not look idle and draw the traffic.

If wanted, more counts: sizes of calls, what other clients have open there, how long the endpoint takes to answer
(`least_loaded_cost.py`).

Small fleets are looked at as a whole. Of large ones a few different endpoints are drawn by weight, and the least loaded
of them wins: nearly as even, at a cost that does not grow with the fleet.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ..core.clock import Clock
from ..core.fields import Duration
from ..core.interfaces.balancer import Balancer, BuildContext, Load, Member, Picker, PickInfo
from .least_loaded_cost import FullCost
from .lottery import Lottery
from .whole_weights import is_usable, whole_weights

__all__ = ["LeastLoaded"]

_PARTS = 2**48
"""Sum to which weights are rounded for the draw, if their exact integers are larger."""


class LeastLoaded(Balancer):
    """The endpoint with the least open work for its weight."""

    kind: ClassVar[str] = "least_loaded"
    summary: ClassVar[str] = "Gives every call to the endpoint with the fewest open calls for its weight."
    capabilities: ClassVar[frozenset[str]] = frozenset({"latency", "load", "load-reports", "weights"})

    full_scan: int = Field(
        default=64,
        ge=1,
        le=100_000,
        description="Up to this many endpoints, every pick looks at all of them. More is more even and takes longer: "
        "some 0.1 µs for each endpoint.",
    )
    samples: int = Field(
        default=3,
        ge=2,
        le=16,
        description="In larger fleets, how many different endpoints a pick draws and compares. "
        "2 takes away most of the imbalance of chance; beyond 4 there is little left to gain.",
    )

    use_latency: bool = Field(
        default=False,
        description="Multiply the cost by how long the endpoint takes to answer, as learnt. For endpoints that differ "
        "in speed while their weights do not say so. Leave it off if some calls are slow by nature and always go to "
        "the same endpoints, or if answers are streamed: then only the time to their beginning is known.",
    )
    memory: float = Field(
        default=100.0,
        ge=1,
        le=1000,
        description="For use_latency: over how many average latencies a latency is forgotten. Less than 30 is mostly "
        "chance; more is slow to see a change.",
    )
    use_age: bool = Field(
        default=False,
        description="Raise the cost of an endpoint whose open calls are older on average than an answer takes there: "
        "it may hang. Leave it off if answers are streamed, which are open for longer than their beginning takes.",
    )
    work: Literal["calls", "size"] = Field(
        default="calls",
        description="What open work is counted in. calls: each is 1. size: each is the `size` that the caller gives "
        "with it (tokens, bytes), 1 if none. For calls that differ much in work, if you know by how much.",
    )
    reports: Literal["off", "orca"] = Field(
        default="off",
        description="orca: ask the servers to say in their answers how many calls they have (header "
        "endpoint-load-metrics), and count those of other clients in. For services with many clients, whose "
        "servers can do it. off: nothing is asked.",
    )
    report_depth: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        default=("num_requests_running", "num_requests_waiting"),
        description="For reports: the named metrics of a report whose sum is how many calls the server has. The "
        "default has the names of vLLM. A metric that a report does not have counts as 0.",
    )
    report_fade: Annotated[Duration, Field(gt=0)] | None = Field(
        default=None,
        description="For reports: after how many seconds a report counts for a third (1/e) of itself; then its server "
        "is taken for average. Default: 3 average latencies. Set it if answers are streamed, to 3 times what a "
        "whole answer takes.",
    )

    def latency_memory(self) -> float | None:
        """How long the statistics must remember latencies, if they are used: for reports they are the pace."""
        paced = self.reports != "off" and self.report_fade is None
        return self.memory if self.use_latency or self.use_age or paced else None

    def wants_reports(self) -> bool:
        """Whether servers are asked for reports."""
        return self.reports != "off"

    def build(self, members: Sequence[Member], context: BuildContext) -> Picker:
        """A picker over these members. All that it goes by stands in their statistics, so nothing is carried over."""
        usable = [member for member in members if is_usable(member.weight)]
        if len(usable) <= self.full_scan:
            return _Scan(usable, self, context)
        return _Sample(usable, self, context)


class _Scan:
    """Looks at every member. Never changes, takes no lock: what it reads are single values."""

    __slots__ = ("_clock", "_costed", "_full", "_members", "_random", "_rows")

    def __init__(self, members: Sequence[Member], settings: LeastLoaded, context: BuildContext) -> None:
        self._members = tuple(members)
        self._rows = [(member.load.open, member.load, member.weight) for member in members]
        self._costed = [(member.load, member.weight) for member in members]
        self._full = _full_cost(settings, context.clock)
        self._clock = context.clock
        self._random = context.random.random

    def pick(self, info: PickInfo) -> Member | None:
        """The member of least cost; None if every member is excluded or there is none."""
        if self._full is None:
            # Divided, not multiplied by the inverse: 2/2 and 1/1 must be equal to the last bit.
            costs = [
                (len(calls) + 1) / weight if load.penalty is None else _cost(load, weight, self._clock)
                for calls, load, weight in self._rows
            ]
        else:
            costs = self._full.of(self._costed, info)
        if info.excluded:
            for place, member in enumerate(self._members):
                if member.endpoint.id in info.excluded:
                    costs[place] = inf
        if not costs:
            return None
        least = min(costs)
        if least == inf:  # every one is excluded, or weighs next to nothing: 1 / 5e-324 is beyond numbers
            left = [member for member in self._members if member.endpoint.id not in info.excluded]
            return left[int(self._random() * len(left))] if left else None
        equals = costs.count(least)
        if equals == 1:
            return self._members[costs.index(least)]
        if equals == len(costs):  # an idle fleet: the same as below, in one step
            return self._members[int(self._random() * equals)]
        # Any of the equals, with the same chance.
        place = -1
        for _ in range(int(self._random() * equals) + 1):
            place = costs.index(least, place + 1)
        return self._members[place]


class _Sample:
    """Looks at a few members, drawn by weight: a heavy one must be seen as often as it is to be picked."""

    __slots__ = ("_clock", "_full", "_lottery", "_samples")

    def __init__(self, members: Sequence[Member], settings: LeastLoaded, context: BuildContext) -> None:
        weights = whole_weights([member.weight for member in members], _PARTS)
        self._lottery = Lottery(members, weights, context.random)
        self._samples = settings.samples
        self._full = _full_cost(settings, context.clock)
        self._clock = context.clock

    def pick(self, info: PickInfo) -> Member | None:
        """The member of least cost among the drawn; None if every member is excluded or there is none."""
        lottery = self._lottery
        drawn: list[Member] = []
        for _ in range(self._samples):
            member = None if info.excluded else lottery.draw()
            if member is None or member in drawn:
                # A second look at the same one would be wasted, and would favour it.
                member = lottery.draw_without({*info.excluded, *(one.endpoint.id for one in drawn)})
                if member is None:
                    break
            drawn.append(member)
        if not drawn:
            return None
        if self._full is None:
            costs = [
                (len(member.load.open) + 1) / member.weight
                if member.load.penalty is None
                else _cost(member.load, member.weight, self._clock)
                for member in drawn
            ]
        else:
            costs = self._full.of([(member.load, member.weight) for member in drawn], info)
        return drawn[costs.index(min(costs))]  # of equals the first: they come in the order of chance


def _full_cost(settings: LeastLoaded, clock: Clock) -> FullCost | None:
    """None if open and failed calls are all that counts: then a pick pays for nothing else."""
    by_size = settings.work == "size"
    if not (by_size or settings.use_latency or settings.use_age or settings.wants_reports()):
        return None
    return FullCost(
        clock,
        by_size=by_size,
        by_latency=settings.use_latency,
        by_age=settings.use_age,
        depth=settings.report_depth if settings.wants_reports() else (),
        fade=settings.report_fade,
    )


def _cost(load: Load, weight: float, clock: Clock) -> float:
    penalty = load.penalty
    failed = 0.0 if penalty is None else penalty.left(clock.monotonic())
    return (len(load.open) + failed + 1) / weight
