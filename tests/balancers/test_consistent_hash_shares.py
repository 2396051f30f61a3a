"""Who has which keys, and which keys move: bars H1 to H4 of the consistent hash.

Keys are `user-0`, `user-1`, ...: regular ones, which are harder for a hash than random ones. Where an algorithm has a
table, shares are read from it and are exact; nothing is drawn, so there is no seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import sqrt

import pytest

from directlane.balancers.consistent_hash_hashing import key_hash
from directlane.balancers.consistent_hash_maglev import SIZES, Maglev, table_size
from directlane.balancers.consistent_hash_rendezvous import Rendezvous
from directlane.balancers.consistent_hash_ring import POINTS, Ring, point_counts

Exact = type[Rendezvous] | type[Ring]
exact = pytest.mark.parametrize("model", [Rendezvous, Ring])
sizes = pytest.mark.parametrize("size", [2, 3, 10, 50])

KEYS = 4_000


def _names(size: int, family: str = "") -> list[str]:
    return [f"{family}e{place:04}" for place in range(size)]


def _homes(model: type[Rendezvous | Ring | Maglev], weights: dict[str, float], keys: int = KEYS) -> list[str]:
    """The home of each key."""
    names = sorted(weights)
    first = model(names, [weights[name] for name in names]).first
    return [names[first(key_hash(b"user-%d" % number))] for number in range(keys)]


def _owners(weights: dict[str, float]) -> list[str]:
    """Whose each slot of Maglev's table is."""
    names = sorted(weights)
    return [names[place] for place in Maglev(names, [weights[name] for name in names]).slots()]


@exact
@sizes
def test_h1_a_removal_moves_no_key_of_others(model: Exact, size: int) -> None:
    # n = 4,000 keys, tolerance 0: nobody's hash depends on anybody else.
    weights = dict.fromkeys(_names(size), 1.0)
    before = _homes(model, weights)
    gone = f"e{size // 2:04}"
    after = _homes(model, {name: weight for name, weight in weights.items() if name != gone})
    assert gone in before
    assert all(new == old for old, new in zip(before, after, strict=True) if old != gone)


@exact
@sizes
def test_h2_an_addition_moves_keys_to_the_new_one_only(model: Exact, size: int) -> None:
    # n = 4,000 keys, tolerance 0.
    weights = dict.fromkeys(_names(size), 1.0)
    before = _homes(model, weights)
    after = _homes(model, {**weights, "new": 1.0})
    moved = [new for old, new in zip(before, after, strict=True) if new != old]
    assert set(moved) == {"new"}
    # It takes its share: 5 standard deviations of a draw of 4,000 for rendezvous; 256 points differ by up to a quarter.
    assert len(moved) == pytest.approx(KEYS / (size + 1), rel=0.25 + 5 * sqrt((size + 1) / KEYS))


def test_h1_h2_with_weights() -> None:
    # n = 4,000 keys, tolerance 0. Rendezvous only: the ring may change its unit of weight with the least weight.
    weights = {name: 1.0 + place % 7 for place, name in enumerate(_names(20))}
    before = _homes(Rendezvous, weights)
    heavier = _homes(Rendezvous, {**weights, "e0003": 9.0})
    lighter = _homes(Rendezvous, {**weights, "e0003": 0.5})
    for old, up, down in zip(before, heavier, lighter, strict=True):
        assert up in (old, "e0003")
        assert down == old or old == "e0003"
    assert heavier.count("e0003") > before.count("e0003") > lighter.count("e0003") > 0


@pytest.mark.parametrize("size", [10, 100, 500])
def test_h1_maglev_moves_one_percent_more_at_most(size: int) -> None:
    # All 65,537 slots, so the figure is exact: 1/N + 1%, for one of every fifth of the names.
    weights = dict.fromkeys(_names(size), 1.0)
    before = _owners(weights)
    for place in range(0, size, size // 5):
        gone = f"e{place:04}"
        after = _owners({name: weight for name, weight in weights.items() if name != gone})
        moved = sum(old != new for old, new in zip(before, after, strict=True))
        assert moved / len(before) <= 1 / size + 0.01


@pytest.mark.parametrize("size", [3, 10, 50])
def test_h3_rendezvous_is_as_even_as_chance(size: int) -> None:
    # n = 100,000 keys. A share is binomial: its relative standard deviation is below sqrt(N / n); 4 of them.
    keys = 100_000
    counts = Counter(_homes(Rendezvous, dict.fromkeys(_names(size), 1.0), keys))
    assert len(counts) == size
    assert max(counts.values()) * size / keys <= 1 + 4 * sqrt(size / keys)
    assert min(counts.values()) * size / keys >= 1 - 4 * sqrt(size / keys)


@pytest.mark.parametrize("family", ["", "eas-", "i-0abc/"])
def test_h3_ring_is_even_to_a_quarter(family: str) -> None:
    # Exact arcs, N = 100, three sets of names. An arc share of 256 points has a relative standard deviation of
    # 1/sqrt(256) = 6%; of a hundred of them the largest lies 2 to 4 above the mean.
    arcs = Ring(_names(100, family), [1.0] * 100).arcs()
    assert sum(arcs) == 2**32
    assert max(arcs) * 100 / 2**32 <= 1.25


@pytest.mark.parametrize("size", [2, 10, 100, 500])
def test_h3_maglev_is_even_to_a_percent(size: int) -> None:
    # Exact slots: with turns, nobody has more than one slot above another, which is 1 in 131 at N = 500.
    counts = Counter(Maglev(_names(size), [1.0] * size).slots())
    assert max(counts.values()) - min(counts.values()) <= 1
    assert max(counts.values()) * size / table_size(size) <= 1.01


@pytest.mark.parametrize("model", [Rendezvous, Maglev])
def test_h4_weights_are_shares(model: type[Rendezvous | Maglev]) -> None:
    # n = 40,000 keys, weights 1:2:5. The standard deviation of a share is 0.25% at most, so 1% is 4 of them.
    counts = Counter(_homes(model, {"a": 1.0, "b": 2.0, "c": 5.0}, 40_000))
    for name, share in (("a", 1 / 8), ("b", 2 / 8), ("c", 5 / 8)):
        assert counts[name] / 40_000 == pytest.approx(share, abs=0.01)


def test_h4_the_ring_keeps_weights_on_average() -> None:
    # 2,048 points: one ring's share has a standard deviation of up to 1.07%, which is not to be had with less than
    # a thousand points each. So the mean of 16 rings (0.27%) within 1%, and each one within 4 deviations.
    rings = 16
    total = [0.0, 0.0, 0.0]
    for ring in range(rings):
        arcs = Ring([f"{ring}a", f"{ring}b", f"{ring}c"], [1.0, 2.0, 5.0]).arcs()
        for place, share in enumerate((1 / 8, 2 / 8, 5 / 8)):
            assert arcs[place] / 2**32 == pytest.approx(share, abs=0.043)
            total[place] += arcs[place] / 2**32 / rings
    assert total == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=0.01)


def test_maglev_gives_slots_by_weight_within_one() -> None:
    weights = [1.0, 2.5, 7.0, 0.001, 100.0]
    counts = Counter(Maglev(_names(5), weights).slots())
    for place, weight in enumerate(weights):
        assert abs(counts[place] - 65_537 * weight / sum(weights)) <= 1


def test_maglev_sizes_are_primes_with_a_hundred_slots_each() -> None:
    assert all(size % divisor for size in SIZES for divisor in range(2, int(sqrt(size)) + 1))
    assert [table_size(count) for count in (1, 655, 656, 1310, 1_000_000)] == [
        65_537,
        65_537,
        131_101,
        131_101,
        SIZES[-1],
    ]


@pytest.mark.parametrize(
    ("weights", "points"),
    [
        ([1.0, 1.0], [POINTS, POINTS]),
        ([100.0, 100.0], [400, 400]),
        ([1.0, 2.0, 5.0], [256, 512, 1280]),
        ([0.5, 3.0], [256, 1536]),
        ([1e-300, 1e-300], None),
        ([1e308, 5e-324], None),
        ([1.0, 1e6], None),
        ([1.0, *[50.0] * 99], None),
    ],
)
def test_points_of_the_ring(weights: Sequence[float], points: list[int] | None) -> None:
    counts = point_counts(weights)
    assert min(counts) >= 1
    assert sum(counts) <= max(65_536, 512 * len(weights))
    if points is not None:
        assert counts == points


@exact
def test_the_order_without_one_is_the_order_of_the_others(model: Exact) -> None:
    # What makes a retry, an overflow and a removal lead a key to the same next endpoint.
    names = _names(12)
    others = [name for name in names if name != "e0005"]
    full, less = model(names, [1.0] * 12), model(others, [1.0] * 11)
    for number in range(300):
        hashed = key_hash(b"user-%d" % number)
        expected = [names[place] for place in full.order(hashed) if names[place] != "e0005"]
        assert [others[place] for place in less.order(hashed)] == expected


@pytest.mark.parametrize("model", [Rendezvous, Ring, Maglev])
@pytest.mark.parametrize("weights", [[1.0], [1.0] * 7, [1.0, 3.0, 1e-9, 1e9, 5e-324, 1e308]])
def test_an_order_has_everybody_once_and_the_first_first(
    model: type[Rendezvous | Ring | Maglev], weights: list[float]
) -> None:
    order = model(_names(len(weights)), weights)
    for number in range(50):
        hashed = key_hash(b"user-%d" % number)
        places = list(order.order(hashed))
        assert places[0] == order.first(hashed)
        assert sorted(places) == list(range(len(weights)))
