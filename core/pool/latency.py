"""How long an endpoint takes to answer: a moving average over time, told in the endpoint's own pace.

It forgets over a number of average latencies, and not over fixed seconds: ten seconds are a thousand calls of one
service and a third of a call of another.
"""

from __future__ import annotations

import math

from ..interfaces.balancer import Latency

__all__ = ["after_answer"]

_LEAST = 1e-6
"""Seconds. Nothing is faster, and an average of 0 would never change again."""

_QUICKEST_FADE = 30.0
"""Average latencies. The average of an endpoint that is not asked fades no faster than this: with a quicker fade, a
slow endpoint looks fast again before its next answer tells otherwise, and draws more than it can do."""


def after_answer(latency: Latency | None, elapsed: float, now: float, memory: float) -> Latency:
    """The average after one more good answer.

    Args:
        latency: What there was.
        elapsed: Seconds that the answer took.
        now: Monotonic clock, in seconds.
        memory: Average latencies over which it forgets.
    """
    seconds = max(elapsed, _LEAST)
    if latency is not None:
        kept = math.exp((latency.at - now) / (memory * latency.seconds))
        seconds = latency.seconds * kept + seconds * (1.0 - kept)
    return Latency(seconds, now, max(memory, _QUICKEST_FADE) * seconds)
