"""How an endpoint comes in: the formula and its steps."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directlane.core.resilience.slow_start import may_ramp, next_step, share_after


@given(elapsed=st.floats(0, 200), ramp=st.floats(0.001, 100))
def test_r7_the_share_is_within_a_tenth_of_the_formula(elapsed: float, ramp: float) -> None:
    wanted = min(1.0, max(0.1, elapsed / ramp))
    assert share_after(7.0, 7.0 + elapsed, ramp) == pytest.approx(wanted, rel=0.06)


@given(came_at=st.floats(0, 1e6), ramp=st.floats(0.001, 1000))
def test_the_steps_lead_from_a_tenth_to_all(came_at: float, ramp: float) -> None:
    now, shares = came_at, [share_after(came_at, came_at, ramp)]
    while (following := next_step(came_at, now, ramp)) != math.inf:
        assert following > now
        now = following
        shares.append(share_after(came_at, now, ramp))
    assert now == came_at + ramp
    assert (shares[0], shares[-1]) == (0.1, 1.0)
    assert shares == sorted(shares)
    assert len(shares) <= 28


@pytest.mark.parametrize(
    ("before", "remaining", "ramps"),
    [(0, 0, False), (3, 3, True), (1, 1, True), (3, 0, False), (10, 5, True), (10, 4, False)],
)
def test_who_comes_in_slowly(before: int, remaining: int, ramps: bool) -> None:
    assert may_ramp(before, remaining) is ramps
