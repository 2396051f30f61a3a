"""What a client believes about the endpoints of a route, and when it asks again.

The rules of the vendors, and ours: an answer is believed only if it has the right status, parses, and names at least
one valid endpoint. Anything else keeps the last good list, is counted, and shows in the age of the list.

Pure decisions: a belief, an event and the time go in, a new belief comes out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from ..endpoint import Endpoint, Snapshot
from ..errors import CredentialError, DiscoveryError, DiscoveryThrottled, DiscoveryUnreadable
from ..interfaces.discovery import AddressSource, EmptyAnswer
from .admission import Network, admit

__all__ = ["Belief", "after_answer", "after_failure", "next_delay"]

_FIRST_RETRY = 0.2
_SOONEST = 0.2
_THROTTLED_MAX = 300.0


@dataclass(frozen=True, slots=True)
class Belief:
    """What is known now.

    Args:
        snapshot: The list in use; None before the first good answer.
        confirmed_at: When an answer last confirmed it, on the monotonic clock.
        questions: How many times the control plane was asked.
        failures: How many of them had no usable answer.
        failures_in_row: The same, since the last usable answer.
        error: The last failure; None after a usable answer.
        is_empty: Whether the last usable answer said that nobody serves.
        ask_again_in: What the last usable answer says about the next question, in seconds.
    """

    snapshot: Snapshot | None = None
    confirmed_at: float | None = None
    questions: int = 0
    failures: int = 0
    failures_in_row: int = 0
    error: DiscoveryError | None = None
    is_empty: bool = False
    ask_again_in: float | None = None

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints in use; empty before the first good answer."""
        return self.snapshot.endpoints if self.snapshot is not None else ()

    @property
    def is_hopeless(self) -> bool:
        """Whether asking again cannot help until the configuration changes (a refused password, say)."""
        return isinstance(self.error, CredentialError) and self.error.permanent

    def age(self, now: float) -> float | None:
        """Seconds since the list in use was confirmed; None if there never was one."""
        return None if self.confirmed_at is None else max(0.0, now - self.confirmed_at)


def after_answer(
    belief: Belief,
    answer: Snapshot,
    now: float,
    *,
    source: AddressSource,
    empty: EmptyAnswer,
    networks: Sequence[Network],
) -> Belief:
    """The belief after an answer that parsed."""
    snapshot = admit(answer, source, networks)
    if snapshot.endpoints:
        return replace(_answered(belief, snapshot), snapshot=snapshot, confirmed_at=now, is_empty=False)
    if snapshot.rejected:
        # Entries were there and none is usable: that is a broken answer, not an empty one.
        return after_failure(belief, DiscoveryUnreadable(f"no valid endpoint in the answer: {snapshot.rejected[0]}"))
    if empty is EmptyAnswer.REFUSE:
        return after_failure(belief, DiscoveryUnreadable("the answer names no endpoint; the last good list is kept"))
    if empty is EmptyAnswer.KEEP and belief.endpoints:
        return replace(_answered(belief, snapshot), is_empty=True)
    return replace(_answered(belief, snapshot), snapshot=snapshot, confirmed_at=now, is_empty=True)


def after_failure(belief: Belief, error: DiscoveryError) -> Belief:
    """The belief after a question that had no usable answer: the same list, one more failure.

    The error is kept as a fact, without its traceback and causes: their frames hold the belief before, whose error
    holds the one before that, and so an outage would eat memory until it ends. A cause may also hold a secret.
    """
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return replace(
        belief,
        questions=belief.questions + 1,
        failures=belief.failures + 1,
        failures_in_row=belief.failures_in_row + 1,
        error=error,
    )


def next_delay(belief: Belief, random: Random, *, interval: float, jitter: float) -> float:
    """Seconds until the next question; `math.inf` for never.

    After a good answer: the interval, or what the answer says (an answer that says 0 is asked again after 0.2 s, or
    after the interval if that is shorter). After a failure with a list in use: the interval. After a failure without
    one: soon, doubling up to the interval. Throttled: as long as it says, or doubling up to 300 s, and never sooner
    than the interval.
    """
    if belief.is_hopeless:
        return math.inf
    if isinstance(belief.error, DiscoveryThrottled):
        doubled = min(_THROTTLED_MAX, interval * 2.0 ** min(belief.failures_in_row, 16))
        told = belief.error.retry_after
        # Never sooner than told: the jitter only adds.
        return max(interval, told if told is not None else doubled) * (1 + jitter * random.random())
    if belief.error is not None and not belief.endpoints:
        delay = min(interval, _FIRST_RETRY * 2.0 ** min(belief.failures_in_row - 1, 16))
    elif belief.error is None and belief.ask_again_in is not None:
        if math.isinf(belief.ask_again_in):
            return math.inf
        delay = max(belief.ask_again_in, min(interval, _SOONEST))
    else:
        delay = interval
    return delay * (1 + jitter * (2 * random.random() - 1))


def _answered(belief: Belief, answer: Snapshot) -> Belief:
    return replace(
        belief, questions=belief.questions + 1, failures_in_row=0, error=None, ask_again_in=answer.ask_again_in
    )
