"""What a simulation must bring: a network and a control plane. They say what happens, and how long it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ...dispatch.call import Attempt, Call
from ...errors import TransportError
from ...interfaces.discovery import LocalQuery, Query
from ...message import Reply
from ...outcome import Outcome

__all__ = ["Answer", "ControlPlane", "Network", "Told"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the network makes of one attempt.

    Args:
        outcome: How it ends; its `elapsed` is set by the simulation.
        seconds: When. An attempt that would take longer than its limit ends as a timeout.
        body_seconds: For a streamed call that is answered well: how long its body takes after that. Default 0.
        broken: How the body breaks off at its end; None if it does not.
    """

    outcome: Outcome
    seconds: float
    body_seconds: float = 0.0
    broken: TransportError | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What the control plane makes of one query.

    Args:
        answer: Its answer, or what went wrong on the way.
        seconds: When. A query that would take longer than its limit ends as a timeout.
    """

    answer: Reply | TransportError
    seconds: float


class Network(Protocol):
    """The way to the instances, and the instances."""

    def attempt(self, call: Call, attempt: Attempt) -> Answer:
        """An attempt begins now."""
        ...


class ControlPlane(Protocol):
    """Whom discovery asks."""

    def ask(self, query: Query | LocalQuery) -> Told:
        """A query leaves now. One that is local is not run: what it finds is for the control plane to say."""
        ...

    def next_piece(self, query: Query) -> Told:
        """The next piece of the answer to a query with `watch`; in infinite time, if nothing more happens."""
        ...
