"""A key keeps its tier and its route, in every process."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from directlane.core.dispatch.stickiness import RouteHash, point_of

KEYS = [b"user-%d" % number for number in range(4000)]
POINTS = [93.076258, 32.584833, 73.985163]
RINGS = [0.569064516, 1.014518259, 1.332499985]


def route_of(key: bytes, weights: dict[str, float]) -> str:
    return min(weights, key=lambda name: RouteHash(name).ring(key) / weights[name])


def test_the_hashes_are_pinned() -> None:
    """They are part of the interface: other numbers would move every key, and differ from process to process."""
    assert [round(point_of(key), 6) for key in (b"", b"alice", b"bob")] == POINTS
    assert [round(RouteHash(name).ring(b"alice"), 9) for name in ("a", "b", "")] == RINGS


@given(st.binary())
def test_a_point_lies_on_the_line(key: bytes) -> None:
    assert 0 <= point_of(key) < 100
    assert RouteHash("a").ring(key) > 0


def test_keys_are_spread_over_the_line_and_by_weight() -> None:
    """4,000 keys: 5 standard deviations of a share of a half, or a quarter, are 158 and 137."""
    assert abs(sum(point_of(key) < 50 for key in KEYS) - 2000) < 158
    assert abs(sum(route_of(key, {"a": 1, "b": 3}) == "a" for key in KEYS) - 1000) < 137


def test_another_weight_moves_only_keys_to_this_route() -> None:
    before = {key: route_of(key, {"a": 1, "b": 1, "c": 1}) for key in KEYS}
    after = {key: route_of(key, {"a": 1, "b": 1, "c": 2}) for key in KEYS}
    moved = [key for key in KEYS if before[key] != after[key]]
    assert {after[key] for key in moved} == {"c"}
    # From a third to a half: a sixth of the keys, 667, and 5 standard deviations are 118.
    assert abs(len(moved) - 667) < 118


def test_a_route_that_goes_moves_only_its_own_keys() -> None:
    before = {key: route_of(key, {"a": 1, "b": 1, "c": 1}) for key in KEYS}
    after = {key: route_of(key, {"a": 1, "b": 1}) for key in KEYS}
    assert all(before[key] == "c" for key in KEYS if before[key] != after[key])
