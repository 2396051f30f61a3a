"""How often a question is asked: every question has its turns, and none of them waits for a place."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directlane.core.discovery.pace import Pace
from directlane.core.interfaces.discovery import RateBudget

USER = RateBudget("user", 20, 60.0)
OTHER = RateBudget("other", 20, 60.0)


def pace(*conversations: tuple[RateBudget, ...]) -> Pace:
    made = Pace()
    for spent in conversations:
        made.note(spent, spent)
    return made


def test_without_a_limit_the_configured_interval_holds() -> None:
    assert pace((), ()).interval(5.0, {}, math.inf) == 5.0


def test_alone_with_a_limit_the_configured_interval_holds() -> None:
    assert pace((USER,)).interval(5.0, {"user": 1}, math.inf) == 5.0


def test_three_questions_of_one_user_take_six_turns_a_minute_each() -> None:
    assert pace((USER,)).interval(5.0, {"user": 3}, math.inf) == pytest.approx(10.0, rel=0.02)


def test_users_that_take_turns_double_the_turns() -> None:
    both = pace((USER,), (OTHER,), (USER,), (OTHER,))
    assert both.fair({"user": 3, "other": 3}) == pytest.approx(60 / 13, rel=0.02)


def test_a_login_that_came_first_does_not_slow_the_question_down() -> None:
    made = Pace()
    made.note((RateBudget("login", 10, 60.0), USER), (USER,))
    assert made.fair({"user": 3, "login": 3}) == pytest.approx(10.0, rel=0.02)
    assert made.budgets == ("user",)


def test_more_questions_than_places_take_several_windows() -> None:
    assert pace((USER,)).fair({"user": 41}) == pytest.approx(180.0, rel=0.02)


def test_after_a_change_the_next_one_is_looked_for_sooner_but_never_below_the_fair_pause() -> None:
    assert pace((USER,)).interval(5.0, {"user": 1}, 1.0) == pytest.approx(60 / 20, rel=0.02)
    assert pace(()).interval(5.0, {}, 59.0) == 2.5
    assert pace(()).interval(5.0, {}, 61.0) == 5.0
    assert pace((USER,)).interval(5.0, {"user": 3}, 1.0) > 10.0


def test_only_the_last_eight_conversations_count() -> None:
    assert pace((USER,), *[()] * 8).fair({"user": 20}) == 0.0


LIMITS = st.builds(RateBudget, st.just("user"), st.integers(1, 50), st.floats(1.0, 100.0))


@settings(deadline=None)
@given(LIMITS, st.integers(1, 60))
def test_turns_of_all_questions_fit_into_every_window_whatever_their_order(budget: RateBudget, questions: int) -> None:
    pause = pace((budget,)).fair({"user": questions})
    if questions <= budget.limit:
        turns = math.floor(budget.window / pause) + 1  # that a window may hold of one question
        assert turns * questions <= budget.limit
    else:
        assert pause >= budget.window


@settings(deadline=None)
@given(st.floats(0.1, 60.0), st.floats(0.0, 0.5), st.integers(0, 99), st.integers(1, 30))
def test_jitter_never_shortens_a_pause_that_a_limit_sets(
    interval: float, jitter: float, seed: int, questions: int
) -> None:
    one = pace((USER,))
    wanted = one.interval(interval, {"user": questions}, math.inf)
    varied = one.with_jitter(wanted, interval, jitter, Random(seed))
    if wanted > interval:
        assert wanted <= varied <= wanted * 1.01
    else:
        assert interval * (1 - jitter) <= varied <= interval * (1 + jitter)
