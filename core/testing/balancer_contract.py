"""What every balancer keeps to.

    class TestFewestTokens(BalancerContract):
        def balancer(self):
            return FewestTokens()

Picks run under guard (`guard.alone`): no I/O, no waiting, no clock but the one that is passed in, and an end.
"""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ..config.load import load_data
from ..endpoint import MAX_WEIGHT, Endpoint
from ..errors import ConfigError, PluginError
from ..interfaces.balancer import ANY, Balancer, BuildContext, Member, Picker, PickInfo
from ..plugins.hooks import hookimpl
from ..plugins.registry import Registered, load_plugins
from ..pool.pool import Pool
from .balancer_claims import BalancerClaimRules
from .guard import alone
from .members import ManualClock, members_of
from .settings_rules import check_schema, check_strict

__all__ = ["BalancerContract"]

_THREADS = 8
_STEPS = 100_000
"""What one pick among a hundred may take, in instructions of Python. The built-in ones take some thousands at most."""
_KEYS = (b"", b"\x00", b"k" * 1_000_000, bytes(range(256)))
_FLEETS = st.lists(st.floats(1e-6, 1e9), max_size=12)
_QUIET = settings(
    max_examples=40,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
    phases=[Phase.explicit, Phase.generate],
)


class BalancerContract(BalancerClaimRules):
    """The contract of `Balancer` and `Picker`, as tests. See `BalancerCase` for what a subclass says."""

    # --- settings -----------------------------------------------------------------------------------------------------

    def test_settings_are_strict_and_described(self) -> None:
        """A typing mistake in a file is told; the schema describes every setting."""
        balancer = self.balancer()
        check_strict(type(balancer), balancer.model_dump(exclude_unset=True))
        check_schema(type(balancer))
        assert balancer.summary.strip(), "`summary` is empty: lists show it"

    def test_balancer_works_from_a_configuration_file(self) -> None:
        """It comes through the plug-in door, by its `kind`."""
        balancer = self.balancer()
        model = type(balancer)

        class Plugin:
            @hookimpl
            def directlane_balancers(self) -> list[type[Balancer]]:
                return [model]

        registry = load_plugins(only=["static", "transports"])
        table = {"kind": model.kind, **balancer.model_dump(mode="json", exclude_unset=True)}
        route = {"provider": "static", "addresses": ["http://10.0.0.7:8000"]}
        try:
            registry.add(Plugin(), Registered("kit", "kit 1"))
            data = {"services": {"kit": {"balancer": table, "routes": [route]}}}
            config = load_data(data, source="kit", environment={}, registry=registry)
        except (PluginError, ConfigError) as error:
            raise AssertionError(f"it cannot be named in a configuration file: {error}") from None
        assert config.services["kit"].balancer == balancer, "what a file says and the balancer differ"

    def test_wishes_for_statistics_are_what_they_should_be(self) -> None:
        """Lengths of time are above 0, or None."""
        balancer = self.balancer()
        memory, interval = balancer.latency_memory(), balancer.refresh_interval()
        assert memory is None or memory > 0, f"latency_memory is {memory}"
        assert interval is None or interval > 0, f"refresh_interval is {interval} s"
        assert isinstance(balancer.wants_reports(), bool), "wants_reports says yes or no"

    # --- who is picked ------------------------------------------------------------------------------------------------

    def test_nobody_is_nobody(self) -> None:
        """No member, or all of them drained: None, and no exception."""
        picker = self._picker([])
        for info in (ANY, PickInfo(excluded=["e0000"]), PickInfo(key=b"k", size=5.0)):
            assert self._pick(picker, info) is None, "somebody was picked where nobody is"
        pool = self._pool(0, 0)
        assert pool.pick(ANY) is None, "a drained endpoint was picked"

    @_QUIET
    @given(weights=_FLEETS, excluded=st.sets(st.integers(0, 14)), seed=st.integers(0, 9))
    def test_excluded_are_never_picked_and_nobody_else_is_refused(
        self, weights: list[float], excluded: set[int], seed: int
    ) -> None:
        """A call has tried them. None only if nobody else is left."""
        picker = self._picker(weights, seed)
        names = {f"e{place:04}" for place in excluded}  # some are no members at all
        picked = self._pick(picker, PickInfo(excluded=names))
        left = {f"e{place:04}" for place in range(len(weights))} - names
        if picked is None:
            assert not left, "nobody was picked, and somebody is left"
        else:
            assert picked.endpoint.id in left, "an excluded endpoint, or a stranger, was picked"

    @_QUIET
    @given(weights=_FLEETS, seed=st.integers(0, 9))
    def test_retries_reach_everybody_once(self, weights: list[float], seed: int) -> None:
        """Who excludes what it has tried comes to all of them, and to an end."""
        picker = self._picker(weights, seed)
        tried: list[str] = []
        while (picked := self._pick(picker, PickInfo(excluded=tuple(tried)))) is not None:
            tried.append(picked.endpoint.id)
            assert len(tried) <= len(weights), "an endpoint was picked again though it is excluded"
        assert sorted(tried) == [f"e{place:04}" for place in range(len(weights))], "somebody was never reached"

    def test_drained_endpoint_gets_no_call(self) -> None:
        """Weight 0 means: open calls finish, no new one comes."""
        pool = self._pool(0, 5, 0)
        picked = {member.endpoint.id for _ in range(50) if (member := pool.pick(ANY)) is not None}
        assert picked == {"e1"}, f"picked were {picked}"
        assert pool.pick(PickInfo(excluded={"e1"})) is None, "a drained endpoint was picked"

    @pytest.mark.parametrize(
        "weights",
        [(1, MAX_WEIGHT), (1e-300, 1.0, 1e300), (5e-324, 1.7e308), (1.0,) * 300],
        ids=lambda each: str(each)[:24],
    )
    def test_extreme_weights_are_weights(self, weights: Sequence[float]) -> None:
        """Above 0 and finite is all that is promised."""
        picker = self._picker(weights)
        assert all(self._pick(picker, ANY) is not None for _ in range(20)), "nobody was picked"
        assert self._pick(picker, PickInfo(excluded={"e0001"})) is not None, "nobody was picked beside the excluded one"

    def test_unknown_weight_is_a_weight(self) -> None:
        """The pool counts it as the mean of the others."""
        pool = self._pool(None, 3, None)
        assert pool.pick(PickInfo(excluded={"e1"})) is not None, "an endpoint of unknown weight is never picked"

    def test_any_key_is_a_key(self) -> None:
        """Empty, a million bytes, any bytes."""
        pool = self._pool(1, 2, None)
        for key in _KEYS:
            assert pool.pick(PickInfo(key=key)) is not None, f"nobody for the key {key[:8]!r}"
            assert pool.pick(PickInfo(excluded={"e0", "nobody"}, key=key)) is not None, f"nobody for {key[:8]!r}"

    @pytest.mark.parametrize("size", [0.0, 1e-9, 1e12, 1.0])
    def test_any_size_is_a_size(self, size: float) -> None:
        """The expected work of a call, in the caller's unit."""
        picker = self._picker([1, 2, 3])
        assert self._pick(picker, PickInfo(size=size)) is not None, f"nobody for a call of size {size}"

    # --- how it picks -------------------------------------------------------------------------------------------------

    def test_chance_and_time_come_from_outside(self) -> None:
        """The same seed and the same clock give the same picks: else no simulation tells the truth."""
        one, other = self._picker([1, 2, 3, 4]), self._picker([1, 2, 3, 4])
        infos = self._infos() * 5
        picks = [self._name(one, info) for info in infos]
        assert picks == [self._name(other, info) for info in infos], (
            "the same seed, and other picks: chance or time is not the one that is passed in"
        )

    def test_pick_does_no_io_and_ends(self) -> None:
        """It stands on the path of every call, in every thread: no lock that waits, no file, no clock of its own."""
        picker = self._picker([float(place + 1) for place in range(100)])
        for info in self._infos():
            self._pick(picker, info, steps=_STEPS)

    def test_members_are_left_as_they_are(self) -> None:
        """The list belongs to the pool."""
        members = members_of([1, 2, 3])
        before = list(members)
        picker = self.balancer().build(members, self._context())
        for info in self._infos():
            self._pick(picker, info)
        assert members == before, "the list of members was changed"
        members.clear()
        assert self._pick(picker, ANY) is not None, "the picker uses the caller's list: copy it"

    def test_rebuilds_do_not_pile_up(self) -> None:
        """A picker may carry the phase of the one before; it must not keep it, or an old fleet lives for ever."""
        balancer = self.balancer()
        members = members_of([1, 2, 3])
        first: Picker = balancer.build(members, self._context())
        try:
            gone = weakref.ref(first)
        except TypeError:
            pytest.skip("a picker with slots cannot be watched: add `__weakref__` to have this rule shown")
        last = first
        for turn in range(5):
            last = balancer.build(members[turn % 2 :], self._context(previous=last))
            self._pick(last, ANY)
        del first
        gc.collect()
        assert gone() is None or gone() is last, "a picker keeps the one before it (`context.previous`)"

    def test_rebuild_with_another_membership_is_right(self) -> None:
        """Whoever is gone is not picked any more; whoever comes is."""
        balancer = self.balancer()
        members = members_of([1, 1, 1, 1])
        picker = balancer.build(members[:2], self._context())
        for part in (members[1:3], members[2:], members, members[:1], [], members):
            picker = balancer.build(part, self._context(previous=picker))
            tried: list[str] = []
            while (picked := self._pick(picker, PickInfo(excluded=tuple(tried)))) is not None and len(tried) < 9:
                tried.append(picked.endpoint.id)
            assert sorted(tried) == sorted(member.endpoint.id for member in part), "a rebuild lost or kept somebody"

    def test_many_threads_pick_at_once(self) -> None:
        """While others rebuild. Nothing fails, and nobody is nobody."""
        balancer, members = self.balancer(), members_of([1, 2, 3, 4])
        current = [balancer.build(members, self._context())]
        barrier = threading.Barrier(_THREADS + 1)
        counts: list[int] = []

        def work() -> None:
            barrier.wait()
            counts.append(sum(current[0].pick(ANY) is not None for _ in range(500)))

        threads = [threading.Thread(target=work) for _ in range(_THREADS)]
        for thread in threads:
            thread.start()
        barrier.wait()
        for turn in range(100):
            current[0] = balancer.build(members[turn % 3 :], self._context(previous=current[0]))
        for thread in threads:
            thread.join()
        assert counts == [500] * _THREADS, f"some picks failed or found nobody: {counts}"

    # --- helpers ------------------------------------------------------------------------------------------------------

    def _context(self, seed: int = 1, previous: Picker | None = None) -> BuildContext:
        return BuildContext(Random(seed), ManualClock(), previous)

    def _picker(self, weights: Sequence[float], seed: int = 1) -> Picker:
        return self.balancer().build(members_of(weights), self._context(seed))

    def _pool(self, *weights: int | None) -> Pool[None]:
        pool: Pool[None] = Pool(self.balancer(), lambda _: None, ManualClock(), Random(1))
        pool.update(Endpoint("10.0.0.1", 80, id=f"e{place}", weight=weight) for place, weight in enumerate(weights))
        return pool

    def _pick(self, picker: Picker, info: PickInfo, steps: int | None = None) -> Member | None:
        found: list[Member | None] = []
        with alone("`pick`", steps=steps):
            found.append(picker.pick(info))
        return found[0]

    def _name(self, picker: Picker, info: PickInfo) -> str:
        picked = picker.pick(info)
        assert picked is not None, "nobody was picked"
        return picked.endpoint.id

    def _infos(self) -> list[PickInfo]:
        infos = [ANY, PickInfo(excluded={"e0000"}), PickInfo(excluded=("e0001", "e0002")), PickInfo(size=7.5)]
        return [*infos, *(PickInfo(key=f"k{number}".encode()) for number in range(20))]
