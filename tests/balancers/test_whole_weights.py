"""Weights become whole numbers: exactly if they can, else by largest remainder."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import gcd

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directlane.balancers.whole_weights import whole_weights

MOST = 4096


@pytest.mark.parametrize(
    ("weights", "whole"),
    [
        ([], []),
        ([7.0], [1]),
        ([2, 4, 6], [1, 2, 3]),
        ([0.1, 0.2, 0.3], [1, 2, 3]),
        ([1.5, 1], [3, 2]),
        ([1, 2, 97, 100 / 3], [3, 6, 291, 100]),
        ([17, 23, 37, 77 / 3], [51, 69, 111, 77]),
        ([1e-300, 3e-300], [1, 3]),
        ([1e300, 5, 1e-300], [4094, 1, 1]),
        ([2**31 - 1, 1], [4095, 1]),
        ([5e-324, 1.7e308], [1, 4095]),
    ],
)
def test_known_cases(weights: list[float], whole: list[int]) -> None:
    assert whole_weights(weights, MOST) == whole


@settings(deadline=None)
@given(st.lists(st.floats(min_value=0, exclude_min=True, allow_infinity=False), min_size=1, max_size=40))
def test_any_weights_at_all(weights: list[float]) -> None:
    whole = whole_weights(weights, MOST)
    assert len(whole) == len(weights)
    assert min(whole) >= 1
    assert sum(whole) <= MOST
    assert gcd(*whole) == 1
    # Whoever weighs more never gets less.
    by_weight = sorted(zip(weights, whole, strict=True))
    assert all(one[1] <= other[1] for one, other in pairwise(by_weight) if one[0] < other[0])


@settings(deadline=None)
@given(st.lists(st.integers(1, 100), min_size=1, max_size=40), st.integers(1, 1000))
def test_integers_that_fit_are_exact(weights: list[int], factor: int) -> None:
    divisor = gcd(*weights)
    assert whole_weights([weight * factor for weight in weights], MOST) == [weight // divisor for weight in weights]


@settings(deadline=None)
@given(st.lists(st.one_of(st.integers(1, 50), st.none()), min_size=1, max_size=12))
def test_unknown_weights_as_the_mean_are_exact(weights: list[int | None]) -> None:
    known = [weight for weight in weights if weight is not None] or [1]
    mean = Fraction(sum(known), len(known))
    exact = [mean if weight is None else Fraction(weight) for weight in weights]
    whole = whole_weights([float(weight) for weight in exact], 2**48)
    assert [Fraction(count, whole[0]) for count in whole] == [weight / exact[0] for weight in exact]


@settings(deadline=None)
@given(st.lists(st.integers(10_000, 2**31 - 1), min_size=2, max_size=40))
def test_rounding_is_off_by_less_than_one(weights: list[int]) -> None:
    whole = whole_weights(weights, MOST)
    if sum(whole) == MOST and min(weight * MOST / sum(weights) for weight in weights) >= 1:
        for weight, count in zip(weights, whole, strict=True):
            assert abs(count - weight * MOST / sum(weights)) < 1


def test_more_members_than_the_least_can_share() -> None:
    assert whole_weights([1.0] * 50 + [1e9], 64) == [1] * 50 + [14]
