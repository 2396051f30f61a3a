"""Fleets for the simulator, and a balancer from the literature to compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import ClassVar

import pytest

from directlane.core.interfaces.balancer import Balancer, BuildContext, Member, Picker, PickInfo
from directlane.core.simulation import Server

MakeFleet = Callable[..., list[Server]]


class TwoChoices(Balancer):
    """The power of two choices (Mitzenmacher, 2001): two different endpoints by chance; fewer open calls win."""

    kind: ClassVar[str] = "two_choices"

    def build(self, members: Sequence[Member], context: BuildContext) -> Picker:
        return _Two(members, context.random)


class _Two:
    def __init__(self, members: Sequence[Member], random: Random) -> None:
        self._members = members
        self._random = random

    def pick(self, info: PickInfo) -> Member | None:
        if len(self._members) < 2:
            return self._members[0] if self._members else None
        return min(self._random.sample(self._members, 2), key=lambda member: member.load.open_calls)


@pytest.fixture(scope="session")
def two_choices() -> Balancer:
    """The balancer that looks at two."""
    return TwoChoices()


@pytest.fixture(scope="session")
def fleet() -> MakeFleet:
    """Makes servers `s0`, `s1`, ... from their speeds, with weights in proportion if wanted."""

    def make(speeds: Sequence[float], *, weights: Sequence[int] | None = None, slots: int = 1) -> list[Server]:
        return [
            Server(f"s{place}", speed=speed, slots=slots, weight=None if weights is None else weights[place])
            for place, speed in enumerate(speeds)
        ]

    return make
