"""How one endpoint is doing, as this client sees it.

Owned by the core and kept by endpoint id: no update of the list, no rebuild of a picker and no ejection loses it.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Protocol

from ..clock import SYSTEM_CLOCK, Clock
from ..interfaces.balancer import Latency, Penalty, Report
from ..load_report import LoadReport, report_in
from ..outcome import Action, Outcome, Verdict
from ..resilience.ejection import Sign, sign_of
from .latency import after_answer
from .penalty import after_failure, after_success

__all__ = ["EndpointStats", "Figures", "HealthWatch", "Lease"]


class Lease:
    """One attempt's hold on an endpoint: from the pick to the end of the answer, streams included.

    Released exactly once: releasing is taking it out of a set, so a second time does nothing.

    Args:
        stats: Whose it is.
        started_at: Monotonic clock, in seconds.
        size: Expected work, in the caller's unit. Default 1.
    """

    __slots__ = ("size", "started_at", "stats")

    def __init__(self, stats: EndpointStats, started_at: float, size: float = 1.0) -> None:
        self.stats: EndpointStats = stats
        self.started_at: float = started_at
        self.size: float = size
        stats.open.add(self)

    def release(self) -> None:
        """The attempt is over, however it ended. Harmless when called again."""
        self.stats.open.discard(self)


@dataclass(frozen=True, slots=True)
class Figures:
    """Statistics at one moment.

    Args:
        open_calls: Attempts that are under way.
        attempts: Attempts that ended with an answer or an error.
        errors: How many of them failed on the wire.
        refusals: How many of them had an answer that asks to try elsewhere or later.
        cancelled: Attempts that the caller gave up.
        seconds: Time of all ended attempts together.
        last_error: What the last failure said; None if the last attempt had an answer.
    """

    open_calls: int
    attempts: int
    errors: int
    refusals: int
    cancelled: int
    seconds: float
    last_error: str | None

    @property
    def mean_seconds(self) -> float | None:
        """Mean time of an attempt; None before the first."""
        return self.seconds / self.attempts if self.attempts else None


class HealthWatch(Protocol):
    """Who wants to know how attempts end. Successes are told only while `is_ill`: they are many, and cost nothing."""

    @property
    def is_ill(self) -> bool:
        """Whether successes matter, too."""
        ...

    def tell(self, sign: Sign, good: int, elapsed: float) -> None:
        """An attempt ended.

        Args:
            sign: What it says of the endpoint.
            good: Attempts that went well so far, over all time.
            elapsed: Seconds that it took.
        """
        ...


class EndpointStats:
    """Counts for one endpoint.

    Mutable state: `open`, a set, whose `add` and `discard` are atomic (also without the GIL), so that the path of a
    pick needs no lock; `penalty`, `latency` and `report`, values that are replaced as a whole, so that they are read
    without a lock; `health`, set by the pool; and the counters, which change in `record`, `record_broken`,
    `record_cancelled` and `take_report`, under `_lock`.

    Args:
        clock: Source of time, for penalty and latency.
        latency_memory: Average latencies over which a latency is forgotten; None (default): none is kept.
        takes_reports: Whether answers are looked into for load reports. Default False.
    """

    __slots__ = (
        "_attempts",
        "_cancelled",
        "_clock",
        "_errors",
        "_last_error",
        "_latency_memory",
        "_lock",
        "_not_good",
        "_refusals",
        "_seconds",
        "_takes_reports",
        "health",
        "latency",
        "open",
        "penalty",
        "report",
    )

    def __init__(
        self, clock: Clock = SYSTEM_CLOCK, latency_memory: float | None = None, *, takes_reports: bool = False
    ) -> None:
        self.open: set[Lease] = set()
        self.penalty: Penalty | None = None
        """What the last failures count for, as calls; None if there were none."""
        self.latency: Latency | None = None
        """How long good answers take; None before the first, and if none is kept."""
        self.report: Report | None = None
        """What the endpoint said last about its load; None before its first report, and if none is kept."""
        self.health: HealthWatch | None = None
        """Who is told of failures; None if nobody is ejected here."""
        self._clock = clock
        self._latency_memory = latency_memory
        self._takes_reports = takes_reports
        self._lock = threading.Lock()
        self._attempts = 0
        self._errors = 0
        self._refusals = 0
        self._not_good = 0
        self._cancelled = 0
        self._seconds = 0.0
        self._last_error: str | None = None

    @property
    def open_calls(self) -> int:
        """Attempts that are under way."""
        return len(self.open)

    @property
    def open_work(self) -> float:
        """Expected work of the attempts that are under way."""
        # Copying a set is one step; walking over it is not, and others open and close leases meanwhile.
        return math.fsum([lease.size for lease in self.open.copy()])

    def open_age(self, now: float) -> float:
        """For how many seconds they have been under way, on average; 0 if there are none."""
        started = [lease.started_at for lease in self.open.copy()]
        return max(0.0, now - math.fsum(started) / len(started)) if started else 0.0

    @property
    def good(self) -> int:
        """Attempts that went well, over all time."""
        with self._lock:
            return self._attempts - self._not_good

    def record(self, outcome: Outcome, verdict: Verdict) -> None:
        """Count an attempt that ended."""
        health = self.health
        with self._lock:
            self._attempts += 1
            self._seconds += outcome.elapsed
            if outcome.error is not None:
                self._errors += 1
                self._last_error = str(outcome.error)
                self._penalise(None)
            else:
                self._last_error = None
                if self._takes_reports and outcome.reply is not None:
                    # An answer with its body is over at the endpoint, a streamed one has just begun there.
                    self._keep(report_in(outcome.headers), len(self.open) - bool(outcome.reply.content))
                if verdict.action is Action.OK:
                    if self.penalty is not None:
                        self.penalty = after_success(self.penalty, self._clock.monotonic())
                    if self._latency_memory is not None:
                        now = self._clock.monotonic()
                        self.latency = after_answer(self.latency, outcome.elapsed, now, self._latency_memory)
                    if health is None or not health.is_ill:
                        return
                else:
                    if verdict.action is not Action.FAIL:
                        self._refusals += 1
                    if _is_failure(outcome, verdict):
                        self._penalise(verdict.delay)
            sign = sign_of(outcome, verdict)
            self._not_good += sign is not Sign.GOOD
            good = self._attempts - self._not_good
        # Without the lock: what is decided there may change the pool.
        if health is not None and (sign.is_failure or health.is_ill):
            health.tell(sign, good, outcome.elapsed)

    def take_report(self, load: LoadReport) -> None:
        """Keep a load report that came by another way than an answer."""
        with self._lock:
            self._keep(load, len(self.open))

    def _keep(self, load: LoadReport | None, open_calls: int) -> None:
        if load is not None:
            self.report = Report(load, self._clock.monotonic(), max(0, open_calls))

    def _penalise(self, delay: float | None) -> None:
        self.penalty = after_failure(self.penalty, self._clock.monotonic(), delay)

    def record_cancelled(self) -> None:
        """Count an attempt that the caller gave up."""
        with self._lock:
            self._cancelled += 1

    def record_broken(self, error: Exception) -> None:
        """Count a streamed answer that began well, was recorded as such, and then broke off."""
        with self._lock:
            self._errors += 1
            self._last_error = str(error)
            self._penalise(None)
            # It was counted as a success, and now turns out to be none.
            self._not_good += 1
            good = self._attempts - self._not_good
        if self.health is not None:
            self.health.tell(Sign.FAILED, good, 0.0)

    def figures(self) -> Figures:
        """The counts at this moment."""
        with self._lock:
            return Figures(
                open_calls=len(self.open),
                attempts=self._attempts,
                errors=self._errors,
                refusals=self._refusals,
                cancelled=self._cancelled,
                seconds=self._seconds,
                last_error=self._last_error,
            )


def _is_failure(outcome: Outcome, verdict: Verdict) -> bool:
    """Whether the endpoint, and not the caller's request or credential, is to blame for an answer."""
    if verdict.action is Action.RETRY_ELSEWHERE or verdict.action is Action.BACK_OFF:
        return True
    # The caller gets this answer, since a repeat may do harm. It is a failure all the same.
    return verdict.action is Action.FAIL and outcome.status is not None and outcome.status >= 500
