"""A life of changes with keys, made up by hypothesis: add, remove, reweigh, eject, pick, finish.

After each change a picker made from the one before has the homes of one made afresh, and only the keys that had to move
have moved; each pick keeps the bound; every count comes back to 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from random import Random
from typing import Literal, cast, get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from directlane.balancers.consistent_hash import ConsistentHash, HashPicker
from directlane.core.interfaces.balancer import BuildContext, Load, Member, Picker, PickInfo

MakeMember = Callable[[str, float], Member]
Algorithm = Literal["rendezvous", "maglev", "ring"]
KEYS = [b"key-%d" % number for number in range(25)]


@dataclass(slots=True)
class _Known:
    """One endpoint, for as long as it is remembered; its load outlives every change."""

    weight: float
    load: Load
    ejected: bool = False


@dataclass(slots=True)
class _Counted:
    """The statistics of an endpoint, as plain values."""

    open: set[int] = field(default_factory=set[int])
    penalty: None = None
    latency: None = None
    report: None = None

    @property
    def open_calls(self) -> int:
        return len(self.open)

    @property
    def open_work(self) -> float:
        return float(len(self.open))

    def open_age(self, now: float) -> float:
        return 0.0

    def begin(self) -> None:
        self.open.add(len(self.open))

    def end(self) -> None:
        self.open.remove(len(self.open) - 1)


class _Life(RuleBasedStateMachine):
    algorithm: Algorithm
    make_member: MakeMember

    def __init__(self) -> None:
        super().__init__()
        self.balancer = ConsistentHash(algorithm=self.algorithm)
        self.unbound = ConsistentHash(algorithm=self.algorithm, bound="off")
        self.known: dict[str, _Known] = {}
        self.loads: dict[str, _Counted] = {}
        self.open: list[str] = []
        self.homes: dict[bytes, str | None] = {}
        self.picker: HashPicker | None = None
        self.rebuild(None)

    def rebuild(self, changed: str | None) -> None:
        self.eligible: dict[str, Member] = {}
        for name, one in self.known.items():
            if not one.ejected:
                member = self.make_member(name, one.weight)
                cast("_Settable", member).load = one.load
                self.eligible[name] = member
        members = list(self.eligible.values())
        picker = self.balancer.build(members, BuildContext(Random(1), previous=self.picker))
        assert isinstance(picker, HashPicker)
        self.picker = picker
        homes = _homes(self.unbound.build(members, BuildContext(Random(1))))
        assert homes == _homes(self.unbound.build(members, BuildContext(Random(1), previous=picker)))
        if self.algorithm != "maglev":
            for key, before in self.homes.items():
                # Nothing moves but to or from the one that changed.
                assert before == homes[key] or changed in (before, homes[key]) or None in (before, homes[key])
        self.homes = homes

    @rule(name=st.sampled_from("abcdefgh"), weight=st.floats(1, 1.99))
    def add_or_reweigh(self, name: str, weight: float) -> None:
        ejected = name in self.known and self.known[name].ejected
        self.known[name] = _Known(weight, self.loads.setdefault(name, _Counted()), ejected)
        self.rebuild(name)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.known)))
        del self.known[name]
        self.rebuild(name)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def eject_or_return(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.known)))
        self.known[name].ejected = not self.known[name].ejected
        self.rebuild(name)

    @rule(
        key=st.sampled_from([None, *KEYS]),
        excluded=st.sets(st.sampled_from("abcdefghxyz"), max_size=4),
        times=st.integers(1, 12),
    )
    def pick(self, key: bytes | None, excluded: set[str], times: int) -> None:
        assert self.picker is not None
        for _ in range(times):
            picked = self.picker.pick(PickInfo(excluded=frozenset(excluded), key=key))
            allowed = [member for name, member in self.eligible.items() if name not in excluded]
            if picked is None:
                assert not allowed
                return
            assert picked in allowed
            if any(self.has_room(member) for member in allowed):
                assert self.has_room(picked)
            home = self.homes[key] if key is not None else None
            if home is not None and self.eligible[home] in allowed and not self.loads[home].open:
                assert picked.endpoint.id == home
            self.open.append(picked.endpoint.id)
            self.loads[picked.endpoint.id].begin()

    def has_room(self, member: Member) -> bool:
        total = sum(one.load.open_calls for one in self.eligible.values())
        share = member.weight / sum(one.weight for one in self.eligible.values())
        # A hair of tolerance: the balancer adds the weights up in another way, and 1.25 * 8 / 2 is on the edge.
        slots = 1.25 * (total + 1) * share
        is_edge = abs(slots - round(slots)) < 1e-9
        return member.load.open_calls < max(1, round(slots) if is_edge else ceil(slots))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        # An endpoint that has gone since may still have open calls.
        name = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        self.loads[name].end()

    def teardown(self) -> None:
        for name in self.open:
            self.loads[name].end()
        assert not any(load.open_calls for load in self.loads.values())


def _homes(picker: Picker) -> dict[bytes, str | None]:
    homes: dict[bytes, str | None] = {}
    for key in KEYS:
        home = picker.pick(PickInfo(key=key))
        homes[key] = None if home is None else home.endpoint.id
    return homes


@dataclass
class _Settable:
    """What the members of these tests allow and the contract does not."""

    load: Load


@pytest.mark.parametrize("algorithm", get_args(Algorithm))
def test_a_life_of_keys(algorithm: Algorithm, member: MakeMember, monkeypatch: pytest.MonkeyPatch) -> None:
    class Life(_Life):
        pass

    # The rules are those of a large table, and there are a thousand of them to build.
    monkeypatch.setattr("directlane.balancers.consistent_hash_maglev.SIZES", (251, 509, 1021))
    Life.algorithm = algorithm
    Life.make_member = staticmethod(member)
    run_state_machine_as_test(Life, settings=settings(max_examples=50, stateful_step_count=30, deadline=None))
