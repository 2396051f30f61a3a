"""What a status of PAI-EAS means for the call. Pure.

429        over a rate limit: not run; wait
450        the instance's queue is full: not run; elsewhere at once. Bounded by the caller's attempts, because
           repeating without end defeats the protection
503        a gateway without instance, or the request brought the instance down: may have run; if it says how long
           to wait, wait
408        the server's time limit, after which it closes the connection: may have run
500        the model failed, possibly only on this instance: may have run
502, 504   a hop in front of the instance failed: may have run
401        the token is missing or wrong: not run. If a newer one can be had, it is fetched, and the call is sent once
           more; else it is the caller's answer
others     the caller's answer: 400, 404 and 405 would be the same everywhere
"""

from __future__ import annotations

from ...core.interfaces import http_verdict
from ...core.outcome import REAUTHENTICATE, Outcome, Verdict, retry_elsewhere

__all__ = ["QUEUE_FULL", "verdict"]

QUEUE_FULL = 450
"""The one status that HTTP does not know."""


def verdict(outcome: Outcome, *, renews_token: bool = False) -> Verdict:
    """What this answer means.

    Args:
        outcome: An answer.
        renews_token: Whether a newer token can be had.
    """
    if outcome.status == 401 and renews_token:
        return REAUTHENTICATE
    if outcome.status == QUEUE_FULL:
        return retry_elsewhere(may_have_run=False)
    if outcome.status == 500:
        return retry_elsewhere(may_have_run=True)
    return http_verdict(outcome)
