"""A TCP connection whose every step ends at one moment.

`http.client` gives each `recv` the same time, so a server that sends a byte now and then could hold a call for ever.
"""

import math
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["Line"]


class Line(socket.socket):
    """A connected socket. Mutable state: `ends_at`."""

    ends_at: float = math.inf
    """Monotonic clock: a step that is not done by then raises `TimeoutError`."""

    @classmethod
    def to(cls, host: str, port: int, seconds: float) -> Self:
        """Connect.

        Raises:
            OSError: Nobody answers; `TimeoutError` after so many seconds.
        """
        if seconds <= 0:
            raise TimeoutError
        plain = socket.create_connection((host, port), timeout=seconds)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(fileno=plain.detach())

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0) -> int:
        """As `socket.recv_into`, within the limit. `http.client` reads by it."""
        self._set_limit()
        return super().recv_into(buffer, nbytes, flags)

    def sendall(self, data: "ReadableBuffer", flags: int = 0) -> None:
        """As `socket.sendall`, within the limit."""
        self._set_limit()
        super().sendall(data, flags)

    def is_quiet(self) -> bool:
        """Whether nothing has come since the last answer: neither bytes nor the end."""
        try:
            self.settimeout(0)
            self.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def hang_up(self) -> None:
        """End the connection from another thread: a step that waits fails at once."""
        with suppress(OSError):  # it may be gone already
            self.shutdown(socket.SHUT_RDWR)

    def _set_limit(self) -> None:
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.settimeout(left if left < math.inf else None)
