"""Rules for `classify`: total, quick, careful. It runs where a call waits, for every answer that is no success."""

from __future__ import annotations

from collections.abc import Iterator

from ..endpoint import Endpoint
from ..errors import Phase, TransportError
from ..interfaces.provider import Provider
from ..message import Headers, Reply
from ..outcome import Action, Outcome, Verdict
from .guard import alone
from .provider_case import ProviderCase

__all__ = ["VerdictRules"]

_ENDPOINT = Endpoint("10.0.0.7", 8000)
_STEPS = 20_000
"""What one verdict may take, in instructions of Python. The built-in ones take some hundreds."""

_BODIES = (
    b"",
    b"{}",
    b"[]",
    b"null",
    b'{"error": "x"}',
    b'{"error_code": 7, "error_msg": ["x"]}',
    b"\xff\xfe\x00",
    b"<html>",
    b"[" * 5000,
    b"x" * 200_000,
)
_HEADERS: tuple[Headers, ...] = (
    (),
    (("Retry-After", "7"),),
    (("retry-after", "-1"),),
    (("retry-after", "soon"),),
    (("Retry-After", "1e999"),),
    (("Retry-After", "9" * 400),),
    (("Content-Type", "application/json"), ("Content-Length", "many")),
)


class VerdictRules(ProviderCase):
    """The rules for `Provider.classify`."""

    def test_every_status_has_a_verdict(self) -> None:
        """100 to 599 and beyond, with any body and any header field: a `Verdict`, never an exception."""
        provider = self.provider()
        for outcome in _outcomes():
            verdict = _verdict(provider, outcome)
            delay = verdict.delay
            assert delay is None or 0 <= delay < float("inf"), f"{_name(outcome)}: a delay of {delay} s"

    def test_every_failure_on_the_wire_has_a_verdict(self) -> None:
        """The core judges these by itself; asked all the same, `classify` must not fail."""
        provider = self.provider()
        for phase in Phase:
            for timed_out in (False, True):
                error = TransportError("lost", phase=phase, timed_out=timed_out)
                _verdict(provider, Outcome(phase, 0.1, error=error))

    def test_equal_outcomes_have_equal_verdicts(self) -> None:
        """It has no state: a verdict does not depend on the ones before."""
        provider = self.provider()
        first = [_verdict(provider, outcome) for outcome in _outcomes(step=7)]
        again = [_verdict(provider, outcome) for outcome in _outcomes(step=7)]
        assert first == again, "the same outcome, another verdict: `classify` keeps something"

    def test_success_is_ok(self) -> None:
        """2xx is the caller's answer."""
        provider = self.provider()
        for status in range(200, 300):
            verdict = _verdict(provider, _outcome(status))
            assert verdict.action is Action.OK, f"status {status} is {verdict.action.name}"

    def test_failure_is_not_ok(self) -> None:
        """5xx, 401, 403, 429: the endpoint did not do well, and the statistics must know."""
        provider = self.provider()
        for status in (401, 403, 429, *range(500, 600)):
            verdict = _verdict(provider, _outcome(status))
            assert verdict.action is not Action.OK, f"status {status} counts as a success"

    def test_what_may_have_run_is_said_carefully(self) -> None:
        """5xx without a word more may have run: clouds that say otherwise do it with a code of their own."""
        provider = self.provider()
        for status in (500, 502, 504):
            verdict = _verdict(provider, _outcome(status))
            assert verdict.may_have_run or verdict.action is Action.FAIL, (
                f"status {status} is said not to have run: the call would be repeated"
            )

    def test_overload_waits_as_long_as_it_is_told(self) -> None:
        """429 with `Retry-After: 7` is a back-off of 7 seconds, or leads elsewhere at once."""
        verdict = _verdict(self.provider(), _outcome(429, (("Retry-After", "7"),)))
        if verdict.action is Action.BACK_OFF:
            assert verdict.delay == 7.0, f"Retry-After says 7 s and the verdict {verdict.delay}: use `retry_after`"
        else:
            assert verdict.action is Action.RETRY_ELSEWHERE, f"status 429 is {verdict.action.name}"

    def test_credential_is_renewed_if_that_is_claimed(self) -> None:
        """REAUTHENTICATE makes the core poll for a new credential: only with `token-refresh`."""
        provider = self.provider()
        if "token-refresh" in self.claimed:
            verdict = _verdict(provider, Outcome(Phase.DONE, 0.1, self.stale_answer()))
            assert verdict.action is Action.REAUTHENTICATE, f"a stale token is {verdict.action.name}"
            return
        for outcome in (*_outcomes(), Outcome(Phase.DONE, 0.1, self.stale_answer())):
            verdict = _verdict(provider, outcome)
            assert verdict.action is not Action.REAUTHENTICATE, (
                f"{_name(outcome)} asks for a new credential, and `token-refresh` is not claimed"
            )


def _outcome(status: int, headers: Headers = (), content: bytes = b"") -> Outcome:
    return Outcome(Phase.DONE, 0.1, Reply(status, headers, content, _ENDPOINT))


def _outcomes(step: int = 1) -> Iterator[Outcome]:
    for status in (*range(100, 600, step), 0, 600, 999):
        yield _outcome(status)
    for status in (400, 401, 403, 404, 408, 429, 450, 500, 502, 503, 504):
        for headers in _HEADERS:
            for content in _BODIES:
                yield _outcome(status, headers, content)


def _verdict(provider: Provider, outcome: Outcome) -> Verdict:
    verdict: object = None
    with alone(f"`classify` of {_name(outcome)}", steps=_STEPS):
        try:
            verdict = provider.classify(outcome)
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything
            verdict = error
    assert not isinstance(verdict, Exception), (
        f"`classify` of {_name(outcome)} raised {type(verdict).__name__}: it must have a verdict for everything"
    )
    assert isinstance(verdict, Verdict), f"`classify` of {_name(outcome)} returned {type(verdict).__name__}"
    return verdict


def _name(outcome: Outcome) -> str:
    return f"status {outcome.status}" if outcome.status is not None else f"a failure in phase {outcome.phase.value}"
