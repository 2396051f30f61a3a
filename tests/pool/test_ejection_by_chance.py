"""Whatever happens to a pool, in whatever order: some things always hold."""

from __future__ import annotations

import gc

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pool_lab import Member, PoolLab

from directlane import PickInfo
from directlane.core.config.ejection import EjectionSettings
from directlane.core.pool.probe import ProbeStats
from directlane.core.resilience.ejection import ejection_limit

NAMES = [f"e{place}" for place in range(6)]


class Storm(RuleBasedStateMachine):
    """Calls that begin and end in any order, endpoints that fail and mend, lists that change, time that passes."""

    def __init__(self) -> None:
        super().__init__()
        self.lab = PoolLab(*NAMES[:3], slow_start=5.0, base_time=4.0, max_time=30.0, connect_failures=2)
        self.listed = set(NAMES[:3])
        self.under_way: list[Member] = []

    @rule(count=st.integers(1, 6), excluded=st.sets(st.sampled_from(NAMES), max_size=2))
    def begin(self, count: int, excluded: set[str]) -> None:
        for _ in range(count):
            member = self.lab.pool.pick(PickInfo(excluded=excluded))
            if member is not None:
                assert member.endpoint.id in self.listed - excluded
                self.under_way.append(member)

    @precondition(lambda self: self.under_way)
    @rule(count=st.integers(1, 8), elapsed=st.floats(0, 20))
    def end(self, count: int, elapsed: float) -> None:
        for _ in range(min(count, len(self.under_way))):
            self.lab.end(self.under_way.pop(0), elapsed)

    @rule(count=st.sampled_from([1, 2, 5, 20]))
    def call(self, count: int) -> None:
        for _ in range(count):
            member = self.lab.pool.pick(PickInfo())
            if member is not None:
                self.lab.end(member)

    @rule(who=st.sampled_from(NAMES[:3]))
    def die_until_asked_again(self, who: str) -> None:
        """Chance alone comes rarely so far."""
        self.lab.dead = {who}
        self.call(count=20)
        self.lab.wait(4.0)

    @precondition(lambda self: self.under_way)
    @rule(is_told=st.booleans())
    def give_up(self, is_told: bool) -> None:
        member = self.under_way.pop()
        if is_told:
            member.load.record_cancelled()
        del member
        gc.collect(0)

    @rule(dead=st.sets(st.sampled_from(NAMES), max_size=3), ill=st.sets(st.sampled_from(NAMES), max_size=2))
    def break_and_mend(self, dead: set[str], ill: set[str]) -> None:
        self.lab.dead, self.lab.ill = dead, ill

    @rule(seconds=st.floats(0, 1) | st.sampled_from([2.0, 4.0, 8.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.lab.wait(seconds)

    @rule(
        names=st.sets(st.sampled_from(NAMES)) | st.sets(st.sampled_from(NAMES), min_size=4),
        drained=st.sets(st.sampled_from(NAMES), max_size=1),
    )
    def change_the_list(self, names: set[str], drained: set[str]) -> None:
        self.listed = names - drained
        self.lab.list(*(f"{name}:0" if name in drained else f"{name}:1" for name in sorted(names)))

    @invariant()
    def calls_find_somebody(self) -> None:
        assert (self.lab.pool.pick(PickInfo(excluded=("nobody",))) is not None) == bool(self.listed)

    @invariant()
    def no_more_are_out_than_may_be(self) -> None:
        states = self.lab.states()
        out = [who for who in self.listed if states[who] in ("ejected", "probing")]
        assert len(out) <= ejection_limit(len(self.listed), EjectionSettings())
        ill = [who for who in self.listed if states[who] in ("ejected", "probing", "failing")]
        assert self.lab.pool.size == len(self.listed)
        assert self.lab.pool.healthy == len(self.listed) - len(ill)

    @invariant()
    def each_wait_has_one_probe(self) -> None:
        health = self.lab.pool._health  # pyright: ignore[reportPrivateUsage]  # the invariant is about its inside
        assert health is not None
        lying = [probe.id for probe in health.due if probe.is_current]
        assert len(lying) == len(set(lying))
        asking: list[str] = []
        for member in self.under_way:
            probe = member.load.probe if isinstance(member.load, ProbeStats) else None
            if probe is not None and probe.is_current:
                asking.append(probe.id)
        assert sorted(health.waiting()) == sorted([*lying, *asking]), "a probe is lost, or there are two"

    @invariant()
    def counters_are_not_negative(self) -> None:
        for member in self.lab.pool.members():
            figures = member.load.figures()
            assert min(figures.open_calls, figures.attempts, figures.errors, figures.cancelled) >= 0
            assert figures.errors <= figures.attempts

    def teardown(self) -> None:
        """When all is well and time passes, everybody is back."""
        while self.under_way:
            self.lab.end(self.under_way.pop())
        self.lab.dead, self.lab.ill = set(), set()
        self.lab.list(*NAMES)
        for _ in range(20):
            self.lab.wait(5.0)
            for _ in range(12):
                self.lab.call()
        assert set(self.lab.states().values()) == {"ready"}
        assert self.lab.pool.healthy == len(NAMES)
        assert all(member.load.open_calls == 0 for member in self.lab.pool.members())


TestStorm = Storm.TestCase
TestStorm.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
