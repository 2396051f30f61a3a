"""How a peer is noticed that is gone without a word: its machine lost power, or the network between was cut.

TCP keepalive asks a connection on which nothing moves whether its far side is still there. It finds those that rest in
the pool, and those that wait for an answer. TCP_USER_TIMEOUT is left alone: it would also end the connection to a
server that is alive and takes its time to read a large request (tcp(7), and RFC 5482, section 4.2).
"""

from __future__ import annotations

import math
import socket
from typing import Protocol

__all__ = ["PROBES", "watch_peer"]

PROBES = 3
"""So many probes without an answer end a connection."""

_IDLE = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))
"""Called TCP_KEEPALIVE on macOS."""


class _Socket(Protocol):
    """What asyncio, uvloop and Python itself call a socket."""

    def setsockopt(self, level: int, name: int, value: int, /) -> None: ...


def watch_peer(connected: _Socket, seconds: float) -> None:
    """Have the kernel ask after this silence, then each third of it, and end the connection after `PROBES` of them.

    Args:
        connected: A TCP socket.
        seconds: Of silence before the first probe; whole seconds, one at least. 0: do nothing.
    """
    if seconds <= 0 or _IDLE is None:
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connected.setsockopt(socket.IPPROTO_TCP, _IDLE, math.ceil(seconds))
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, math.ceil(seconds / PROBES))
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
