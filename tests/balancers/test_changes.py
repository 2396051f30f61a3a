"""A life of changes, made up by hypothesis: add, remove, reweigh, eject, pick, finish; for every balancer.

Only who may be picked is picked, nobody is refused who could be, turns stay even (W2), and every count comes back to 0
(L7). What belongs to keys is in test_consistent_hash_changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from directlane.balancers.consistent_hash import ConsistentHash
from directlane.balancers.least_loaded import LeastLoaded
from directlane.balancers.random import WeightedRandom
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.interfaces.balancer import Balancer, BuildContext, Load, Member, Picker, PickInfo

MakeMember = Callable[[str, float], Member]


@dataclass(slots=True)
class _Known:
    """One endpoint, for as long as it is listed. Its load outlives every change of weight and every ejection."""

    weight: float
    load: Load
    ejected: bool = False


class _Life(RuleBasedStateMachine):
    """The pool's part, played by the test: it keeps the truth and hands the balancer who may be picked."""

    balancer: Balancer
    make_member: MakeMember

    def __init__(self) -> None:
        super().__init__()
        self.random = Random(1)
        self.known: dict[str, _Known] = {}
        self.open: list[tuple[set[int], int]] = []
        self.loads: list[Load] = []
        self.calls = 0
        self.picker: Picker | None = None
        self.eligible: dict[str, Member] = {}
        self.since_rebuild: dict[str, int] = {}
        self.rebuild()

    def rebuild(self) -> None:
        self.eligible = {}
        for name, one in self.known.items():
            if not one.ejected:
                member = self.make_member(name, one.weight)
                cast("_Settable", member).load = one.load
                self.eligible[name] = member
        context = BuildContext(self.random, previous=self.picker)
        self.picker = self.balancer.build(list(self.eligible.values()), context)
        self.since_rebuild = dict.fromkeys(self.eligible, 0)

    @rule(name=st.sampled_from("abcdefgh"), weight=st.one_of(st.integers(1, 20), st.floats(0.01, 1000)))
    def add_or_reweigh(self, name: str, weight: float) -> None:
        one = self.known.get(name)
        if one is None:
            load = self.make_member(name, weight).load
            self.loads.append(load)
            self.known[name] = _Known(weight, load)
        else:
            one.weight = weight
        self.rebuild()

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        del self.known[data.draw(st.sampled_from(sorted(self.known)))]
        self.rebuild()

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def eject_or_return(self, data: st.DataObject) -> None:
        one = self.known[data.draw(st.sampled_from(sorted(self.known)))]
        one.ejected = not one.ejected
        self.rebuild()

    @rule(excluded=st.sets(st.sampled_from("abcdefghxyz"), max_size=4), times=st.integers(1, 30))
    def pick(self, excluded: set[str], times: int) -> None:
        assert self.picker is not None
        for _ in range(times):
            picked = self.picker.pick(PickInfo(excluded=frozenset(excluded)))
            allowed = set(self.eligible) - excluded
            if picked is None:
                assert not allowed
                return
            assert picked.endpoint.id in allowed
            assert picked is self.eligible[picked.endpoint.id]  # of this list, not of one before
            self.calls += 1
            open_there = cast("set[int]", picked.load.open)
            open_there.add(self.calls)
            self.open.append((open_there, self.calls))
            if not excluded:
                self.since_rebuild[picked.endpoint.id] += 1

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        # An endpoint that has gone since may still have open calls; ending one disturbs nobody.
        open_there, call = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        open_there.remove(call)

    @invariant()
    def turns_are_even(self) -> None:
        if self.balancer.kind != "weighted_round_robin":
            return
        # From any place in the schedule nobody is off by 2 or more; where weights are rounded, a little more per pick.
        total = sum(member.weight for member in self.eligible.values())
        picks = sum(self.since_rebuild.values())
        for name, count in self.since_rebuild.items():
            rounding = picks * len(self.eligible) / 4096
            assert abs(count - picks * self.eligible[name].weight / total) < 2 + rounding

    def teardown(self) -> None:
        for open_there, call in self.open:
            open_there.remove(call)
        assert not any(load.open_calls for load in self.loads)


@dataclass
class _Settable:
    """What the members of these tests allow and the contract does not."""

    load: Load


EVERY_WAY: dict[str, Balancer] = {
    "weighted_round_robin": WeightedRoundRobin(),
    "random": WeightedRandom(),
    "least_loaded": LeastLoaded(),
    "least_loaded, samples": LeastLoaded(full_scan=1),
    "least_loaded, latency": LeastLoaded(use_latency=True),
    "rendezvous": ConsistentHash(algorithm="rendezvous"),
    "maglev": ConsistentHash(algorithm="maglev"),
    "ring": ConsistentHash(algorithm="ring"),
}


@pytest.mark.parametrize("balancer", EVERY_WAY.values(), ids=EVERY_WAY.keys())
def test_a_life_of_changes(
    balancer: Balancer, member: Callable[[str, float], Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Life(_Life):
        pass

    # The rules are those of large tables, and there are a thousand of them to build.
    monkeypatch.setattr("directlane.balancers.consistent_hash_maglev.SIZES", (251, 509, 1021))
    monkeypatch.setattr("directlane.balancers.consistent_hash_ring._MOST", 4096)
    Life.balancer = balancer
    Life.make_member = staticmethod(member)
    run_state_machine_as_test(Life, settings=settings(max_examples=40, stateful_step_count=40, deadline=None))
