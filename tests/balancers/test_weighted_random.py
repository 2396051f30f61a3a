"""Weighted random: shares by weight, independent draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise
from random import Random

import pytest

from directlane.balancers.random import WeightedRandom
from directlane.core.interfaces.balancer import ANY, BuildContext, Member

Members = Callable[[Iterable[float]], list[Member]]


# Chi-square at 0.1%, by degrees of freedom. The seed is fixed, so the test cannot flake.
@pytest.mark.parametrize(
    ("weights", "limit"),
    [([1.0] * 10, 27.88), (list(range(1, 11)), 27.88), ([5, 1, 1], 13.82), ([0.5, 100 / 3, 2], 13.82)],
)
def test_shares_follow_the_weights(members: Members, weights: list[float], limit: float) -> None:
    picker = WeightedRandom().build(members(weights), BuildContext(Random(12)))
    counts: Counter[str] = Counter()
    for _ in range(20_000):
        picked = picker.pick(ANY)
        assert picked is not None
        counts[picked.endpoint.id] += 1
    expected = [20_000 * weight / sum(weights) for weight in weights]
    seen = [counts[f"e{place:04}"] for place in range(len(weights))]
    assert sum((s - e) ** 2 / e for s, e in zip(seen, expected, strict=True)) < limit


def test_draws_do_not_depend_on_the_one_before(members: Members) -> None:
    # Two equal members: 10,000 pairs, seed 13. Half of them are repeats; 5 standard deviations are 250.
    picker = WeightedRandom().build(members([1, 1]), BuildContext(Random(13)))
    picks = [picker.pick(ANY) for _ in range(10_001)]
    repeats = sum(one is other for one, other in pairwise(picks))
    assert abs(repeats - 5_000) < 250


def test_the_same_seed_gives_the_same_draws(members: Members) -> None:
    fleet = members([3, 1, 2])
    one, other = (WeightedRandom().build(fleet, BuildContext(Random(14))) for _ in range(2))
    assert [one.pick(ANY) for _ in range(50)] == [other.pick(ANY) for _ in range(50)]
