"""What the demo counts: calls, where they went, how long they took.

Each worker thread has a tally of its own and nobody else writes to it, so counting takes no lock; the others only add
the tallies up, and what they see may be a call behind.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["Latencies", "Tally", "summed"]

_STEP = math.log(1.01)
_UNIT_MS = 0.01


@dataclass(slots=True)
class Latencies:
    """A histogram whose buckets grow by 1 % each, so any percentile is right to 1 % however many calls there were."""

    buckets: Counter[int] = field(default_factory=Counter[int])

    def add(self, milliseconds: float) -> None:
        """Count one call."""
        self.buckets[round(math.log(max(milliseconds, _UNIT_MS) / _UNIT_MS) / _STEP)] += 1

    def percentile(self, share: float) -> float | None:
        """The milliseconds below which this share of the calls ended; None before the first."""
        buckets = dict(self.buckets)  # a copy in one step: a worker may be adding
        wanted = math.ceil(share * sum(buckets.values()))
        for bucket in sorted(buckets):
            wanted -= buckets[bucket]
            if wanted <= 0:
                return _UNIT_MS * math.exp(bucket * _STEP)
        return None


@dataclass(slots=True)
class Tally:
    """What one worker has seen.

    Args:
        requests: Calls that ended.
        failed: How many of them gave the caller an error or a status that is not 2xx.
        retried: How many of them took more than one attempt.
        answers: Calls by the id of the endpoint that answered.
        latencies: How long the calls took that ended well, repeats included.
    """

    requests: int = 0
    failed: int = 0
    retried: int = 0
    answers: Counter[str] = field(default_factory=Counter[str])
    latencies: Latencies = field(default_factory=Latencies)


def summed(tallies: Iterable[Tally]) -> Tally:
    """All tallies as one."""
    total = Tally()
    for tally in tallies:
        total.requests += tally.requests
        total.failed += tally.failed
        total.retried += tally.retried
        total.answers.update(dict(tally.answers))
        total.latencies.buckets.update(dict(tally.latencies.buckets))
    return total
