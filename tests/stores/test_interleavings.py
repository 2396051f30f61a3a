"""Any order of events: no window holds more than the limit, and no two hold one lease.

The far side counts a query at some moment between `take` and `settle`, or until `hold` is over for one that died. The
test lets it choose the worst: every moment of that span.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis_lab import RedisServer
from store_lab import HostClock

from directlane.core.interfaces.discovery import RateBudget
from directlane.core.interfaces.store import Lease, Permit, Store
from directlane.core.stores.memory_store import MemoryStore
from directlane.core.stores.redis_place import RedisPlace
from directlane.core.stores.redis_store import RedisStore
from directlane.core.stores.sqlite_store import SqliteStore

USER = RateBudget("user", 3, 10.0)
TENANT = RateBudget("tenant", 4, 7.0)
HOLD = 4.0

Make = Callable[[HostClock, Path, int], list[Store]]
"""So many views of one new place, as processes have them."""

EXAMPLES = {"memory": 200, "sqlite": 15, "redis": 40}


@pytest.fixture
def make(kind: str, request: pytest.FixtureRequest) -> Make:
    if kind == "memory":
        return lambda clock, folder, count: [MemoryStore(clock)]
    if kind == "sqlite":
        return lambda clock, folder, count: [SqliteStore(folder / "s" / "store.sqlite", clock) for _ in range(count)]
    server: RedisServer = request.getfixturevalue("shared_redis")

    def redis(clock: HostClock, folder: Path, count: int) -> list[Store]:
        place = RedisPlace.from_url(f"{server.url}?prefix=t{secrets.token_hex(4)}")
        return [RedisStore(place, patience=30, clock=clock.now) for _ in range(count)]

    return redis


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "settle", "die", "cancel", "move", "wait", "almost", "both"]),
        st.integers(0, 9),
        st.floats(0.01, 6.0),
    ),
    min_size=5,
    max_size=40,
)


@dataclass
class Sent:
    """A query that may have arrived from `first` to `last`, both included."""

    permit: Permit
    first: float
    last: float


@pytest.mark.parametrize("kind", EXAMPLES)
def test_no_window_holds_more_than_the_limit(kind: str, make: Make) -> None:
    @settings(max_examples=EXAMPLES[kind], deadline=None)
    @given(STEPS)
    def check(steps: list[tuple[str, int, float]]) -> None:
        clock = HostClock()
        with tempfile.TemporaryDirectory() as folder:
            stores = make(clock, Path(folder), 2)
            sent = play(stores, clock, steps)
            for store in stores:
                store.close()
        for budget in (USER, TENANT):
            spans = [(one.first, one.last) for one in sent if budget.name in one.permit.budgets]
            # The fullest window begins at some query's last moment: any later and it would lose that one.
            for _, start in spans:
                inside = [span for span in spans if may_be_within(span, start, budget.window)]
                assert len(inside) <= budget.limit, (budget.name, start, spans)

    check()


def may_be_within(span: tuple[float, float], start: float, window: float) -> bool:
    """Whether the query may be counted in the window that begins at `start`."""
    first, last = span
    return last >= start and first < start + window - 1e-6


def play(stores: list[Store], clock: HostClock, steps: list[tuple[str, int, float]]) -> list[Sent]:
    sent: list[Sent] = []
    under_way: list[Sent] = []
    wait = 0.0
    for word, number, seconds in steps:
        store = stores[number % len(stores)]
        if word in ("take", "both"):
            budgets = (USER, TENANT) if word == "both" else (USER,)
            got = store.take(budgets, HOLD)
            if isinstance(got, Permit):
                under_way.append(Sent(got, clock.time, clock.time + HOLD))
                sent.append(under_way[-1])
            else:
                assert got > 0
                wait = got
        elif word == "move":
            clock.move(seconds)
        elif word in ("wait", "almost"):
            clock.move(wait if word == "wait" else wait * 0.98)
            wait = 0.0
        elif under_way:
            one = under_way.pop(number % len(under_way))
            if word == "settle":
                one.last = min(one.last, clock.time)  # who keeps to `hold` has not sent anything later
                store.settle(one.permit)
            elif word == "cancel" and clock.time < one.last:
                store.cancel(one.permit)
                sent.remove(one)
    return sent


@pytest.mark.parametrize("kind", EXAMPLES)
def test_no_two_hold_one_lease_and_the_newest_word_stands(kind: str, make: Make) -> None:
    words = st.sampled_from(["lease", "lease", "publish", "release", "move"])

    @settings(max_examples=EXAMPLES[kind], deadline=None)
    @given(st.lists(st.tuples(words, st.sampled_from("abc"), st.floats(0.1, 6.0)), max_size=40))
    def check(steps: list[tuple[str, str, float]]) -> None:
        clock = HostClock()
        with tempfile.TemporaryDirectory() as folder:
            (store,) = make(clock, Path(folder), 1)
            ends: dict[str, float] = {}
            mine: dict[str, Lease] = {}
            fence = published = 0
            for word, who, seconds in steps:
                if word == "move":
                    clock.move(seconds)
                elif word == "lease":
                    holders = {one for one, end in ends.items() if end > clock.time}
                    got = store.lease("q", who, seconds)
                    if isinstance(got, Lease):
                        assert holders <= {who}
                        assert got.fence == fence if who in holders else got.fence > fence
                        fence, mine[who], ends[who] = got.fence, got, clock.time + seconds
                    else:
                        assert holders
                        assert who not in holders
                        assert got == pytest.approx(max(ends[one] for one in holders) - clock.time, abs=1e-5)
                elif who in mine and word == "release":
                    store.release(mine.pop(who))
                    ends.pop(who)
                elif who in mine:
                    was_saved = store.publish(mine[who], str(mine[who].fence).encode())
                    assert was_saved == (mine[who].fence == fence)
                    published = max(published, mine[who].fence * was_saved)
                saved = store.read("q")
                assert int(saved.data if saved is not None else b"0") == published
            store.close()

    check()
