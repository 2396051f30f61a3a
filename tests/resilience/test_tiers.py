"""How load is shared between tiers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directlane.core.resilience.tiers import tier_ends, tier_health, tier_loads

COUNTS = st.integers(0, 60).flatmap(lambda size: st.tuples(st.integers(0, size), st.just(size)))
TIERS = st.lists(COUNTS, min_size=1, max_size=6)


@pytest.mark.parametrize(("well", "load"), [(100, 100), (72, 100), (71, 99), (50, 70), (25, 35), (0, 0)])
def test_r6_share_of_the_first_tier_by_its_healthy_part(well: int, load: int) -> None:
    assert tier_loads([(well, 100), (10, 10)]) == [load, 100 - load]


@pytest.mark.parametrize(
    ("counts", "loads"),
    [
        ([(1, 4)], [100]),  # alone
        ([(25, 100), (25, 100)], [50, 50]),  # 35 and 35, normalised
        ([(20, 100), (20, 100), (20, 100)], [34, 33, 33]),  # the remainder goes to the first that serves
        ([(0, 5), (20, 100), (20, 100)], [0, 50, 50]),
        ([(50, 100), (10, 100), (100, 100)], [70, 14, 16]),
        ([(0, 0), (3, 3)], [0, 100]),  # the first tier has no endpoint
        ([(0, 5), (0, 5)], [100, 0]),  # nobody is well: the first tier that has somebody
        ([(0, 0), (0, 5)], [0, 100]),
        ([(0, 0), (0, 0)], [0, 0]),
    ],
)
def test_loads(counts: list[tuple[int, int]], loads: list[int]) -> None:
    assert tier_loads(counts) == loads


@given(TIERS)
def test_loads_add_up_to_all_calls(counts: list[tuple[int, int]]) -> None:
    loads = tier_loads(counts)
    assert len(loads) == len(counts)
    assert min(loads) >= 0
    assert sum(loads) == (100 if any(size for _, size in counts) else 0)
    assert all(load == 0 for load, (_, size) in zip(loads, counts, strict=True) if not size)
    assert tier_ends(loads)[-1] == sum(loads)


@given(TIERS)
def test_a_tier_whose_endpoints_all_fail_gets_nothing_while_another_serves(counts: list[tuple[int, int]]) -> None:
    if any(tier_health(*count) for count in counts):
        loads = tier_loads(counts)
        assert all(load == 0 for load, count in zip(loads, counts, strict=True) if not tier_health(*count))


@given(COUNTS, TIERS)
def test_one_more_healthy_endpoint_never_takes_load_off_the_first_tier(
    first: tuple[int, int], others: list[tuple[int, int]]
) -> None:
    healthy, size = first
    loads = [tier_loads([(count, size), *others])[0] for count in range(size + 1)]
    if not any(tier_health(*count) for count in others):
        assert set(loads) <= {100, 0}
    else:
        assert loads == sorted(loads)
    assert tier_health(healthy, size) <= 100
