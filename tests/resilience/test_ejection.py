"""When an endpoint is ejected, why, and for how long: the rules alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from directlane import OK, Outcome, Phase, Reply, TransportError, Verdict, http_verdict
from directlane.core.config.ejection import EjectionSettings
from directlane.core.outcome import FAIL, REAUTHENTICATE, back_off, retry_elsewhere
from directlane.core.resilience.ejection import (
    Health,
    Sign,
    after_failure,
    after_success,
    breach,
    ejected,
    ejection_limit,
    probe_failed,
    returned,
    sign_of,
    slowness,
)

SETTINGS = EjectionSettings()


def told(*signs: Sign | int, settings: EjectionSettings = SETTINGS, pause: float = 0.1) -> Health:
    """The health after these failures, `pause` seconds apart; a number stands for so many successes before the next."""
    health, now, good = Health(0.0), 0.0, 0
    for sign in signs:
        if isinstance(sign, int):
            good += sign
        else:
            now += pause
            health = after_failure(health, sign, good, now, settings)
            good = 0
    return after_success(health, good, now, settings) if good else health


def error(phase: Phase) -> Outcome:
    return Outcome(phase, 0.1, error=TransportError("broken", phase=phase))


@pytest.mark.parametrize(
    ("outcome", "verdict", "sign"),
    [
        (error(Phase.CONNECT), retry_elsewhere(may_have_run=False), Sign.UNREACHABLE),
        (error(Phase.SEND), retry_elsewhere(may_have_run=True), Sign.FAILED),
        (error(Phase.WAIT), retry_elsewhere(may_have_run=True), Sign.FAILED),
        (error(Phase.STREAM), retry_elsewhere(may_have_run=True), Sign.FAILED),
        (Outcome(Phase.DONE, 0.1, Reply(200)), OK, Sign.GOOD),
        (Outcome(Phase.DONE, 0.1, Reply(404)), FAIL, Sign.GOOD),
        (Outcome(Phase.DONE, 0.1, Reply(500)), FAIL, Sign.FAILED),
        (Outcome(Phase.DONE, 0.1, Reply(502)), retry_elsewhere(may_have_run=True), Sign.FAILED),
        (Outcome(Phase.DONE, 0.1, Reply(429)), back_off(), Sign.BUSY),
        (Outcome(Phase.DONE, 0.1, Reply(503)), back_off(3.0), Sign.BUSY),
        (Outcome(Phase.DONE, 0.1, Reply(401)), REAUTHENTICATE, Sign.BUSY),
    ],
)
def test_what_an_attempt_says(outcome: Outcome, verdict: Verdict, sign: Sign) -> None:
    assert sign_of(outcome, verdict) is sign


def test_a_503_is_a_failure_unless_it_names_a_time() -> None:
    for headers, sign in (((), Sign.FAILED), ((("retry-after", "2"),), Sign.BUSY)):
        outcome = Outcome(Phase.DONE, 0.1, Reply(503, headers))
        assert sign_of(outcome, http_verdict(outcome)) is sign


BAD, GONE = Sign.FAILED, Sign.UNREACHABLE


@pytest.mark.parametrize(
    ("signs", "reason"),
    [
        ((BAD,) * 4, None),
        ((BAD,) * 5, "5 failures in a row"),
        ((BAD,) * 4 + (1, BAD), "16.7% of the last 6 calls went well, less than 80%"),
        ((GONE,), None),
        ((GONE, GONE), "2 connections in a row could not be opened"),
        ((GONE, BAD, GONE), None),
        ((GONE, 1, GONE), None),
        ((20, BAD, 1, BAD, 1, BAD, 1, BAD), None),
        ((8, BAD, 0, BAD), None),
        ((8, BAD, BAD, BAD), "72.7% of the last 11 calls went well, less than 80%"),
        ((2, BAD, BAD), None),
        ((3, BAD, BAD), "60% of the last 5 calls went well, less than 80%"),
    ],
)
def test_reasons(signs: tuple[Sign | int, ...], reason: str | None) -> None:
    assert breach(told(*signs, pause=0.001), SETTINGS) == reason


def test_the_past_is_forgotten() -> None:
    # Two failures long ago, then calls that went well, and one that did not: 8 of 11 in all, and nearly 8 of 9 by now.
    health = told(BAD, BAD, pause=0.001)
    assert breach(after_failure(health, BAD, 8, 0.01, SETTINGS), SETTINGS) is not None
    assert breach(after_failure(health, BAD, 8, 90.0, SETTINGS), SETTINGS) is None


def test_many_successes_over_hours_are_as_many_as_the_window_holds() -> None:
    # One in a second for three hours: as many as in one window of 30 s.
    assert after_success(Health(0.0), 10_800, 10_800.0, SETTINGS).good == pytest.approx(30.0)


def test_the_ratio_can_be_turned_off() -> None:
    off = EjectionSettings(success_ratio=0)
    assert breach(told(*(1, BAD) * 50, settings=off), off) is None


def test_times_double_to_the_limit_and_have_jitter() -> None:
    health, now = Health(0.0), 0.0
    longest: list[float] = []
    for _ in range(9):
        health = ejected(health, "r", now, 0.0, SETTINGS)
        longest.append(health.seconds)
        now += health.seconds
        health = returned(health, now)
    assert longest == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert ejected(Health(0.0), "r", 0.0, 0.999999, SETTINGS).seconds == pytest.approx(4.0)


def test_a_probe_that_fails_doubles_the_time_and_keeps_reason_and_begin() -> None:
    out = ejected(Health(0.0), "why", 1.0, 0.0, SETTINGS)
    again = probe_failed(out, 7.0, 0.0, SETTINGS)
    assert again.ejection is not None
    assert (again.ejection.since, again.ejection.until, again.ejection.reason) == (1.0, 17.0, "why")


def test_after_a_time_of_health_the_next_ejection_is_a_first_one() -> None:
    out = probe_failed(
        probe_failed(ejected(Health(0.0), "r", 0.0, 0.0, SETTINGS), 5.0, 0.0, SETTINGS), 15.0, 0.0, SETTINGS
    )
    back = returned(out, 35.0)
    assert back.seconds == 20.0
    assert ejected(back, "r", 35.0 + 30.0, 0.0, SETTINGS).seconds == 40.0, "ill again within a window"
    assert ejected(back, "r", 35.0 + 30.1, 0.0, SETTINGS).seconds == 5.0


def test_what_was_before_does_not_count_after_the_return() -> None:
    back = returned(told(*(GONE,) * 9), 10.0)
    assert breach(after_failure(back, GONE, 0, 10.1, SETTINGS), SETTINGS) is None


@given(size=st.integers(0, 1000), share=st.floats(0, 1))
def test_never_the_last_and_never_more_than_the_share(size: int, share: float) -> None:
    limit = ejection_limit(size, EjectionSettings(max_share=share))
    assert 0 <= limit <= max(0, size - 1)
    assert limit <= share * size + 1e-6


@pytest.mark.parametrize(("size", "limit"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (100, 50)])
def test_half_is_rounded_down(size: int, limit: int) -> None:
    assert ejection_limit(size, SETTINGS) == limit


def test_a_share_that_is_whole_but_for_its_last_bits() -> None:
    assert ejection_limit(100, EjectionSettings(max_share=0.29)) == 29


def test_slowness_is_told_by_the_median_of_the_others() -> None:
    settings = EjectionSettings(latency_factor=4)
    assert slowness(0.39, [0.1, 0.1, 9.0], settings) is None
    assert slowness(0.5, [0.1, 0.1, 9.0], settings) == "answers take 0.5 s, 5.0 times as long as those of the others"
    assert slowness(9.0, [], settings) is None
    assert slowness(9.0, [0.1], SETTINGS) is None, "off by default"


def test_times_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValidationError, match="base_time must not be longer than max_time"):
        EjectionSettings(base_time=10.0, max_time=5.0)


@given(st.lists(st.tuples(st.sampled_from([BAD, GONE]), st.integers(0, 50), st.floats(0, 1000)), max_size=50))
def test_counts_are_never_negative(story: list[tuple[Sign, int, float]]) -> None:
    health, now = Health(0.0), 0.0
    for sign, good, pause in story:
        now += pause
        health = after_failure(health, sign, good, now, SETTINGS)
        assert min(health.good, health.bad, health.in_row, health.unreachable_in_row) >= 0
        assert health.unreachable_in_row <= health.in_row
