"""Slow start: an endpoint that comes, or comes back, gets a part of its share at first, more and more over a time.

The share t seconds after it came is max(0.1, (t/T)^(1/a)) of its weight, with a = 1: a straight line. (Envoy's formula
and least share.) It changes in steps of a tenth of itself, since each step is a new picker; so the share is never off
the formula by more than a twentieth.
"""

from __future__ import annotations

import math

__all__ = ["may_ramp", "next_step", "share_after"]

_LEAST = 0.1
_STEP = 1.1
_CURVE = 1.0
"""a: larger ones give more at the beginning."""
_STEPS = math.ceil(math.log(1 / _LEAST) / math.log(_STEP))


def share_after(came_at: float, now: float, ramp: float) -> float:
    """The part of its weight that counts, from 0.1 to 1.

    Args:
        came_at: Monotonic clock, in seconds: when it came.
        now: Monotonic clock, in seconds.
        ramp: Seconds until it gets all of its share.
    """
    step = _step_at(came_at, now, ramp)
    if step >= _STEPS:
        return 1.0
    # The middle of the step, in proportion; the floor of the formula is exact.
    return _LEAST if step < 0 else min(1.0, _LEAST * _STEP ** (step + 0.5))


def next_step(came_at: float, now: float, ramp: float) -> float:
    """When the share changes next, on the monotonic clock; infinity if it is whole."""
    step = _step_at(came_at, now, ramp)
    return math.inf if step >= _STEPS else _begin_of(step + 1, came_at, ramp)


def may_ramp(before: int, remaining: int) -> bool:
    """Whether those who join a list come in slowly.

    Not if nobody was there: all are new, and shares are relative. Not if more than half of the list was replaced at
    once: those who remain would carry more than twice their load meanwhile.

    Args:
        before: How many there were.
        remaining: How many of them are still listed.
    """
    return 0 < before <= 2 * remaining


def _begin_of(step: int, came_at: float, ramp: float) -> float:
    share: float = min(1.0, _LEAST * _STEP**step)
    return came_at + ramp * math.pow(share, _CURVE)


def _step_at(came_at: float, now: float, ramp: float) -> int:
    """The last step that has begun; -1 before the first."""
    # By the same sums as `next_step`, so that a moment that it named is not rounded to the step before.
    step = -1
    while step < _STEPS and now >= _begin_of(step + 1, came_at, ramp):
        step += 1
    return step
