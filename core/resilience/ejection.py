"""Whether an endpoint fails so much that it should get no calls for a while, and for how long.

What counts: a connection that cannot be opened, a timeout, a broken connection or stream, an answer that says that the
instance, and not the caller, is to blame (5xx). An instance that asks for time (429, Retry-After) is well and busy:
that is a penalty, see `core/pool/penalty.py`.

Values go in, values come out; who keeps them is `core/pool/health.py`.

Successes are many and failures few, so nothing here runs for a success. A failure brings the number of successes since
the one before, and they are taken as spread evenly over the time between.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from statistics import median

from ..config.ejection import EjectionSettings
from ..errors import Phase
from ..outcome import Action, Outcome, Verdict

__all__ = [
    "Ejection",
    "Health",
    "Sign",
    "after_failure",
    "after_success",
    "breach",
    "ejected",
    "ejection_limit",
    "probe_failed",
    "probing",
    "returned",
    "sign_of",
    "slowness",
]

_JITTER = 0.2
"""An ejection is shorter by up to this share, by chance."""


class Sign(Enum):
    """What one attempt says about the health of its endpoint."""

    GOOD = "good"
    BUSY = "busy"
    """It asks for time, or for a new credential: neither well nor ill."""
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    """No connection could be opened."""

    @property
    def is_failure(self) -> bool:
        """Whether it speaks against the endpoint."""
        return self is Sign.FAILED or self is Sign.UNREACHABLE


@dataclass(frozen=True, slots=True)
class Ejection:
    """Why and until when an endpoint should get no calls.

    Args:
        reason: For people.
        since: Monotonic clock, in seconds: when it was decided first; further ones in a row do not change it.
        until: Monotonic clock, in seconds: from then on one call may find out if it is well again.
        is_probing: Whether that time has come.
    """

    reason: str
    since: float
    until: float
    is_probing: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of one endpoint's health.

    Args:
        at: Monotonic clock, in seconds, up to which `good` and `bad` are counted.
        in_row: Failures since the last success.
        unreachable_in_row: The last of them that could not even connect.
        good: Successes, each counting less and less as the window passes.
        bad: Failures, likewise.
        times: Ejections in a row: the next one is longer.
        seconds: How long the last ejection was to be.
        returned_at: When the last ejection ended, on the monotonic clock.
        ejection: The present one; None for an endpoint that is well.
    """

    at: float
    in_row: int = 0
    unreachable_in_row: int = 0
    good: float = 0.0
    bad: float = 0.0
    times: int = 0
    seconds: float = 0.0
    returned_at: float = -math.inf
    ejection: Ejection | None = None


def sign_of(outcome: Outcome, verdict: Verdict) -> Sign:
    """What an attempt says about its endpoint. An answer that blames the caller is a good sign."""
    if outcome.error is not None:
        return Sign.UNREACHABLE if outcome.phase is Phase.CONNECT else Sign.FAILED
    if verdict.action is Action.RETRY_ELSEWHERE:
        return Sign.FAILED
    if verdict.action is Action.BACK_OFF or verdict.action is Action.REAUTHENTICATE:
        return Sign.BUSY
    is_blamed = verdict.action is Action.FAIL and outcome.status is not None and outcome.status >= 500
    return Sign.FAILED if is_blamed else Sign.GOOD


def after_failure(health: Health, sign: Sign, good: int, now: float, settings: EjectionSettings) -> Health:
    """The health after one more failure, and `good` successes before it."""
    health = _counted(health, good, now, settings)
    return replace(
        health,
        in_row=health.in_row + 1,
        unreachable_in_row=health.unreachable_in_row + 1 if sign is Sign.UNREACHABLE else 0,
        bad=health.bad + 1.0,
    )


def after_success(health: Health, good: int, now: float, settings: EjectionSettings) -> Health:
    """The health after `good` more successes. Needed only for who is ill and gets calls all the same."""
    return _counted(health, good, now, settings)


def _counted(health: Health, good: int, now: float, settings: EjectionSettings) -> Health:
    passed = max(0.0, now - health.at) / settings.window
    kept = math.exp(-passed)
    # The mean of what is kept of a success at any moment in between.
    spread = (1.0 - kept) / passed if passed > 1e-9 else 1.0
    return replace(
        health,
        at=max(now, health.at),
        in_row=0 if good else health.in_row,
        unreachable_in_row=0 if good else health.unreachable_in_row,
        good=health.good * kept + good * spread,
        bad=health.bad * kept,
    )


def breach(health: Health, settings: EjectionSettings) -> str | None:
    """Why an endpoint of this health should be ejected; None if it should not."""
    if health.unreachable_in_row >= settings.connect_failures:
        return f"{_counted_noun(health.unreachable_in_row, 'connection')} in a row could not be opened"
    if health.in_row >= settings.consecutive_failures:
        return f"{_counted_noun(health.in_row, 'failure')} in a row"
    calls = health.good + health.bad
    # With some grace: what came a moment ago counts for a little less than one already.
    if calls > settings.min_calls - 0.5 and health.good / calls < settings.success_ratio - 0.001:
        share, least = health.good / calls * 100, settings.success_ratio * 100
        return f"{share:.3g}% of the last {calls:.0f} calls went well, less than {least:.3g}%"
    return None


def slowness(latency: float, others: Sequence[float], settings: EjectionSettings) -> str | None:
    """Why an endpoint that answers this slowly should be ejected; None if it should not.

    Args:
        latency: Its average, in seconds.
        others: Those of the others, in seconds.
        settings: With `latency_factor`.
    """
    if settings.latency_factor is None or not others:
        return None
    usual = median(others)
    if latency <= settings.latency_factor * usual:
        return None
    return f"answers take {latency:.3g} s, {latency / usual:.1f} times as long as those of the others"


def ejected(health: Health, reason: str, now: float, chance: float, settings: EjectionSettings) -> Health:
    """The health of an endpoint that is ejected now.

    The times double as long as it fails soon after it is back. Well for as long as it was out, and for a window at the
    least: then the next ejection is a first one.

    Args:
        health: What there was.
        reason: For people.
        now: Monotonic clock, in seconds.
        chance: From 0 up to 1.
        settings: The times.
    """
    is_first = now - health.returned_at > max(settings.window, health.seconds)
    times = 0 if is_first else health.times
    seconds = min(settings.max_time, settings.base_time * 2.0 ** min(times, 60)) * (1.0 - _JITTER * chance)
    since = now if health.ejection is None else health.ejection.since
    return replace(health, times=times + 1, seconds=seconds, ejection=Ejection(reason, since, now + seconds))


def probing(health: Health) -> Health:
    """The time is over: one call may find out."""
    assert health.ejection is not None  # noqa: S101 - the caller has seen one
    return replace(health, ejection=replace(health.ejection, is_probing=True))


def probe_failed(health: Health, now: float, chance: float, settings: EjectionSettings) -> Health:
    """The one call failed: out again, for twice as long."""
    assert health.ejection is not None  # noqa: S101 - the caller has seen one
    return ejected(replace(health, returned_at=now), health.ejection.reason, now, chance, settings)


def returned(health: Health, now: float) -> Health:
    """The endpoint is back. What it did before does not count any more, except for how long the next ejection is."""
    return Health(now, times=health.times, seconds=health.seconds, returned_at=now)


def ejection_limit(size: int, settings: EjectionSettings) -> int:
    """How many of so many endpoints may be left out at the same time: a share, rounded down, and never all."""
    # What is a whole number but for its last bits must not be rounded down by one: 0.29 * 100.
    return max(0, min(math.floor(settings.max_share * size + 1e-9), size - 1))


def _counted_noun(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
