"""Retries that exclude what they have tried: the exact shares of the others. The rest stands in the kit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directlane.balancers.lottery import Lottery
from directlane.core.interfaces.balancer import ANY, Balancer, BuildContext, Member, PickInfo

Members = Callable[[Iterable[float]], list[Member]]
weights_of_a_fleet = st.lists(st.floats(1e-6, 1e9), max_size=12)


class _Points(Random):
    """A source of chance that says what it is told: for tests that walk over every point of the line."""

    point = 0.0

    def random(self) -> float:
        return self.point


@settings(deadline=None)
@given(weights=st.lists(st.integers(1, 9), min_size=1, max_size=8), excluded=st.sets(st.integers(0, 7)))
def test_the_draw_among_the_others_is_exactly_by_weight(
    members: Members, weights: list[int], excluded: set[int]
) -> None:
    chance = _Points()
    lottery = Lottery(members(weights), weights, chance)
    names = [f"e{place:04}" for place in excluded]
    left = {place: weight for place, weight in enumerate(weights) if place not in excluded}
    total = sum(left.values())
    counts: Counter[str] = Counter()
    for point in range(total):  # the middle of every unit of the line, once
        chance.point = (point + 0.5) / total
        picked = lottery.draw_without(names)
        assert picked is not None
        counts[picked.endpoint.id] += 1
    assert counts == {f"e{place:04}": weight for place, weight in left.items()}


@pytest.mark.parametrize("point", [0.0, 1 - 2**-53])
@pytest.mark.parametrize("total", [1, 3, 2**48 - 1, 2**48, 2**53 - 1])
def test_the_ends_of_the_line(members: Members, point: float, total: int) -> None:
    chance = _Points()
    chance.point = point
    weights = [total] if total == 1 else [1, total - 1]
    lottery = Lottery(members(weights), weights, chance)
    expected = "e0000" if point == 0 or total == 1 else "e0001"
    for picked in (lottery.draw(), lottery.draw_without(["stranger"])):
        assert picked is not None
        assert picked.endpoint.id == expected


def test_shares_of_retries_follow_the_weights(load_blind: Balancer, members: Members) -> None:
    # 20,000 draws, seed 11, a share of 0.2: one standard deviation is 57, so 5% of 4,000 is 3.5 of them.
    picker = load_blind.build(members([1, 2, 3, 4, 90]), BuildContext(Random(11)))
    info = PickInfo(excluded=frozenset({"e0004"}))
    counts: Counter[str] = Counter()
    for _ in range(20_000):
        picked = picker.pick(info)
        assert picked is not None
        counts[picked.endpoint.id] += 1
    for place in range(4):
        assert counts[f"e{place:04}"] == pytest.approx(20_000 * (place + 1) / 10, rel=0.05)


def test_a_member_of_no_use_is_nobody(balancer: Balancer, members: Members) -> None:
    picker = balancer.build(members([0, float("nan"), float("inf"), -1]), BuildContext(Random(1)))
    assert picker.pick(ANY) is None
