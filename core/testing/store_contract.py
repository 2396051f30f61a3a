"""What every store keeps to.

    class TestEtcd(StoreContract):
        def make_store(self, clock, folder):
            return EtcdStore(EtcdPlace("127.0.0.1", 2379, prefix=secrets.token_hex(8)), clock=clock.monotonic)

A store begins empty: give each one a prefix, a file or a server of its own. It must read the time from the clock that
it is given, so that no test waits; a store that takes its server's time has the clock passed to the server's place.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..interfaces.discovery import RateBudget
from ..interfaces.store import MAX_DATA, MAX_NAME, Lease, Permit, Store
from .members import ManualClock
from .settings_rules import refused

__all__ = ["StoreContract"]

USER = RateBudget("user", 2, 60.0)
TENANT = RateBudget("tenant", 3, 60.0)


def leased(store: Store, holder: str = "a", *, name: str = "q", ttl: float = 10.0) -> Lease:
    """A lease that must be had."""
    got = store.lease(name, holder, ttl)
    assert isinstance(got, Lease), f"held for {got} s more"
    return got


def taken(store: Store, *budgets: RateBudget, hold: float = 5.0) -> Permit:
    """A permit that must be had."""
    got = store.take(budgets, hold)
    assert isinstance(got, Permit), f"to wait {got} s"
    return got


class StoreContract:
    """The contract of `Store`, as tests. They take the fixtures `store` and `clock`, which a subclass may replace."""

    def make_store(self, clock: ManualClock, folder: Path) -> Store:
        """A new, empty store.

        Args:
            clock: Where it takes the time from.
            folder: An empty folder of its own.
        """
        raise NotImplementedError("write `make_store`: it returns your store, empty")

    def another(self, store: Store, clock: ManualClock) -> Store:
        """A new object for the same place, as another process opens it. Needed if `processes` is claimed."""
        raise NotImplementedError("write `another`: your store, opened a second time, as another process does it")

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The clock that the test moves."""
        return ManualClock()

    @pytest.fixture
    def store(self, clock: ManualClock, tmp_path: Path) -> Iterator[Store]:
        """The store, closed at the end."""
        made = self.make_store(clock, tmp_path)
        yield made
        made.close()

    # --- leases -------------------------------------------------------------------------------------------------------

    def test_one_holds_a_lease_and_the_others_hear_how_long(self, store: Store, clock: ManualClock) -> None:
        """Who asks for a held lease gets the seconds until it ends, at the store's own time."""
        lease = leased(store, "a")
        assert (lease.name, lease.holder) == ("q", "a")
        assert lease.fence >= 1
        clock.move(4)
        assert store.lease("q", "b", 10) == pytest.approx(6)

    def test_renewed_lease_lasts_longer_and_keeps_its_fence(self, store: Store, clock: ManualClock) -> None:
        """The holder renews by asking again. The fence stays, so that what it publishes is still believed."""
        first = leased(store)
        clock.move(9)
        assert leased(store) == first
        clock.move(9)
        assert store.lease("q", "b", 10) == pytest.approx(1)

    @pytest.mark.parametrize("next_holder", ["a", "b"])
    def test_lease_that_ended_is_a_new_one_for_everybody(
        self, store: Store, clock: ManualClock, next_holder: str
    ) -> None:
        """Whoever takes it gets a higher fence, the old holder too: between the two, another may have held it."""
        first = leased(store)
        clock.move(10)
        again = leased(store, next_holder)
        assert again.holder == next_holder
        assert again.fence > first.fence

    def test_released_lease_is_free_at_once_and_its_fence_is_not_used_again(self, store: Store) -> None:
        """The next holder does not wait, and its fence is higher."""
        first = leased(store)
        store.release(first)
        again = leased(store, "b")
        assert again.holder == "b"
        assert again.fence > first.fence

    def test_late_release_takes_nothing_from_a_newer_holder(self, store: Store, clock: ManualClock) -> None:
        """A process that was paused may release what it lost long ago: that changes nothing."""
        old = leased(store)
        clock.move(11)
        leased(store, "b")
        store.release(old)
        store.release(Lease("never leased", "a", 1))
        assert store.lease("q", "c", 10) == pytest.approx(10)

    def test_leases_of_other_names_are_other_leases(self, store: Store) -> None:
        """Each question has a lease of its own."""
        leased(store, "a")
        assert leased(store, "b", name="r").holder == "b"

    # --- who is there -------------------------------------------------------------------------------------------------

    def test_those_who_are_there_are_counted_until_they_are_silent_too_long(
        self, store: Store, clock: ManualClock
    ) -> None:
        """`attend` counts each holder once, the caller included, until its time to live is over."""
        assert [store.attend("q", one, 10) for one in "aab"] == [1, 1, 2]
        clock.move(6)
        assert store.attend("q", "b", 10) == 2
        clock.move(4)
        assert store.attend("q", "c", 10) == 2, "a is gone"
        assert store.attend("r", "a", 10) == 1, "another name, another count"

    # --- budgets ------------------------------------------------------------------------------------------------------

    def test_budget_lets_so_many_go_and_says_when_the_next_may(self, store: Store, clock: ManualClock) -> None:
        """Exactly `limit` queries in any window, wherever the window begins; the answer is the wait in seconds."""
        store.settle(taken(store, USER))
        clock.move(10)
        store.settle(taken(store, USER))
        assert store.take((USER,), 5) == pytest.approx(50)
        clock.move(49.5)
        assert store.take((USER,), 5) == pytest.approx(0.5)
        clock.move(0.499)
        assert store.take((USER,), 5) == pytest.approx(0.001)
        clock.move(0.001)
        store.settle(taken(store, USER))
        assert store.take((USER,), 5) == pytest.approx(10)

    def test_query_under_way_counts_as_spent_now_until_it_is_settled(self, store: Store, clock: ManualClock) -> None:
        """Nobody knows when the server counts it: its window begins when its answer is there."""
        permit = taken(store, USER, hold=30)
        clock.move(20)
        store.settle(permit)
        taken(store, USER)
        clock.move(59)
        assert store.take((USER,), 5) == pytest.approx(1)

    def test_query_of_one_who_died_counts_as_settled_when_its_hold_ends(self, store: Store, clock: ManualClock) -> None:
        """A process that is killed between `take` and `settle` does not hold the budget for ever."""
        taken(store, USER, hold=30)
        taken(store, USER, hold=40)
        assert store.take((USER,), 5) == pytest.approx(90)
        clock.move(90)
        taken(store, USER)

    def test_query_that_is_settled_after_its_hold_counts_from_then(self, store: Store, clock: ManualClock) -> None:
        """A process that was stopped may send late. Its query counts from `settle`, although its hold is over."""
        late, other = taken(store, USER, hold=1), taken(store, USER, hold=1)
        store.cancel(other)
        clock.move(70)  # its process was stopped
        store.settle(late)
        taken(store, USER)
        assert store.take((USER,), 5) == pytest.approx(60)

    def test_query_that_was_not_sent_does_not_count(self, store: Store) -> None:
        """`cancel` gives the budget back, and an unknown permit is ignored."""
        for _ in range(5):
            store.cancel(taken(store, USER))
        store.cancel(Permit("never given", ("user",)))
        taken(store, USER)

    def test_several_budgets_are_spent_together_or_not_at_all(self, store: Store) -> None:
        """A refusal by one budget takes nothing from the others."""
        taken(store, USER, TENANT)
        taken(store, USER, TENANT)
        for _ in range(5):
            assert store.take((USER, TENANT), 5) == pytest.approx(65)
        taken(store, TENANT)
        assert store.take((TENANT,), 5) == pytest.approx(65)

    def test_one_budget_known_by_two_windows_obeys_both(self, store: Store, clock: ManualClock) -> None:
        """Two processes may know the same budget with different limits: the store remembers for the longer window."""
        short = RateBudget("user", 1, 10.0)
        store.settle(taken(store, USER, short))
        assert store.take((USER, short), 5) == pytest.approx(10)
        clock.move(10)
        store.settle(taken(store, USER, short))
        clock.move(10)
        assert store.take((USER, short), 5) == pytest.approx(40), "the longer window remembers what the shorter forgot"

    def test_what_was_spent_is_told_and_nothing_is_changed(self, store: Store, clock: ManualClock) -> None:
        """`spent` counts what is under way and what is in the window. It may say None; then nobody is told."""
        if store.spent(USER) is None:
            return
        counts = [store.spent(USER)]
        permit = taken(store, USER, hold=30)
        counts.append(store.spent(USER))
        store.settle(permit)
        store.cancel(taken(store, USER))
        counts.append(store.spent(USER))
        clock.move(59.9)
        counts.append(store.spent(USER))
        clock.move(0.1)
        counts.append(store.spent(USER))
        assert counts == [0, 1, 1, 1, 0]
        taken(store, USER)
        taken(store, USER)

    def test_no_budget_is_always_free(self, store: Store) -> None:
        """A provider without limits gets a permit at once."""
        assert taken(store).budgets == ()

    # --- lists --------------------------------------------------------------------------------------------------------

    def test_published_data_is_read_with_its_age_and_only_when_it_is_news(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Each `publish` is a new version, the same bytes too: the list was confirmed."""
        assert store.read("q") is None
        lease = leased(store)
        assert store.publish(lease, b"\x00one")
        clock.move(7)
        first = store.read("q")
        assert first is not None
        assert first.data == b"\x00one"
        assert first.age == pytest.approx(7)
        assert store.read("q", unless=first.version) is None
        assert store.publish(lease, b"\x00one")
        again = store.read("q", unless=first.version)
        assert again is not None, "the same list is published again: it was confirmed"
        assert again.version != first.version
        assert again.age == 0
        assert store.read("r") is None

    def test_old_holder_cannot_publish_over_a_newer_one(self, store: Store, clock: ManualClock) -> None:
        """The fence decides, not the clock: an old list never wins over a newer one."""
        old = leased(store)
        clock.move(11)
        assert store.publish(old, b"late, but nobody came after"), "an ended lease that nobody took"
        new = leased(store, "b")
        assert not store.publish(old, b"old")
        assert store.publish(new, b"new")
        assert not store.publish(old, b"old")
        assert not store.publish(Lease("q", "b", 99), b"forged")
        saved = store.read("q")
        assert saved is not None
        assert saved.data == b"new"

    def test_nothing_is_published_with_a_released_lease(self, store: Store) -> None:
        """Who released it has no say any more."""
        lease = leased(store)
        store.release(lease)
        assert not store.publish(lease, b"x")

    # --- arguments, and the end ---------------------------------------------------------------------------------------

    @pytest.mark.parametrize("name", ["", "x" * (MAX_NAME + 1), "a\nb", "a\0b"])
    def test_names_are_short_and_printable(self, store: Store, name: str) -> None:
        """A name becomes a key in a database or a line in a log."""
        for ask in (
            lambda: store.lease(name, "a", 1),
            lambda: store.lease("q", name, 1),
            lambda: store.attend(name, "a", 1),
            lambda: store.attend("q", name, 1),
            lambda: store.take((RateBudget(name, 1, 1.0),), 1),
            lambda: store.read(name),
        ):
            refused(ValueError, ask, f"{name!r} is taken for a name: names are short and printable (ValueError)")

    @pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
    def test_lengths_of_time_are_above_0_and_finite(self, store: Store, seconds: float) -> None:
        """Zero, negative, infinite and NaN seconds raise ValueError."""
        rule = f"{seconds} is taken for a length of time: it is above 0 and finite (ValueError)"
        refused(ValueError, lambda: store.lease("q", "a", seconds), rule)
        refused(ValueError, lambda: store.attend("q", "a", seconds), rule)
        refused(ValueError, lambda: store.take((USER,), seconds), rule)

    def test_data_has_a_longest_length(self, store: Store) -> None:
        """More than `MAX_DATA` bytes raise ValueError, and nothing is saved."""
        lease = leased(store)
        refused(ValueError, lambda: store.publish(lease, b"x" * (MAX_DATA + 1)), "data of any length is saved")
        assert store.read("q") is None

    def test_closed_store_opens_again_and_its_leases_go_on(self, store: Store) -> None:
        """`close` ends connections, not leases. It may be called twice; the next use opens the store again."""
        leased(store)
        store.close()
        store.close()
        assert store.lease("q", "b", 10) == pytest.approx(10)

    def test_store_has_a_word_and_a_line(self, store: Store) -> None:
        """`kind` and `summary` are shown in lists and messages."""
        assert store.kind.isidentifier()
        assert store.summary.endswith(".")

    # --- what is claimed ----------------------------------------------------------------------------------------------

    def test_claims_are_words_that_fit_together(self, store: Store) -> None:
        """Lists show what the store claims. `hosts` and `lasting` are more than `processes`, not something else."""
        stated = store.capabilities
        assert isinstance(stated, frozenset), "`capabilities` is a frozenset"
        assert all(re.fullmatch(r"[a-z][a-z0-9-]*", word) for word in stated), "capabilities are plain words"
        assert "processes" in stated or not stated & {"hosts", "lasting"}, "`processes` is not claimed with the others"

    def test_other_processes_hear_if_that_is_claimed(self, store: Store, clock: ManualClock) -> None:
        """With `processes`: leases, budgets, who is there and lists are the same in each object for one place."""
        with self._second(store, clock, "processes") as other:
            assert other.identity == store.identity, "the same place, another identity"
            lease = leased(store, "a")
            assert isinstance(other.lease("q", "b", 10), float), "two hold one lease"
            assert store.publish(lease, b"news")
            assert (saved := other.read("q")) is not None, "what one process publishes, another does not read"
            assert saved.data == b"news"
            assert [store.attend("q", "a", 10), other.attend("q", "b", 10)] == [1, 2]
            taken(store, USER)
            taken(other, USER)
            assert isinstance(store.take((USER,), 5), float), "each process spends a budget of its own"

    def test_lists_last_if_that_is_claimed(self, store: Store, clock: ManualClock) -> None:
        """With `lasting`: a list is still there when everybody has closed the store, for a cold start."""
        if "lasting" not in store.capabilities:
            pytest.skip("`lasting` is not claimed")
        store.publish(leased(store), b"old")
        store.close()
        with self._second(store, clock, "lasting") as other:
            saved = other.read("q")
            assert saved is not None, "the list is gone with the last process"
            assert saved.data == b"old"

    @contextmanager
    def _second(self, store: Store, clock: ManualClock, capability: str) -> Generator[Store]:
        if capability not in store.capabilities:
            pytest.skip(f"`{capability}` is not claimed")
        other = self.another(store, clock)
        try:
            yield other
        finally:
            other.close()
