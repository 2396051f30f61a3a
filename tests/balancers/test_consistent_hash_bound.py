"""Who takes over when the home is full or was tried: bars H6 and H7 of the consistent hash."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import accumulate
from math import ceil
from random import Random
from typing import cast

import pytest

from directlane.balancers.consistent_hash import ConsistentHash, HashPicker
from directlane.core.interfaces.balancer import BuildContext, Member, PickInfo

Members = Callable[[Iterable[float]], list[Member]]
algorithms = pytest.mark.parametrize("algorithm", ["rendezvous", "maglev", "ring"])


def _open(member: Member) -> set[int]:
    """The open calls of a fake member: numbers from 0."""
    return cast("set[int]", member.load.open)


def _set_open(member: Member, count: int) -> None:
    _open(member).clear()
    _open(member).update(range(count))


def _begin(member: Member) -> None:
    _open(member).add(len(_open(member)))


def _end(member: Member) -> None:
    _open(member).remove(len(_open(member)) - 1)


def _picker(members: list[Member], **settings: object) -> HashPicker:
    picker = ConsistentHash.model_validate(settings).build(members, BuildContext(Random(1)))
    assert isinstance(picker, HashPicker)
    return picker


def _slots(member: Member, members: list[Member], factor: float = 1.25) -> int:
    """How many open calls a member may have at most, as the bound is defined."""
    total = sum(one.load.open_calls for one in members)
    share = member.weight / sum(one.weight for one in members)
    return max(1, ceil(factor * (total + 1) * share - 1e-9))


def _keys(law: str, random: Random, count: int, family: int = 0) -> list[bytes]:
    """Keys out of 5,000: all alike, or by Zipf's law with exponent 1.1."""
    weights = [1.0 if law == "uniform" else rank**-1.1 for rank in range(1, 5001)]
    return [
        b"key-%d" % number for number in random.choices(range(5000), cum_weights=list(accumulate(weights)), k=count)
    ]


@pytest.mark.parametrize(
    ("law", "each", "at_least"),
    [
        ("uniform", 20, 0.90),
        ("uniform", 5, 0.80),
        ("uniform", 1, 0.70),
        ("zipf", 20, 0.72),
        ("zipf", 5, 0.68),
        ("zipf", 1, 0.65),
    ],
)
def test_h6_never_above_the_slots_and_mostly_at_home(members: Members, law: str, each: int, at_least: float) -> None:
    # Ten endpoints, a constant number in flight, random ends. n = 4 * 2,500 picks after the ramp, seeds 0 to 3, each
    # with keys of its own: by Zipf's law the figure depends on which hot keys share a home. Over ten families of
    # 40,000 picks it was 94, 84, 78% (uniform) and 77, 73, 72% (Zipf) with a standard deviation of 2.5% at most between
    # families, so 1.25% for the mean of four: the bars are 3 of those or more below.
    picks, at_home = 2_500, 0
    for seed in range(4):
        random = Random(seed)
        fleet = members([1] * 10)
        picker, unbound = _picker(fleet), _picker(fleet, bound="off")
        under_way: list[Member] = []
        for number, key in enumerate(_keys(law, random, picks + each * 10, seed)):
            if len(under_way) == each * 10:
                place = random.randrange(len(under_way))
                under_way[place], under_way[-1] = under_way[-1], under_way[place]
                _end(under_way.pop())
            picked = picker.pick(PickInfo(key=key))
            assert picked is not None
            assert picked.load.open_calls < _slots(picked, fleet)
            if number >= each * 10:
                at_home += picked is unbound.pick(PickInfo(key=key))
            _begin(picked)
            under_way.append(picked)
    assert at_home / (4 * picks) >= at_least


@pytest.mark.parametrize("algorithm", ["maglev", "ring"])
def test_h6_in_a_large_fleet(members: Members, algorithm: str) -> None:
    # 160 endpoints: the open calls of all are as counted 10 looks ago at most, so the slots follow a total that may be
    # 10 calls off (each look is followed by one pick here, and each pick by one end). Seed 3, 4,000 picks.
    random = Random(3)
    fleet = members([1] * 160)
    picker = _picker(fleet, algorithm=algorithm)
    under_way: list[Member] = []
    for key in _keys("zipf", random, 4_000):
        if len(under_way) == 800:
            place = random.randrange(len(under_way))
            under_way[place], under_way[-1] = under_way[-1], under_way[place]
            _end(under_way.pop())
        picked = picker.pick(PickInfo(key=key))
        assert picked is not None
        assert picked.load.open_calls < max(1, ceil(1.25 * (len(under_way) + 1 + 10) / 160))
        _begin(picked)
        under_way.append(picked)


def test_h6_one_hot_key_fills_everybody_evenly(members: Members) -> None:
    fleet = members([1, 1, 2])
    picker = _picker(fleet)
    for _ in range(400):
        picked = picker.pick(PickInfo(key=b"hot"))
        assert picked is not None
        assert picked.load.open_calls < _slots(picked, fleet)
        _begin(picked)
    # 1.25 times the share of 400 calls, rounded up.
    assert all(member.load.open_calls <= 125 * member.weight for member in fleet)


@pytest.mark.parametrize("size", range(1, 65))
def test_h6_holds_where_the_slots_are_a_whole_number(members: Members, size: int) -> None:
    # In floats, 1.25 / N * (T + 1) may be a little more than the whole number that it is. Exact, tolerance 0.
    fleet = members([1] * size)
    picker = _picker(fleet)
    for total in range(4 * size - 1, 24 * size, 4 * size):  # so T + 1 is 4 N k, and everybody has 5 k slots
        for member in fleet:
            _set_open(member, 0)
        home = picker.pick(PickInfo(key=b"hot"))
        assert home is not None
        slots = 5 * (total + 1) // (4 * size)
        _set_open(home, min(slots, total))
        others = [member for member in fleet if member is not home]
        for place, member in enumerate(others):
            left = total - home.load.open_calls
            _set_open(member, left // len(others) + (place < left % len(others)))
        assert sum(member.load.open_calls for member in fleet) == total
        if home.load.open_calls == slots:
            assert picker.pick(PickInfo(key=b"hot")) is not home
            _end(home)
            _begin(others[0])
        assert picker.pick(PickInfo(key=b"hot")) is home


def test_calls_without_a_key_obey_the_bound_too(members: Members) -> None:
    fleet = members([1] * 5)
    picker = _picker(fleet)
    for _ in range(200):
        picked = picker.pick(PickInfo())
        assert picked is not None
        assert picked.load.open_calls < _slots(picked, fleet)
        _begin(picked)


@algorithms
def test_without_a_bound_a_key_stays_whatever_the_load(members: Members, algorithm: str) -> None:
    fleet = members([1] * 4)
    for bound in ("off", None):
        picker = _picker(fleet, algorithm=algorithm, bound=bound)
        home = picker.pick(PickInfo(key=b"hot"))
        assert home is not None
        _set_open(home, 10_000)
        assert picker.pick(PickInfo(key=b"hot")) is home
        _set_open(home, 0)


@algorithms
def test_a_full_home_gives_to_the_next_and_gets_its_keys_back(members: Members, algorithm: str) -> None:
    fleet = members([1] * 6)
    picker = _picker(fleet, algorithm=algorithm)
    info = PickInfo(key=b"user-7")
    home = picker.pick(info)
    assert home is not None
    following = picker.pick(PickInfo(key=b"user-7", excluded=(home.endpoint.id,)))
    _set_open(home, 5)
    assert picker.pick(info) is following
    _set_open(home, 0)
    assert picker.pick(info) is home


def test_when_nobody_has_room_the_least_loaded_by_weight_serves(members: Members) -> None:
    # Only possible with exclusions: of all, somebody always has room. 12 open calls, so 1.25 * 13 * w / 20 slots.
    fleet = members([1, 2, 17])
    picker = _picker(fleet)
    _set_open(fleet[0], 4)
    _set_open(fleet[1], 6)
    _set_open(fleet[2], 2)
    excluded = (fleet[2].endpoint.id,)
    assert all(member.load.open_calls >= _slots(member, fleet) for member in fleet[:2])
    for number in range(20):
        assert picker.pick(PickInfo(key=b"%d" % number, excluded=excluded)) is fleet[1]


@algorithms
@pytest.mark.parametrize("size", [1, 2, 10, 100])
@pytest.mark.parametrize("busy", [False, True])
def test_h7_retries_are_distinct_until_exhausted(members: Members, algorithm: str, size: int, busy: bool) -> None:
    # 10 keys, every endpoint tried once, then None. Random loads, seed 4: an order by load must end as well.
    random = Random(4)
    fleet = members([1 + place % 3 for place in range(size)])
    for member in fleet:
        _set_open(member, random.randrange(9) if busy else 0)
    picker = _picker(fleet, algorithm=algorithm)
    for number in range(10):
        key = b"user-%d" % number
        tried: list[str] = []
        while (picked := picker.pick(PickInfo(excluded=frozenset(tried), key=key))) is not None:
            assert picked.endpoint.id not in tried
            tried.append(picked.endpoint.id)
        assert len(tried) == size


@algorithms
def test_h7_retries_of_one_key_go_the_same_way_each_time(members: Members, algorithm: str) -> None:
    picker = _picker(members([1] * 10), algorithm=algorithm)

    def way(key: bytes) -> list[str]:
        tried: list[str] = []
        while (picked := picker.pick(PickInfo(excluded=tried, key=key))) is not None:
            tried.append(picked.endpoint.id)
        return tried

    ways = [way(b"user-%d" % number) for number in range(30)]
    assert ways == [way(b"user-%d" % number) for number in range(30)]
    # Keys of one home do not all have the same second: what overflows is spread.
    assert len({tuple(one[:2]) for one in ways}) > len({one[0] for one in ways})
