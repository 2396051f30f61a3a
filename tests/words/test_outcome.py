"""Outcomes, verdicts, and what HTTP itself says."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directlane.core.errors import Phase, TransportError
from directlane.core.interfaces.provider import http_verdict
from directlane.core.message import Headers, Reply
from directlane.core.outcome import FAIL, OK, REAUTHENTICATE, Action, Outcome, back_off, retry_elsewhere
from directlane.core.retry_after import retry_after


def _outcome(status: int, headers: Headers = ()) -> Outcome:
    return Outcome(Phase.DONE, 0.1, reply=Reply(status, headers))


class TestOutcomes:
    def test_of_an_answer(self) -> None:
        outcome = _outcome(429, (("Retry-After", "1"),))
        assert outcome.status == 429
        assert outcome.headers == (("Retry-After", "1"),)

    def test_of_a_failure(self) -> None:
        outcome = Outcome(Phase.CONNECT, 0.1, error=TransportError("no", phase=Phase.CONNECT))
        assert outcome.status is None
        assert outcome.headers == ()

    def test_verdicts_are_careful(self) -> None:
        assert OK.may_have_run
        assert FAIL.may_have_run
        assert not REAUTHENTICATE.may_have_run
        assert not back_off().may_have_run
        assert back_off(2.0, may_have_run=True).delay == 2.0
        assert retry_elsewhere(may_have_run=True).may_have_run
        assert not retry_elsewhere(may_have_run=False).may_have_run

    @pytest.mark.parametrize("phase", list(Phase))
    def test_only_a_connection_that_never_was_ran_nothing(self, phase: Phase) -> None:
        assert phase.may_have_run == (phase is not Phase.CONNECT)


class TestHttpVerdict:
    @pytest.mark.parametrize("status", [100, 200, 204, 206, 302, 304, 399])
    def test_below_400_is_good(self, status: int) -> None:
        assert http_verdict(_outcome(status)) == OK

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 450, 499, 500, 501, 505, 511, 599])
    def test_the_callers_own(self, status: int) -> None:
        assert http_verdict(_outcome(status)) == FAIL

    @pytest.mark.parametrize("status", [408, 502, 503, 504])
    def test_elsewhere_but_it_may_have_run(self, status: int) -> None:
        assert http_verdict(_outcome(status)) == retry_elsewhere(may_have_run=True)

    def test_too_many_requests_waits_and_did_not_run(self) -> None:
        assert http_verdict(_outcome(429)) == back_off(None)
        assert http_verdict(_outcome(429, (("retry-after", "3"),))) == back_off(3.0)

    def test_unavailable_waits_if_it_says_how_long(self) -> None:
        assert http_verdict(_outcome(503, (("Retry-After", "3"),))) == back_off(3.0, may_have_run=True)
        assert http_verdict(_outcome(503, (("Retry-After", "soon"),))) == retry_elsewhere(may_have_run=True)

    @settings(deadline=None)
    @given(st.integers(100, 599), st.text(max_size=20))
    def test_a_delay_is_a_time_to_wait(self, status: int, text: str) -> None:
        verdict = http_verdict(_outcome(status, (("Retry-After", text),)))
        assert verdict.delay is None or (verdict.action is Action.BACK_OFF and 0 <= verdict.delay < math.inf)


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("text", "seconds"), [("0", 0.0), ("120", 120.0), (" 3 ", 3.0), ("1.5", 1.5), ("007", 7.0)]
    )
    def test_seconds(self, text: str, seconds: float) -> None:
        assert retry_after((("RETRY-AFTER", text),)) == seconds

    @pytest.mark.parametrize(
        "text",
        [
            *["", "-1", "+1", "nan", "inf", "1e3", "1_000", "\uff15", "1,5", "soon", "0x10", "9" * 400, "1."],
            "Wed, 21 Oct 2015 07:28:00 GMT",
        ],
    )
    def test_nothing_usable(self, text: str) -> None:
        assert retry_after((("Retry-After", text),)) is None

    def test_absent(self) -> None:
        assert retry_after(()) is None

    @settings(deadline=None)
    @given(st.integers(0, 10**9))
    def test_every_whole_number(self, seconds: int) -> None:
        assert retry_after((("Retry-After", str(seconds)),)) == seconds
