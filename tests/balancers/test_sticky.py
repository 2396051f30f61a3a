"""Sticky: one endpoint for each client, whatever happens to the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directlane.balancers.sticky import Sticky
from directlane.core.interfaces.balancer import ANY, BuildContext, Member, Picker, PickInfo

Members = Callable[[Iterable[float]], list[Member]]


def _built(members: Sequence[Member], seed: int = 1, previous: Picker | None = None) -> Picker:
    return Sticky().build(members, BuildContext(Random(seed), previous=previous))


def _first(picker: Picker, *excluded: str) -> Member:
    member = picker.pick(PickInfo(excluded=excluded) if excluded else ANY)
    assert member is not None
    return member


def test_all_calls_go_to_one(members: Members) -> None:
    picker = _built(members([1] * 5))
    assert len({_first(picker).endpoint.id for _ in range(100)}) == 1


def test_a_fleet_of_clients_spreads_by_weight(members: Members) -> None:
    # 4,000 clients, seeds 0 to 3999, weights 1 to 4. A share of 0.1 has a standard deviation of 19: 80 are 4 of them.
    fleet = members([1, 2, 3, 4])
    counts = Counter(_first(_built(fleet, seed)).endpoint.id for seed in range(4000))
    for place in range(4):
        assert counts[f"e{place:04}"] == pytest.approx(400 * (place + 1), abs=120)


def test_a_call_that_has_tried_it_goes_to_the_same_other_one(members: Members) -> None:
    picker = _built(members([1] * 5))
    own = _first(picker)
    others = {_first(picker, own.endpoint.id).endpoint.id for _ in range(20)}
    assert len(others) == 1
    assert others != {own.endpoint.id}
    assert _first(picker) is own  # the next call is at home again


@given(
    seed=st.integers(0, 99),
    changes=st.lists(st.sets(st.integers(0, 7), min_size=1), max_size=8),
    weights=st.lists(st.floats(1e-300, 1e300), min_size=8, max_size=8),
)
def test_it_moves_only_when_its_endpoint_is_gone(
    members: Members, seed: int, changes: list[set[int]], weights: list[float]
) -> None:
    everybody = members(weights)
    picker = _built(everybody, seed)
    for number, left in enumerate(changes):
        before = _first(picker).endpoint.id
        listed = [everybody[place] for place in sorted(left)]
        picker = _built(listed[::-1], seed + number, picker)
        after = _first(picker).endpoint.id
        assert after == before or before not in {member.endpoint.id for member in listed}


def test_one_that_was_away_does_not_pull_it_back(members: Members) -> None:
    fleet = members([1, 1, 1])
    picker = _built(fleet)
    own = _first(picker)
    picker = _built([member for member in fleet if member is not own], 2, picker)
    moved_to = _first(picker)
    assert moved_to is not own
    picker = _built(fleet, 3, picker)
    assert _first(picker) is moved_to


def test_after_a_time_with_nobody_it_draws_again(members: Members) -> None:
    empty = _built([], 1, _built(members([1, 1])))
    assert empty.pick(ANY) is None
    assert _built(members([1, 1]), 1, empty).pick(ANY) is not None
