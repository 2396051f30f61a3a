"""How an attempt ended, and what that means.

A provider turns an `Outcome` into a `Verdict` (its `classify`): a pure decision, without I/O and without state.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import Phase, TransportError
    from .message import Headers, Reply

__all__ = ["FAIL", "OK", "REAUTHENTICATE", "Action", "Outcome", "Verdict", "back_off", "retry_elsewhere"]


@dataclass(slots=True)
class Outcome:
    """How one attempt ended. Exactly one of `reply` and `error` is there.

    A value, not frozen: one is made for each attempt.

    Args:
        phase: How far it came.
        elapsed: Seconds from the start of the attempt to its end (for a streamed reply: to its first event).
        reply: The answer. For a streamed reply with a 2xx status its content is not read yet and empty.
        error: What went wrong on the wire.
        fault: What is wrong with a streamed reply whose status says success: its first event is an error. None if
            nothing is.
    """

    phase: Phase
    elapsed: float
    reply: Reply | None = None
    error: TransportError | None = None
    fault: str | None = None

    @property
    def status(self) -> int | None:
        """The HTTP status; None if no answer began."""
        return self.reply.status if self.reply is not None else None

    @property
    def headers(self) -> Headers:
        """The answer's header fields; empty if no answer began."""
        return self.reply.headers if self.reply is not None else ()


class Action(Enum):
    """What to do next with a call."""

    OK = "ok"
    """Give the answer to the caller. The endpoint did well."""
    RETRY_ELSEWHERE = "retry elsewhere"
    """Try another endpoint, if the call may be repeated."""
    BACK_OFF = "back off"
    """Wait, then try another endpoint: this one, or the service, has too much to do."""
    REAUTHENTICATE = "reauthenticate"
    """Renew the credential, then try once more. Only for providers that fetch their credential."""
    FAIL = "fail"
    """Give the answer to the caller: trying elsewhere would end the same way."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an outcome means.

    Args:
        action: What to do next.
        may_have_run: Whether the instance may have run the request. If it may, the call is repeated only where the
            configuration, or its method, says that this is safe. Default True: the careful answer.
        delay: For BACK_OFF: seconds to wait, if the answer says so. None: the configured back-off.
    """

    action: Action
    may_have_run: bool = True
    delay: float | None = None


OK = Verdict(Action.OK)
FAIL = Verdict(Action.FAIL)
REAUTHENTICATE = Verdict(Action.REAUTHENTICATE, may_have_run=False)


def retry_elsewhere(*, may_have_run: bool) -> Verdict:
    """Try another endpoint; `may_have_run` False says that this one certainly did not run the request."""
    return Verdict(Action.RETRY_ELSEWHERE, may_have_run=may_have_run)


def back_off(delay: float | None = None, *, may_have_run: bool = False) -> Verdict:
    """Wait `delay` seconds (None: as configured), then try another endpoint. A refused request was not run."""
    return Verdict(Action.BACK_OFF, may_have_run=may_have_run, delay=delay)
