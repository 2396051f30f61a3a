"""Translates httpx's errors into ours, by type: where httpx and directlane meet."""

from __future__ import annotations

import httpx

from ..endpoint import Endpoint
from ..errors import Phase, TransportError
from ..fields import format_duration
from ..interfaces.transport import Timeouts
from ..os_reason import os_reason

__all__ = ["as_transport_error"]

# httpx raises these only while a connection is being made, TLS included: no byte of the request has left.
_CONNECTING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
_SENDING = (httpx.WriteError, httpx.WriteTimeout, httpx.LocalProtocolError)


def as_transport_error(error: Exception, endpoint: Endpoint, reached: Phase, timeouts: Timeouts) -> TransportError:
    """Our error for one of httpx's.

    Args:
        error: What httpx raised, the TimeoutError of the limit around it, or an error of TLS that httpx lets through.
        endpoint: Who was asked.
        reached: The phase if the error's type does not tell a sooner one.
        timeouts: The limits, for the text.
    """
    phase = Phase.CONNECT if isinstance(error, _CONNECTING) else Phase.SEND if isinstance(error, _SENDING) else reached
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        limit = timeouts.connect if phase is Phase.CONNECT else timeouts.total
        text = f"{endpoint.authority} took longer than {format_duration(limit)}"
        return TransportError(text, phase=phase, timed_out=True)
    if phase is Phase.CONNECT:
        return TransportError(f"cannot connect to {endpoint.authority}: {os_reason(error)}", phase=phase)
    return TransportError(f"{endpoint.authority} broke off: {os_reason(error)}", phase=phase)
