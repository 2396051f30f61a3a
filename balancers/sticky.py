"""Sticky: all calls of a client go to one endpoint, until it is gone.

Each client draws its endpoint by weight, so a fleet of clients spreads over a fleet of endpoints. A client keeps its
endpoint when the list or the weights change. It moves when its endpoint leaves, is drained or is ejected, and does not
come back by itself. A call that has tried the endpoint goes elsewhere alone, to the same other one each time.

For endpoints that keep something of a client between its calls, without keys; gRPC knows it as `pick_first`. One client
uses one endpoint only, so it is nothing for a client that is most of the load.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import ClassVar

from ..core.interfaces.balancer import Balancer, BuildContext, Member, Picker, PickInfo
from .whole_weights import is_usable

__all__ = ["Sticky"]


class Sticky(Balancer):
    """One endpoint for all calls of a client. It has no settings."""

    kind: ClassVar[str] = "sticky"
    summary: ClassVar[str] = "Gives all calls of a client to one endpoint, and moves only when that one is gone."

    def build(self, members: Sequence[Member], context: BuildContext) -> Picker:
        """A picker that goes on with the endpoint of the previous one, if it is still there."""
        previous = context.previous.order if isinstance(context.previous, _One) else ()
        place = {name: number for number, name in enumerate(previous)}
        usable = [member for member in members if is_usable(member.weight)]
        known = sorted((m for m in usable if m.endpoint.id in place), key=lambda m: place[m.endpoint.id])
        # A random order by weight: the first of exponential clocks to ring is i with probability w_i / W, and so on.
        # Divided by the largest, so that no weight is too small or too large for the division.
        largest = max((member.weight for member in usable), default=1.0)
        rings = [
            (-log(1.0 - context.random.random()) / max(member.weight / largest, 1e-300), number)
            for number, member in enumerate(usable)
            if member.endpoint.id not in place
        ]
        return _One([*known, *(usable[number] for _, number in sorted(rings))])


class _One:
    """The first of an order that is not excluded. Never changes."""

    __slots__ = ("_members",)

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = tuple(members)

    @property
    def order(self) -> list[str]:
        """Ids, the one in use first."""
        return [member.endpoint.id for member in self._members]

    def pick(self, info: PickInfo) -> Member | None:
        """The endpoint in use; for a call that has tried it, the next of the order. None if nobody is left."""
        for member in self._members:
            if member.endpoint.id not in info.excluded:
                return member
        return None
