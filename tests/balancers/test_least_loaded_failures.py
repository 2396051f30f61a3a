"""A failed call counts as an open one for a while: how much, for how long, and what brings it back."""

from __future__ import annotations

import pytest
from clock_lab import VirtualClock
from hypothesis import given
from hypothesis import strategies as st

from directlane.core.errors import Phase, TransportError
from directlane.core.interfaces.balancer import Penalty
from directlane.core.message import Reply
from directlane.core.outcome import FAIL, OK, REAUTHENTICATE, Outcome, Verdict, back_off, retry_elsewhere
from directlane.core.pool.penalty import LONGEST, SPAN, after_failure, after_success
from directlane.core.pool.statistics import EndpointStats

ELSEWHERE = retry_elsewhere(may_have_run=True)


def _answer(status: int) -> Outcome:
    return Outcome(Phase.DONE, 0.1, Reply(status))


BROKEN = Outcome(Phase.WAIT, 0.1, error=TransportError("gone", phase=Phase.WAIT))


def test_a_failure_is_one_call_that_fades_in_five_seconds() -> None:
    penalty = after_failure(None, 10.0)
    assert [penalty.left(second) for second in (10.0, 12.5, 14.0, 15.0, 99.0)] == pytest.approx([1, 0.5, 0.2, 0, 0])
    assert penalty.left(15.0) == 0.0  # exactly: it must be equal again to those that never failed


def test_failures_add_up() -> None:
    penalty = after_failure(after_failure(after_failure(None, 0.0), 0.0), 2.5)
    assert penalty.left(2.5) == 2.0


def test_many_failures_at_once_are_one_event() -> None:
    penalty = None
    for _ in range(100):
        penalty = after_failure(penalty, 1.0)
    assert penalty is not None
    assert (penalty.calls, penalty.span) == (100.0, SPAN)


def test_the_span_doubles_while_nothing_else_comes() -> None:
    penalty, now, spans = after_failure(None, 0.0), 0.0, list[float]()
    for _ in range(8):
        now += penalty.span
        penalty = after_failure(penalty, now)
        spans.append(penalty.span)
    assert spans == [10, 20, 40, 80, 160, 300, 300, 300]


def test_a_success_brings_back_the_usual_span_and_keeps_what_is_left() -> None:
    long = Penalty(4.0, at=0.0, span=300.0, settled_at=0.0)
    short = after_success(long, 150.0)
    assert short == Penalty(2.0, 150.0, SPAN, 150.0)
    assert short is not None
    assert after_success(short, 155.0) is None


def test_retry_after_is_kept_through_the_success_of_an_older_call() -> None:
    penalty = after_failure(None, 0.0, 60.0)
    assert penalty.span == 60.0
    assert after_success(penalty, 30.0) is penalty
    assert after_success(penalty, 60.0) is None


def test_retry_after_has_a_limit() -> None:
    assert after_failure(None, 0.0, 86_400.0).span == LONGEST


@given(st.lists(st.tuples(st.floats(0, 400), st.none() | st.floats(0, 1000) | st.just(-1.0)), max_size=30))
def test_any_story_is_sane(story: list[tuple[float, float | None]]) -> None:
    """-1 stands for a success, everything else for a failure with that delay."""
    penalty: Penalty | None = None
    now, failures = 0.0, 0
    for pause, delay in story:
        now += pause
        if delay == -1.0:
            penalty = penalty and after_success(penalty, now)
        else:
            penalty = after_failure(penalty, now, delay)
            failures += 1
            assert penalty.left(now) >= 1.0
        if penalty is not None:
            assert 0 < penalty.left(now) <= failures or penalty.left(now) == 0
            assert SPAN <= penalty.span <= LONGEST
            assert penalty.left(now + LONGEST + 1) == 0.0


@pytest.mark.parametrize(
    ("outcome", "verdict", "is_failure"),
    [
        (BROKEN, ELSEWHERE, True),
        (_answer(503), ELSEWHERE, True),
        (_answer(429), back_off(), True),
        (_answer(500), FAIL, True),  # the caller gets it, and the endpoint is to blame
        (_answer(200), OK, False),
        (_answer(404), FAIL, False),  # the caller's own mistake
        (_answer(401), REAUTHENTICATE, False),
    ],
)
def test_who_is_to_blame(outcome: Outcome, verdict: Verdict, is_failure: bool) -> None:
    stats = EndpointStats(VirtualClock(100.0))
    stats.record(outcome, verdict)
    assert (stats.penalty is not None) == is_failure


def test_the_statistics_go_by_their_clock() -> None:
    clock = VirtualClock(100.0)
    stats = EndpointStats(clock)
    stats.record(_answer(503), back_off(20.0))
    assert stats.penalty == Penalty(1.0, 100.0, 20.0, 120.0)
    clock.now = 110.0
    stats.record_broken(RuntimeError("broke off"))
    assert stats.penalty == Penalty(1.5, 110.0, 20.0, 120.0)
    clock.now = 125.0
    stats.record(_answer(200), OK)
    assert stats.penalty == Penalty(0.375, 125.0, SPAN, 125.0)
    stats.record_cancelled()
    clock.now = 130.0
    stats.record(_answer(200), OK)
    assert stats.penalty is None
