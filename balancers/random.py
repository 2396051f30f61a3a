"""Weighted random: every call draws its endpoint by weight, whatever came before.

It keeps no turn and shares nothing between calls. The counts of n calls are off by about the square root of n, which is
the price: prefer `weighted_round_robin` unless many short-lived clients make a few calls each, or a turn must not be
predictable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..core.interfaces.balancer import Balancer, BuildContext, Member, Picker, PickInfo
from .lottery import Lottery
from .whole_weights import is_usable, whole_weights

__all__ = ["WeightedRandom"]

_PARTS = 2**48
"""Sum to which weights are rounded if their exact integers are larger: far finer than any number of calls can show."""


class WeightedRandom(Balancer):
    """An independent draw by weight for every call. It has no settings."""

    kind: ClassVar[str] = "random"
    summary: ClassVar[str] = "Draws an endpoint by weight for every call."
    capabilities: ClassVar[frozenset[str]] = frozenset({"weights"})

    def build(self, members: Sequence[Member], context: BuildContext) -> Picker:
        """A picker over these members. There is no turn to carry over."""
        usable = [member for member in members if is_usable(member.weight)]
        weights = whole_weights([member.weight for member in usable], _PARTS)
        return _Draw(Lottery(usable, weights, context.random))


class _Draw:
    """Draws, and leaves out who is excluded."""

    __slots__ = ("_lottery",)

    def __init__(self, lottery: Lottery) -> None:
        self._lottery = lottery

    def pick(self, info: PickInfo) -> Member | None:
        """A member by weight; None if every member is excluded or there is none."""
        if info.excluded:
            return self._lottery.draw_without(info.excluded)
        return self._lottery.draw()
