"""A ring made from the one before is the ring made afresh, point by point."""

from __future__ import annotations

import gc
import weakref
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from directlane.balancers.consistent_hash_ring import Ring

# Few weights and many names: most changes are small enough to be made in the ring before.
fleets = st.dictionaries(
    st.sampled_from([f"e{place:02}" for place in range(24)]), st.sampled_from([1.0, 1.0, 1.5, 3.0]), min_size=1
)


def _ring(fleet: dict[str, float], previous: Ring | None = None) -> Ring:
    names = sorted(fleet)
    return Ring(names, [fleet[name] for name in names], previous)


def _points(ring: Ring) -> list[tuple[int, int]]:
    return list(ring.around())


@settings(max_examples=30, deadline=None)
@given(first=fleets, changes=st.lists(fleets.map(lambda fleet: dict(list(fleet.items())[:3])), max_size=6))
def test_a_chain_of_changes_ends_in_the_fresh_ring(first: dict[str, float], changes: list[dict[str, float]]) -> None:
    fleet, ring = first, _ring(first)
    for change in changes:
        # Who is in the change and was there with this weight leaves; the others come or get this weight.
        after = {**fleet, **change}
        for name in change:
            if fleet.get(name) == change[name] and len(after) > 1:
                del after[name]
        fleet, ring = after, _ring(after, ring)
        assert _points(ring) == _points(_ring(fleet))


def test_points_that_several_endpoints_have() -> None:
    # Of 256,000 points in 2**32 places, some 7 pairs are equal: those are the ones that a change could mix up.
    everybody = dict.fromkeys([f"e{place:04}" for place in range(1000)], 1.0)
    full = _ring(everybody)
    points = _points(full)
    pairs = [(one[1], other[1]) for one, other in pairwise(points) if one[0] == other[0]]
    assert pairs
    for side in (0, 1):
        gone = {f"e{pair[side]:04}" for pair in pairs}
        others = {name: 1.0 for name in everybody if name not in gone}
        less = _ring(others, full)
        assert _points(less) == _points(_ring(others))
        assert _points(_ring(everybody, less)) == points


def test_a_ring_does_not_keep_the_one_before() -> None:
    class Watched(Ring):
        pass

    first = Watched(["a", "b", "c", "d", "e"], [1.0] * 5)
    gone = weakref.ref(first)
    second = _ring(dict.fromkeys("abcd", 1.0), first)
    del first
    gc.collect()
    assert gone() is None
    assert second.first(7) in range(4)
