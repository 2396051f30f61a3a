"""What is believed after each answer, and when the next question is due."""

from __future__ import annotations

import gc
import math
import weakref
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directlane import (
    AddressSource,
    CredentialError,
    DiscoveryError,
    DiscoveryThrottled,
    DiscoveryUnreadable,
    EmptyAnswer,
    Endpoint,
    Snapshot,
)
from directlane.core.config.model import DiscoverySettings
from directlane.core.discovery.belief import Belief, after_answer, after_failure, next_delay

PRIVATE = DiscoverySettings().allow_networks
ONE = Snapshot((Endpoint("10.0.0.1", 80),))
TWO = Snapshot((Endpoint("10.0.0.1", 80), Endpoint("10.0.0.2", 80)))
STRANGER = Snapshot((Endpoint("8.8.8.8", 80),))
EMPTY = Snapshot()


def answered(belief: Belief, answer: Snapshot, now: float = 0.0, empty: EmptyAnswer = EmptyAnswer.REFUSE) -> Belief:
    return after_answer(belief, answer, now, source=AddressSource.LEARNED, empty=empty, networks=PRIVATE)


def failing(times: int, belief: Belief | None = None, error: type[DiscoveryError] = DiscoveryError) -> Belief:
    belief = belief or Belief()
    for _ in range(times):
        belief = after_failure(belief, error("it broke"))
    return belief


def test_nothing_is_known_at_first() -> None:
    assert Belief().endpoints == ()
    assert Belief().age(5.0) is None


def test_good_answer_is_believed_and_ages() -> None:
    belief = answered(Belief(), TWO, now=10.0)
    assert belief.endpoints == TWO.endpoints
    assert belief.age(12.5) == 2.5
    assert belief.age(9.0) == 0.0, "an age is never below 0"
    assert (belief.questions, belief.failures, belief.error) == (1, 0, None)


def test_failure_keeps_the_list_and_counts() -> None:
    belief = failing(2, answered(Belief(), TWO, now=10.0))
    assert belief.endpoints == TWO.endpoints
    assert belief.age(15.0) == 5.0
    assert (belief.questions, belief.failures, belief.failures_in_row) == (3, 2, 2)
    again = answered(belief, ONE, now=20.0)
    assert (again.endpoints, again.error, again.failures, again.failures_in_row) == (ONE.endpoints, None, 2, 0)


@pytest.mark.parametrize("empty", EmptyAnswer)
def test_answer_without_one_valid_entry_is_a_failure_whatever_empty_means(empty: EmptyAnswer) -> None:
    belief = answered(answered(Belief(), TWO), STRANGER, empty=empty)
    assert belief.endpoints == TWO.endpoints
    assert isinstance(belief.error, DiscoveryUnreadable)
    assert "8.8.8.8" in str(belief.error)


def test_empty_answer_that_is_refused() -> None:
    belief = answered(answered(Belief(), TWO), EMPTY, 5.0)
    assert belief.endpoints == TWO.endpoints
    assert isinstance(belief.error, DiscoveryUnreadable)
    assert belief.confirmed_at == 0.0


def test_empty_answer_that_keeps() -> None:
    belief = answered(answered(Belief(), TWO), EMPTY, 5.0, EmptyAnswer.KEEP)
    assert belief.endpoints == TWO.endpoints
    assert (belief.error, belief.is_empty, belief.confirmed_at) == (None, True, 0.0)
    assert not answered(belief, ONE, empty=EmptyAnswer.KEEP).is_empty
    first = answered(Belief(), EMPTY, 5.0, EmptyAnswer.KEEP)
    assert (first.snapshot, first.is_empty, first.error) == (EMPTY, True, None)


def test_empty_answer_that_is_believed() -> None:
    belief = answered(answered(Belief(), TWO), EMPTY, 5.0, EmptyAnswer.BELIEVE)
    assert (belief.endpoints, belief.is_empty, belief.confirmed_at) == ((), True, 5.0)


def test_only_a_permanent_credential_error_is_hopeless() -> None:
    assert after_failure(Belief(), CredentialError("wrong", permanent=True)).is_hopeless
    assert not after_failure(Belief(), CredentialError("late")).is_hopeless
    assert not failing(9).is_hopeless


def test_long_outage_keeps_no_chain_of_errors_alive() -> None:
    def fail(before: Belief) -> Belief:
        try:
            try:
                raise KeyError("inner")
            except KeyError as cause:
                raise DiscoveryError("outer") from cause
        except DiscoveryError as error:
            return after_failure(before, error)

    belief = fail(Belief())
    assert belief.error is not None
    first = weakref.ref(belief.error)
    for _ in range(3):
        belief = fail(belief)
    gc.collect()
    assert first() is None
    assert belief.error is not None
    assert belief.error.__cause__ is None
    assert belief.error.__traceback__ is None


ANSWERS = st.sampled_from([ONE, TWO, STRANGER, EMPTY])
EVENTS = st.lists(ANSWERS | st.sampled_from(["failure", "throttled", "credential"]), max_size=20)


@settings(deadline=None)
@given(EVENTS, st.sampled_from(EmptyAnswer))
def test_list_that_was_believed_is_lost_only_by_an_empty_answer_that_is_believed(
    events: list[Snapshot | str], empty: EmptyAnswer
) -> None:
    belief = Belief()
    for now, event in enumerate(events):
        before = belief
        if isinstance(event, Snapshot):
            belief = answered(before, event, float(now), empty)
        else:
            error = {"failure": DiscoveryError, "throttled": DiscoveryThrottled, "credential": CredentialError}[event]
            belief = after_failure(before, error("no"))
        if before.endpoints and not belief.endpoints:
            assert empty is EmptyAnswer.BELIEVE
            assert event is EMPTY
        assert belief.questions == now + 1
        assert belief.failures_in_row <= belief.failures <= belief.questions
        assert (belief.error is None) == (belief.failures_in_row == 0)
        assert belief.error is None or belief.endpoints == before.endpoints
        assert (belief.age(now) is None) == (belief.snapshot is None)


INTERVALS = st.floats(0.01, 1000)
JITTERS = st.floats(0, 0.5)
RANDOMS = st.integers().map(Random)


@settings(deadline=None)
@given(INTERVALS, JITTERS, RANDOMS, st.sampled_from([answered(Belief(), TWO), failing(50, answered(Belief(), TWO))]))
def test_with_a_list_the_interval_counts_also_in_an_outage(
    interval: float, jitter: float, random: Random, belief: Belief
) -> None:
    delay = next_delay(belief, random, interval=interval, jitter=jitter)
    assert interval * (1 - jitter) <= delay <= interval * (1 + jitter)


@settings(deadline=None)
@given(INTERVALS, JITTERS, RANDOMS, st.integers(1, 5000))
def test_without_a_list_it_is_asked_soon_and_then_less_often(
    interval: float, jitter: float, random: Random, times: int
) -> None:
    belief = Belief(failures=times, failures_in_row=times, error=DiscoveryError("no"))
    delay = next_delay(belief, random, interval=interval, jitter=jitter)
    plain = min(interval, 0.2 * 2 ** min(times - 1, 16))
    assert plain * (1 - jitter) <= delay <= plain * (1 + jitter)
    assert delay > 0


@settings(deadline=None)
@given(INTERVALS, JITTERS, RANDOMS, st.integers(1, 5000), st.none() | st.floats(0, 1e6))
def test_throttled_waits_never_less_than_told_or_than_the_interval(
    interval: float, jitter: float, random: Random, times: int, told: float | None
) -> None:
    error = DiscoveryThrottled("slowly", retry_after=told)
    belief = Belief(failures=times, failures_in_row=times, error=error)
    delay = next_delay(belief, random, interval=interval, jitter=jitter)
    least = max(interval, told if told is not None else min(300.0, interval * 2 ** min(times, 16)))
    assert least <= delay <= least * (1 + jitter)


@settings(deadline=None)
@given(INTERVALS, JITTERS, RANDOMS, st.floats(0, 1e6))
def test_answer_may_say_when_to_ask_again_but_not_at_once(
    interval: float, jitter: float, random: Random, again: float
) -> None:
    belief = answered(Belief(), Snapshot(TWO.endpoints, ask_again_in=again))
    delay = next_delay(belief, random, interval=interval, jitter=jitter)
    plain = max(again, min(interval, 0.2))
    assert plain * (1 - jitter) <= delay <= plain * (1 + jitter)


def test_for_ever_is_for_ever_until_a_failure() -> None:
    belief = answered(Belief(), Snapshot(TWO.endpoints, ask_again_in=math.inf))
    assert next_delay(belief, Random(), interval=5, jitter=0.1) == math.inf
    assert next_delay(failing(1, belief), Random(), interval=5, jitter=0) == 5
    hopeless = after_failure(Belief(), CredentialError("wrong", permanent=True))
    assert next_delay(hopeless, Random(), interval=5, jitter=0.1) == math.inf
