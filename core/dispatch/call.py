"""One call, and the effects by which its dispatch tells the shell what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from ..errors import AttemptRecord
from ..interfaces.transport import AsyncBody, Body, Timeouts
from ..message import Request
from ..outcome import Outcome
from ..pool.statistics import Lease
from ..resilience.tickets import Place
from .route import Lane, Route, RouteMember

__all__ = [
    "GO_ON",
    "HEDGE_DUE",
    "NOBODY",
    "Attempt",
    "Call",
    "Effect",
    "Finished",
    "GiveUp",
    "GoOn",
    "HedgeDue",
    "Queue",
    "Reauthenticate",
    "Sent",
    "Wait",
]

NOBODY: frozenset[str] = frozenset()
"""No endpoint is excluded."""


@dataclass(slots=True)
class Call:
    """What the caller wants. Made by the shell, read by the dispatch.

    Args:
        request: The caller's request; its target is the path behind the provider's prefix.
        started_at: When the call began, on the monotonic clock.
        deadline: When its time is over, on the monotonic clock.
        may_repeat: Whether a request that may have run may be run again.
        key: Affinity key.
        excluded: Ids of endpoints that the caller does not want.
        is_streamed: Whether the caller reads the answer piece by piece; its lease then outlives the dispatch.
        is_decoded: Whether the shell undoes the answer's content codings: it was the shell that asked for them.
        size: Expected work in the caller's unit, for balancers that count work and not calls.
        ends_at: For a streamed call: when its answer must be over, on the monotonic clock. None: whenever.
        attempt: The last attempt; set by the shell when it performs one.
        is_leased: Whether the caller's own function performs the attempts, with any protocol.
        records: The attempts that were not good enough; set by the dispatch.
        queued: Seconds for which it waited for slots; set by the dispatch.
    """

    request: Request
    started_at: float
    deadline: float
    may_repeat: bool
    key: bytes | None = None
    excluded: frozenset[str] = NOBODY
    is_streamed: bool = False
    is_decoded: bool = False
    size: float = 1.0
    ends_at: float | None = None
    attempt: Attempt | None = None
    is_leased: bool = False
    records: Sequence[AttemptRecord] = ()
    queued: float = 0.0


@dataclass(slots=True)
class Attempt:
    """Effect: send this request to this endpoint, and send the `Outcome` back into the dispatch.

    Args:
        member: Who is asked.
        lease: The attempt's hold on the endpoint. The dispatch releases it, except for a streamed call whose answer is
            given to the caller: then the shell does, when the stream has ended.
        request: The complete request.
        timeouts: The limits.
        number: Which attempt of the call this is, from 1.
        body: For a streamed call: the body that is still on the wire; set by the shell.
        hedge_after: Seconds after which the shell may send `HEDGE_DUE` instead of an outcome. None: never.
        is_hedge: Whether it runs beside the attempt before it, which goes on.
    """

    member: RouteMember
    lease: Lease
    request: Request = field(repr=False)
    timeouts: Timeouts
    number: int
    body: Body | AsyncBody | None = field(default=None, repr=False)
    hedge_after: float | None = None
    is_hedge: bool = False

    @property
    def lane(self) -> Lane:
        """What the route keeps for the endpoint."""
        return self.member.lane


@dataclass(slots=True)
class Wait:
    """Effect: let this time pass, then resume the dispatch with None.

    Args:
        seconds: How long; may be 0, which still marks the border between two attempts.
        cause: Why the last attempt is not good enough, for instrumentation.
    """

    seconds: float
    cause: Exception


@dataclass(slots=True)
class Reauthenticate:
    """Effect: let the route renew its credential, then resume the dispatch with None.

    Args:
        route: Whose credential.
        timeout: Seconds to wait at most.
    """

    route: Route
    timeout: float


@dataclass(slots=True)
class Queue:
    """Effect: wait until the ticket has ended or this time has passed, then resume the dispatch with None.

    Args:
        ticket: The place in the queue; see `Ticket.wake_by`.
        timeout: Seconds to wait at most.
    """

    ticket: Place
    timeout: float


@dataclass(frozen=True, slots=True)
class GoOn:
    """Effect: go on with the attempts that run, and send `Finished` for the next one that ends."""


GO_ON = GoOn()


class HedgeDue(Enum):
    """What the shell sends while an attempt with `hedge_after` goes on. The answer is a second attempt, or `GO_ON`."""

    DUE = "due"


HEDGE_DUE = HedgeDue.DUE


@dataclass(frozen=True, slots=True)
class Finished:
    """What the shell sends after `HEDGE_DUE`: one of the attempts that run has ended."""

    attempt: Attempt
    outcome: Outcome


class GiveUp(Exception):
    """Thrown into the dispatch instead of resuming it after a `Wait`: the shell may not repeat (stamina is off)."""


Effect = Attempt | Wait | Reauthenticate | GoOn | Queue
Sent = Outcome | Finished | HedgeDue | None
"""What the shell sends back. Without hedges: the outcome of an attempt, or None."""
