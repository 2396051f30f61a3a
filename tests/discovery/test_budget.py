"""Rate budgets hold where the far side counts, are used in full, and are shared fairly."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

import pytest
from discovery_lab import VirtualLoop, run_virtual
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from directlane.core.discovery.budget import BudgetLedger, LocalBudgetKeeper, Reservation
from directlane.core.interfaces.discovery import RateBudget

SMALL = RateBudget("small", 2, 10.0)
LARGE = RateBudget("large", 5, 30.0)
SMALL_LONG = RateBudget("small", 3, 25.0)  # the same limit, as another route knows it
ALL = (SMALL, LARGE, SMALL_LONG)


def most_in_a_window(arrivals: Sequence[float], window: float) -> int:
    """The most arrivals that any window holds."""
    times = sorted(arrivals)
    return max((sum(start <= time < start + window - 1e-6 for time in times) for start in times), default=0)


class Ledger(RuleBasedStateMachine):
    """Queries go out, take any time, and arrive at the far side at any moment of that time."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = BudgetLedger()
        self.now = 0.0
        self.open: list[tuple[Reservation, float, tuple[RateBudget, ...]]] = []
        self.arrivals: dict[RateBudget, list[float]] = {budget: [] for budget in ALL}

    def reserve(self, budgets: tuple[RateBudget, ...]) -> float | Reservation:
        got = self.ledger.reserve(budgets, self.now)
        if isinstance(got, Reservation):
            self.open.append((got, self.now, budgets))
        return got

    def arrive(self, budgets: Sequence[RateBudget], moment: float) -> None:
        for budget in ALL:
            if budget in budgets:
                self.arrivals[budget].append(moment)

    @rule(seconds=st.floats(0.01, 12))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(budgets=st.lists(st.sampled_from([SMALL, LARGE]), max_size=3).map(tuple))
    def ask(self, budgets: tuple[RateBudget, ...]) -> None:
        got = self.reserve(budgets)
        if not isinstance(got, Reservation):
            assert 0 < got <= 30

    @precondition(lambda self: bool(self.open))
    @rule(which=st.integers(0), share=st.floats(0, 1))
    def answer(self, which: int, share: float) -> None:
        reservation, started, budgets = self.open.pop(which % len(self.open))
        reservation.settle(self.now)
        self.arrive(budgets, started + (self.now - started) * share)

    @precondition(lambda self: not self.open)
    @rule(budget=st.sampled_from([SMALL, LARGE]))
    def what_the_ledger_says_is_enough(self, budget: RateBudget) -> None:
        got = self.reserve((budget,))
        if not isinstance(got, Reservation):
            self.now += got + 1e-6
            assert isinstance(self.reserve((budget,)), Reservation)

    @precondition(lambda self: not self.open)
    @rule(budget=st.sampled_from([SMALL, LARGE]))
    def idle_budget_can_be_spent_at_once(self, budget: RateBudget) -> None:
        self.now += budget.window + 1e-6
        for _ in range(budget.limit):
            assert isinstance(self.reserve((budget,)), Reservation)
        assert not isinstance(self.reserve((budget,)), Reservation)

    def teardown(self) -> None:
        for _, started, budgets in self.open:
            self.arrive(budgets, started)
        for budget, arrivals in self.arrivals.items():
            assert most_in_a_window(arrivals, budget.window) <= budget.limit


TestLedger = Ledger.TestCase
TestLedger.settings = settings(deadline=None)


def test_longer_window_of_the_same_limit_is_not_forgotten() -> None:
    ledger = BudgetLedger()
    assert ledger.spent(SMALL_LONG, 0.0) == 0  # from now on the ledger knows the longer one
    for second in (0.0, 11.0, 22.0):
        got = ledger.reserve((SMALL,), second)
        assert isinstance(got, Reservation)
        got.settle(second)
    assert ledger.reserve((SMALL_LONG,), 22.0) == 3.0


def test_query_that_is_under_way_counts_however_long_it_takes() -> None:
    ledger = BudgetLedger()
    one = ledger.reserve((SMALL,), 0.0)
    assert isinstance(one, Reservation)
    ledger.reserve((SMALL,), 0.0)
    assert ledger.spent(SMALL, 1000.0) == 2
    one.settle(1000.0)
    assert ledger.spent(SMALL, 1009.9) == 2
    assert ledger.spent(SMALL, 1010.1) == 1


def test_query_that_was_never_sent_does_not_count() -> None:
    ledger = BudgetLedger()
    got = ledger.reserve((SMALL, LARGE), 0.0)
    assert isinstance(got, Reservation)
    got.cancel()
    assert (ledger.spent(SMALL, 0.0), ledger.spent(LARGE, 0.0)) == (0, 0)


def test_child_counts_what_the_parent_spent_and_what_was_under_way_ages() -> None:
    ledger = BudgetLedger()
    ledger.reserve((SMALL,), 0.0)
    ledger.after_fork_in_child(5.0)
    assert ledger.spent(SMALL, 14.9) == 1
    assert ledger.spent(SMALL, 15.1) == 0


def test_query_without_budget_goes_at_once() -> None:
    assert isinstance(BudgetLedger().reserve((), 0.0), Reservation)


# --- the keeper, in virtual time -------------------------------------------------------------------------------------


def test_line_is_served_in_the_order_of_arrival() -> None:
    async def main(loop: VirtualLoop) -> list[tuple[int, float]]:
        keeper, served = LocalBudgetKeeper(loop), list[tuple[int, float]]()

        async def query(number: int) -> None:
            async with keeper.spend((SMALL,)):
                served.append((number, round(loop.time(), 3)))

        await asyncio.gather(*(query(number) for number in range(5)))
        return served

    assert run_virtual(main) == [(0, 0.0), (1, 0.0), (2, 10.0), (3, 10.0), (4, 20.0)]


def test_who_waits_for_one_budget_does_not_block_those_who_need_another() -> None:
    async def main(loop: VirtualLoop) -> float:
        keeper = LocalBudgetKeeper(loop)
        for _ in range(2):
            async with keeper.spend((SMALL, LARGE)):
                pass
        waiting = asyncio.ensure_future(_spend(keeper, (SMALL, LARGE)))
        await asyncio.sleep(0)
        await _spend(keeper, (LARGE,))
        at = loop.time()
        await waiting
        assert loop.time() == pytest.approx(10.0)
        return at

    assert run_virtual(main) == 0.0


def test_hungry_one_is_not_starved_by_those_who_need_less() -> None:
    async def main(loop: VirtualLoop) -> float:
        keeper = LocalBudgetKeeper(loop)

        async def greedy() -> None:
            while True:
                await _spend(keeper, (SMALL,))

        crowd = [asyncio.ensure_future(greedy()) for _ in range(5)]
        await asyncio.sleep(1)
        await _spend(keeper, (LARGE, SMALL))
        at = loop.time()
        for one in crowd:
            one.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        return at

    assert run_virtual(main) <= 30.1


def test_cancelled_waiter_leaves_the_line_and_spends_nothing() -> None:
    async def main(loop: VirtualLoop) -> None:
        ledger = BudgetLedger()
        keeper = LocalBudgetKeeper(loop, ledger)
        await asyncio.gather(_spend(keeper, (SMALL,)), _spend(keeper, (SMALL,)))
        first, second = (asyncio.ensure_future(_spend(keeper, (SMALL,))) for _ in range(2))
        await asyncio.sleep(1)
        first.cancel()
        await second
        assert loop.time() == pytest.approx(10.0)
        assert ledger.spent(SMALL, loop.time()) == 1

    run_virtual(main)


def test_waiter_that_is_cancelled_when_it_got_its_place_gives_it_back() -> None:
    async def main(loop: VirtualLoop) -> None:
        ledger = BudgetLedger()
        keeper = LocalBudgetKeeper(loop, ledger)
        await asyncio.gather(_spend(keeper, (SMALL,)), _spend(keeper, (SMALL,)))
        ran: list[bool] = []

        async def second() -> None:
            async with keeper.spend((SMALL,)):
                ran.append(True)

        async def first() -> None:
            async with keeper.spend((SMALL,)):
                late.cancel()  # both places became free at once: it has one and does not know yet

        early, late = asyncio.ensure_future(first()), asyncio.ensure_future(second())
        await asyncio.gather(early, late, return_exceptions=True)
        assert late.cancelled()
        assert not ran
        assert ledger.spent(SMALL, loop.time()) == 1

    run_virtual(main)


def test_query_that_fails_is_settled_too() -> None:
    async def main(loop: VirtualLoop) -> int:
        ledger = BudgetLedger()
        with pytest.raises(OSError, match="broken"):
            async with LocalBudgetKeeper(loop, ledger).spend((SMALL,)):
                raise OSError("broken")
        return ledger.spent(SMALL, 10.1)

    assert run_virtual(main) == 0


KINDS = st.sampled_from([(SMALL,), (LARGE,), (SMALL, LARGE), (LARGE, SMALL), ()])
QUERIES = st.lists(st.tuples(st.floats(0, 40), KINDS, st.floats(0, 8)), max_size=14)


@settings(deadline=None)
@given(QUERIES, st.integers(), st.sets(st.integers(0, 13)))
def test_whatever_the_network_does_no_window_holds_more_and_everybody_is_served(
    queries: list[tuple[float, tuple[RateBudget, ...], float]], seed: int, cancelled: set[int]
) -> None:
    arrivals: dict[RateBudget, list[float]] = {SMALL: [], LARGE: []}
    random = Random(seed)

    async def main(loop: VirtualLoop) -> None:
        keeper = LocalBudgetKeeper(loop)

        async def query(start: float, budgets: tuple[RateBudget, ...], takes: float) -> None:
            await asyncio.sleep(start)
            async with keeper.spend(budgets):
                on_the_way = takes * random.random()
                await asyncio.sleep(on_the_way)
                for budget in budgets:
                    arrivals[budget].append(loop.time())
                await asyncio.sleep(takes - on_the_way)

        tasks = [asyncio.ensure_future(query(*one)) for one in queries]
        for number, task in enumerate(tasks):
            if number in cancelled:
                loop.call_later(random.random() * 40, task.cancel)
        done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 2000)
        assert all(end is None or isinstance(end, asyncio.CancelledError) for end in done)

    run_virtual(main)
    for budget, times in arrivals.items():
        assert most_in_a_window(times, budget.window) <= budget.limit


async def _spend(keeper: LocalBudgetKeeper, budgets: Sequence[RateBudget]) -> None:
    async with keeper.spend(budgets):
        pass
