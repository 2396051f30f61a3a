"""The limit that follows what an endpoint can do, by hand and against a server of known size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from directlane.core.resilience.adaptive_limit import AdaptiveLimit, Load


def test_overload_takes_a_tenth_and_a_batch_of_failures_counts_once() -> None:
    limit = AdaptiveLimit(20, 1, 200)
    for _ in range(20):
        limit.learn(Load.OVERLOAD, 20, started_at=0.0, ended_at=5.0)
    assert limit.now == 18
    limit.learn(Load.OVERLOAD, 18, started_at=5.0, ended_at=6.0)
    assert limit.now == 16, "16.2"


def test_good_calls_add_one_if_more_than_half_is_in_use() -> None:
    limit = AdaptiveLimit(10, 1, 200)
    limit.learn(Load.FINE, 5, started_at=0.0, ended_at=1.0)
    assert limit.now == 10
    limit.learn(Load.FINE, 6, started_at=0.0, ended_at=1.0)
    assert limit.now == 11
    limit.learn(Load.FINE, 11, started_at=0.5, ended_at=1.5)
    assert limit.now == 11, "it began under the old limit"


@given(st.lists(st.tuples(st.sampled_from(Load), st.integers(1, 30), st.floats(0, 5), st.floats(0, 5))))
def test_it_stays_within_its_bounds(ends: list[tuple[Load, int, float, float]]) -> None:
    limit = AdaptiveLimit(5, 2, 9)
    now = 0.0
    for load, used, began, passed in ends:
        now += passed
        limit.learn(load, used, now - began, now)
        assert 2 <= limit.now <= 9


def test_it_settles_near_what_a_server_can_take() -> None:
    """A server that takes 12 calls at once and refuses the rest: rounds of one second, all slots wanted."""
    limit = AdaptiveLimit(40, 1, 200)
    seen: list[int] = []
    for now in range(200):
        used = limit.now
        for number in range(used):
            limit.learn(Load.FINE if number < 12 else Load.OVERLOAD, used, float(now), now + 1.0)
        seen.append(limit.now)
    assert all(10 <= value <= 14 for value in seen[100:])
