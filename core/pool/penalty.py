"""How failures count against an endpoint: each as a call that is still open, for a while.

A failure is over quickly. Counted by open calls alone, an endpoint that fails at once looks idle and draws most of the
traffic. So each failed call goes on counting as an open one, less and less, to nothing within some seconds. If nothing
but failures comes, the span doubles; a success brings it back. A sum of calls, and not a ban: it means little where
many calls are open, and an endpoint that fails now and then keeps most of its share.
"""

from __future__ import annotations

from ..interfaces.balancer import Penalty

__all__ = ["LONGEST", "SPAN", "after_failure", "after_success"]

SPAN = 5.0
"""Seconds for which a failed call counts. Longer than most calls, shorter than most restarts."""

LONGEST = 300.0
"""Seconds. No span grows beyond it, whatever a Retry-After says: an endpoint that is well again must be found."""


def after_failure(penalty: Penalty | None, now: float, delay: float | None = None) -> Penalty:
    """The penalty after one more failure.

    Args:
        penalty: What there was.
        now: Monotonic clock, in seconds.
        delay: Seconds for which the endpoint asked to be left alone, if it did.
    """
    if penalty is None:
        penalty = Penalty(0.0, now, SPAN, now)
    span, settled_at = penalty.span, penalty.settled_at
    if now - settled_at >= span:
        # A whole span without a success. Many failures within one span are one event: calls that were open together.
        span, settled_at = min(2 * span, LONGEST), now
    if delay is not None:
        asked = min(delay, LONGEST)
        span, settled_at = max(span, asked), max(settled_at, now + asked)
    return Penalty(penalty.left(now) + 1.0, now, span, settled_at)


def after_success(penalty: Penalty, now: float) -> Penalty | None:
    """The penalty after a success: what is left fades in the usual span. None if nothing is left.

    While the endpoint asked to be left alone, the success of a call that was open already changes nothing.
    """
    if now < penalty.settled_at:
        return penalty
    left = penalty.left(now)
    return Penalty(left, now, SPAN, now) if left else None
