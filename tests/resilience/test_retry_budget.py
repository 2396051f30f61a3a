"""The budget for extra attempts, in virtual time."""

from __future__ import annotations

import threading

import pytest
from clock_lab import VirtualClock
from dispatch_lab import Answered, InTurn, Lab, ListProvider, answered, failed
from hypothesis import given
from hypothesis import strategies as st

from directlane import AttemptsError, CallSettings, Endpoint, Phase, RoutePlan
from directlane.core.config.retry_budget import RetryBudgetSettings
from directlane.core.dispatch.call import Attempt
from directlane.core.resilience.retry_budget import RetryBudget


def budget(clock: VirtualClock, **settings: float) -> RetryBudget:
    return RetryBudget(RetryBudgetSettings.model_validate(settings), clock)


def spent(purse: RetryBudget) -> int:
    """Take all there is."""
    taken = 0
    while purse.spend():
        taken += 1
    return taken


def test_the_reserve_is_there_from_the_start_and_fills_up_again() -> None:
    clock = VirtualClock()
    purse = budget(clock, minimum=5, per_second=2, share=0)
    assert (purse.left, spent(purse), purse.left) == (5, 5, 0)
    clock.now += 1
    assert spent(purse) == 2
    clock.now += 1000
    assert spent(purse) == 5, "never more than the reserve"


def test_calls_earn_a_share_and_what_they_earned_fades() -> None:
    clock = VirtualClock()
    purse = budget(clock, minimum=0, per_second=0, share=0.2, window=10)
    for _ in range(100):
        purse.call_came()
    assert purse.left == 20
    clock.now += 10
    assert purse.left == 7, "20 / e"
    clock.now += 1000
    assert purse.left == 0


def test_calls_of_a_long_quiet_time_earn_what_their_rate_earns_in_a_window() -> None:
    clock = VirtualClock()
    purse = budget(clock, minimum=0, per_second=0, share=0.2, window=10)
    for _ in range(1_000):
        purse.call_came()
    clock.now += 100
    assert purse.left == 19, "10 calls per second, so 100 in a window; nobody asked for 100 s"


@given(
    st.floats(0, 1),
    st.integers(0, 20),
    st.floats(0, 5),
    st.lists(st.tuples(st.floats(0, 30), st.integers(0, 50), st.integers(0, 30)), max_size=30),
)
def test_never_more_than_the_share_the_reserve_and_the_trickle(
    share: float, minimum: int, per_second: float, steps: list[tuple[float, int, int]]
) -> None:
    """From the start of any step to the end of any later one, whatever came before."""
    clock = VirtualClock()
    purse = budget(clock, share=share, minimum=minimum, per_second=per_second, window=10)
    begun_at, calls, granted, at_begin = clock.now, 0, 0, purse.left
    for passed, came, asked in steps:
        clock.now += passed
        for _ in range(came):
            purse.call_came()
        calls += came
        granted += sum(purse.spend() for _ in range(asked))
        assert granted <= share * calls + at_begin + per_second * (clock.now - begun_at) + 1e-6
        assert purse.left >= 0


def test_many_threads_take_no_more_than_there_is() -> None:
    purse = budget(VirtualClock(), minimum=500, per_second=0, share=0)
    taken: list[int] = []

    def take() -> None:
        taken.append(spent(purse))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 500


# --- in the dispatch --------------------------------------------------------------------------------------------------


def test_r2_a_service_that_is_down_gets_a_fifth_more_attempts_and_the_reserve() -> None:
    """Bar R2: all dead, 1,000 calls per second. Without a budget there were three attempts for each call."""
    lab = Lab.of(*"abcde", attempts=3)
    calls, began = 4_000, lab.clock.now
    for number in range(calls):
        lab.clock.now = began + number / 1000
        with pytest.raises(AttemptsError):
            lab.run(lab.call(), lambda _: failed(Phase.CONNECT, 0.0))
    settings = lab.settings.retry_budget
    bound = calls * (1 + settings.share) + settings.minimum + settings.per_second * calls / 1000
    assert calls * 1.15 < len(lab.asked) <= bound
    assert lab.open_calls() == 0


def test_r2_with_answers_that_ask_to_go_elsewhere() -> None:
    lab = Lab.of(*"abcde", attempts=3, retry_budget={"minimum": 10, "per_second": 0})
    for _ in range(1_000):
        assert lab.run(lab.call(), lambda _: answered(503, seconds=0.0)).status == 503
    assert 1_150 < len(lab.asked) <= 1_210


def test_a_call_whose_budget_is_spent_ends_at_once_and_says_so() -> None:
    lab = Lab.of("a", "b", retry_budget={"share": 0, "per_second": 0, "minimum": 1})
    with pytest.raises(AttemptsError) as first:
        lab.run(lab.call(), lambda _: failed(Phase.CONNECT))
    assert (len(first.value.attempts), first.value.is_budget_spent, first.value.retries_left) == (2, True, 0)
    with pytest.raises(AttemptsError, match="the retry budget of the service is spent") as second:
        lab.run(lab.call(), lambda _: failed(Phase.CONNECT))
    error = second.value
    assert [record.endpoint.id for record in error.attempts] == ["a"]
    assert "`retry_budget`" in str(error)
    assert error.elapsed == pytest.approx(0.01)
    assert lab.open_calls() == 0


def test_another_tier_is_paid_from_the_same_budget() -> None:
    tiers = [
        RoutePlan(name, ListProvider(endpoints=(Endpoint(name, 80, id=name),)), tier=tier)
        for tier, name in enumerate("ab")
    ]
    settings = CallSettings(retry_budget=RetryBudgetSettings(share=0, per_second=0, minimum=1))
    lab = Lab(tiers, settings, balancer=InTurn())

    def network(attempt: Attempt) -> Answered:
        return failed(Phase.CONNECT) if attempt.member.endpoint.id == "a" else answered()

    assert lab.run(lab.call(), network).attempts == 2
    with pytest.raises(AttemptsError):
        lab.run(lab.call(), network)


def test_a_healthy_call_takes_nothing() -> None:
    lab = Lab.of("a", retry_budget={"share": 0, "per_second": 0, "minimum": 3})
    for _ in range(100):
        lab.run(lab.call(), lambda _: answered())
    assert lab.dispatcher.budget.left == 3
