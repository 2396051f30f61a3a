"""Weights as whole numbers: what a repeating schedule is made of.

Weights come as finite numbers above 0, often fractional (an unknown weight is the mean of the known ones). They leave
as integers in the same proportions: exactly, where the sum of the smallest such integers is not above a limit;
otherwise rounded to a sum of that limit, nobody below 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import gcd, inf, lcm

__all__ = ["is_usable", "whole_weights"]

_EXACT = 1e-12
"""Relative error up to which a fraction is what a float meant: some thousand times the error of one division."""

_MAX_DENOMINATOR = 4096
"""Larger denominators are not looked for: the float is then a measurement and not a simple proportion."""


def is_usable(weight: float) -> bool:
    """Whether a weight is a finite number above 0. Anything else gets no pick."""
    return 0 < weight < inf


def whole_weights(weights: Sequence[float], most: int) -> list[int]:
    """Integers of 1 or more in the proportions of the weights, without a common divisor.

    Args:
        weights: Finite numbers above 0.
        most: The sum of the result is not above this; it must be at least the number of weights.
    """
    if not weights:
        return []
    whole = _exactly(weights, most)
    if whole is None or sum(whole) > most:
        whole = _rounded(_scaled(weights), most)
    return _reduced(whole)


def _exactly(weights: Sequence[float], most: int) -> list[int] | None:
    """The smallest integers in these proportions; None if they have none that are small enough."""
    if all(weight == int(weight) for weight in weights):
        return _reduced([int(weight) for weight in weights])
    # In units of the least weight, one ratio is 1. So the sum will be at least count * common denominator, which
    # bounds the denominators that are of use.
    limit = min(most // len(weights), _MAX_DENOMINATOR)
    least = min(weights)
    ratios: dict[float, Fraction] = {}
    common = 1
    for weight in set(weights):
        ratio = weight / least
        if ratio > most:  # also infinite: the sum is too large in any case
            return None
        near = Fraction(ratio).limit_denominator(limit)
        if abs(near - Fraction(ratio)) > ratio * _EXACT:
            return None
        common = lcm(common, near.denominator)
        if common > limit:
            return None
        ratios[weight] = near
    return [int(ratios[weight] * common) for weight in weights]


def _scaled(weights: Sequence[float]) -> list[int]:
    """Integers in exactly these proportions, however large: a float is a fraction over a power of two."""
    ratios = [weight.as_integer_ratio() for weight in weights]
    common = max(denominator for _, denominator in ratios)
    return [numerator * (common // denominator) for numerator, denominator in ratios]


def _rounded(weights: list[int], most: int) -> list[int]:
    """Integers of 1 or more with the sum `most`, by largest remainder."""
    order = sorted(range(len(weights)), key=weights.__getitem__)
    whole = [1] * len(weights)
    rest, parts = sum(weights), most
    # From the least weight up: whoever is due less than 1 gets 1, and the others share what is left.
    first = 0
    while first < len(order) and weights[order[first]] * parts < rest:
        rest -= weights[order[first]]
        parts -= 1
        first += 1
    sharers = order[first:]
    for index in sharers:
        whole[index] = weights[index] * parts // rest
    left = parts - sum(whole[index] for index in sharers)
    by_remainder = sorted(sharers, key=lambda index: (-(weights[index] * parts % rest), index))
    for index in by_remainder[:left]:
        whole[index] += 1
    return whole


def _reduced(weights: list[int]) -> list[int]:
    divisor = gcd(*weights)
    return weights if divisor == 1 else [weight // divisor for weight in weights]
