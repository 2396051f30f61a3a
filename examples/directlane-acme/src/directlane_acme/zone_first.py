"""Zone first: calls stay in their own zone as long as it has room.

Traffic between zones costs money and a millisecond. But a zone must not break because it is near: when the endpoint
that was drawn there has `full_at` open calls, the whole fleet is drawn from.
"""

from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import ClassVar

from directlane import Balancer, BuildContext, Member, Picker, PickInfo
from pydantic import Field

__all__ = ["ZoneFirst"]


class ZoneFirst(Balancer):
    """Draws by weight in its own zone; from all zones when that is full, or has nobody."""

    kind: ClassVar[str] = "zone_first"
    summary: ClassVar[str] = "Draws by weight in its own zone; goes to others when that is full."
    capabilities: ClassVar[frozenset[str]] = frozenset({"load", "weights"})

    zone: str = Field(min_length=1, description="Where this client runs, as the provider names zones.")
    full_at: int = Field(default=16, ge=1, description="An endpoint with so many open calls is full.")

    def build(self, members: Sequence[Member], context: BuildContext) -> Picker:
        """A picker over these members. There is no turn to carry over: every call draws anew."""
        near = [member for member in members if member.endpoint.zone == self.zone]
        return _Picker(_Draw(near, context.random), _Draw(members, context.random), self.full_at)


class _Draw:
    """Draws by weight. Never changes."""

    def __init__(self, members: Sequence[Member], random: Random) -> None:
        self._members = tuple(members)
        largest = max((member.weight for member in members), default=1.0)
        # Parts of the largest weight, since the sum of very large weights would be infinite.
        self._sums = list(accumulate(member.weight / largest for member in members))
        self._random = random

    def member(self, info: PickInfo) -> Member | None:
        """One that is not excluded, by weight; None if there is none."""
        if info.excluded:
            rest = [member for member in self._members if member.endpoint.id not in info.excluded]
            return _Draw(rest, self._random).member(PickInfo()) if rest else None
        return self._random.choices(self._members, cum_weights=self._sums)[0] if self._members else None


class _Picker:
    """Picks near, then anywhere. Called by many threads at once, so it keeps nothing between two picks."""

    def __init__(self, near: _Draw, everyone: _Draw, full_at: int) -> None:
        self._near = near
        self._everyone = everyone
        self._full_at = full_at

    def pick(self, info: PickInfo) -> Member | None:
        """The member for the next attempt; None if every member is excluded or there is none."""
        member = self._near.member(info)
        if member is not None and member.load.open_calls < self._full_at:
            return member
        return self._everyone.member(info)
