"""What a failure on the wire means: the rules that both colours share. No I/O."""

from __future__ import annotations

import errno

from ...endpoint import Endpoint
from ...errors import Phase, TransportError
from ...fields import format_duration
from ...interfaces.transport import Timeouts
from ...message import Request
from ...os_reason import os_reason
from .reader import BadAnswerError, ResponseReader

__all__ = ["broken", "late", "may_resend", "translated"]


def may_resend(
    error: BaseException, request: Request, timeouts: Timeouts, reader: ResponseReader, *, was_used: bool
) -> bool:
    """Whether a connection that was used before broke without a byte: most likely it was closed while it rested."""
    return (
        timeouts.may_resend
        and was_used
        and not reader.has_begun
        and request.is_replayable
        and isinstance(error, BadAnswerError | OSError)
        and not isinstance(error, TimeoutError)
    )


def translated(endpoint: Endpoint, error: BaseException, phase: Phase, seconds: float) -> TransportError | None:
    """Our error for what the socket or the reader raised; None for what is not theirs: the caller's, a cancellation.

    ETIMEDOUT is no time limit of ours: the kernel says that the peer does not answer it any more.
    """
    if isinstance(error, TimeoutError) and error.errno != errno.ETIMEDOUT:
        return late(endpoint, phase, seconds)
    if isinstance(error, OSError | BadAnswerError):
        return broken(endpoint, phase, error)
    return None


def late(endpoint: Endpoint, phase: Phase, seconds: float) -> TransportError:
    """The time was over."""
    text = f"{endpoint.authority} took longer than {format_duration(seconds)}"
    return TransportError(text, phase=phase, timed_out=True)


def broken(endpoint: Endpoint, phase: Phase, error: BaseException) -> TransportError:
    """The connection could not be made, or broke."""
    detail = os_reason(error)
    if phase is Phase.CONNECT:
        return TransportError(f"cannot connect to {endpoint.authority}: {detail}", phase=phase)
    return TransportError(f"{endpoint.authority} broke off: {detail}", phase=phase)
