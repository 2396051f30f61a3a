"""Foreign load: what other clients have open at an endpoint, from the endpoint's last report.

A report says how many calls the endpoint has; take off those that were ours, and the rest is foreign. Our own calls
are not taken from the report: we know them better, and at this moment. Taken raw, a report sends all calls to the one
endpoint that it calls idle, until the next report.

What others have open changes as fast as calls end. So a report fades, not to 0 (which would say idle) but to the mean
of all: who has sent none, or none for long, is taken for average.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, fsum

from ..core.interfaces.balancer import Load

__all__ = ["foreign_loads"]

_SERVICE_TIMES = 3.0
"""Average latencies after which a report counts for 1/e, if the configuration does not say it in seconds."""


def foreign_loads(
    rows: Sequence[tuple[Load, float]], names: Sequence[str], fade: float | None, now: float
) -> list[float] | None:
    """For each endpoint, calls of others for each unit of weight; None if nobody has sent a report.

    By weight, so that the mean is neutral: it changes nobody's rank, whatever the weights are.

    Args:
        rows: The endpoints: statistics and weight.
        names: The named metrics whose sum is how many calls an endpoint has.
        fade: Seconds after which a report counts for 1/e. None: 3 average latencies of these endpoints.
        now: Monotonic clock, in seconds.
    """
    loads: list[float | None] = []
    for load, weight in rows:
        report = load.report
        depth = None if report is None else report.load.sum_of(names)
        own = 0 if report is None else report.open_calls
        loads.append(None if depth is None else (depth - own) / weight if depth > own else 0.0)
    known = [one for one in loads if one is not None]
    if not known:
        return None
    mean = fsum(known) / len(known)
    if fade is None:
        seconds = [latency.seconds for load, _ in rows if (latency := load.latency) is not None]
        fade = _SERVICE_TIMES * fsum(seconds) / len(seconds) if seconds else None
    if fade is None:  # nobody has answered yet: no pace is known, so the reports count as they are
        return [mean if one is None else one for one in loads]
    return [
        mean if one is None or load.report is None else mean + (one - mean) * exp((load.report.at - now) / fade)
        for one, (load, _) in zip(loads, rows, strict=True)
    ]
