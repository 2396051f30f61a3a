"""One blocking connection: a socket, its time limit, and the reader of its answers."""

from __future__ import annotations

import math
import select
import socket
import ssl
import struct
import sys
import time
from contextlib import suppress

from ...endpoint import Endpoint
from ...interfaces.transport import Abort
from .options import WireOptions
from .reader import ResponseReader, hinted_end
from .vanished import watch_peer

__all__ = ["Connection", "connect"]

_HAS_KERNEL_TIMEOUTS = sys.platform in ("linux", "darwin") and sys.maxsize > 2**32
_SLACK = 0.01
_READ = 120 * 1024
"""glibc takes blocks of 128 KiB and more from the kernel each time: a read into one costs ten times a smaller one."""


_EARLY = 0.85
"""Linux rings such a timer late, by up to an eighth of its time: a deadline of 60 s would be missed by seconds."""


class Connection:
    """A socket that was connected. Used by one thread at a time.

    Where the kernel can, it keeps the time limit itself (SO_RCVTIMEO): a Python timeout would cost a `poll` for every
    read and write. A limit that is at most 1 % (and 10 ms) too long is left as it is.

    Attributes:
        abort: Who may end the exchange from another thread; None: nobody.
        ends_at: When its time is over, in seconds of the monotonic clock: what waits for the far side ends by then.
        expires_at: When it is too old for another request.
        failure: What broke it while it rested, if that is known.
        stale_at: While it rests: when it must not be used any more.
        was_used: Whether it carried a request before the one it carries now.
    """

    __slots__ = (
        "_armed",
        "_armed_from",
        "_has_kernel_timeout",
        "_poll",
        "_socket",
        "abort",
        "ends_at",
        "expires_at",
        "failure",
        "reader",
        "stale_at",
        "was_used",
    )

    def __init__(self, connected: socket.socket, reader: ResponseReader, expires_at: float) -> None:
        self._socket = connected
        self.abort: Abort | None = None
        self._armed = self._armed_from = -1.0
        self._has_kernel_timeout = _HAS_KERNEL_TIMEOUTS and not isinstance(connected, ssl.SSLSocket)
        if self._has_kernel_timeout:
            connected.settimeout(None)
        self._poll = select.poll() if hasattr(select, "poll") else None
        if self._poll is not None:
            self._poll.register(connected, select.POLLIN)
        self.reader: ResponseReader = reader
        self.ends_at: float = 0.0
        self.expires_at: float = expires_at
        self.failure: OSError | None = None
        self.stale_at: float = 0.0
        self.was_used: bool = False

    def arm(self, seconds: float) -> None:
        """Let every read and write from now on take at most this long.

        Raises:
            TimeoutError: The time is over already.
        """
        if seconds <= 0:
            raise TimeoutError
        if self._armed_from <= seconds <= self._armed:
            return
        self._armed = seconds
        self._armed_from = seconds - min(_SLACK, seconds * _SLACK)
        if not self._has_kernel_timeout:
            self._socket.settimeout(seconds)
            return
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _kernel_time(seconds * _EARLY))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _kernel_time(seconds))

    def rearm(self) -> None:
        """Let reads and writes take what is left until `ends_at`.

        Raises:
            TimeoutError: Nothing is left.
        """
        seconds = self.ends_at - time.monotonic()
        if not self._armed_from <= seconds <= self._armed:
            self.arm(seconds)

    def has_news(self) -> bool:
        """Whether there is something to read: of an idle connection, that it is closed or out of step."""
        if self._poll is not None:
            return bool(self._poll.poll(0))
        return bool(select.select([self._socket], [], [], 0)[0])

    def send(self, data: bytes | memoryview) -> None:
        """Send all of it.

        Raises:
            TimeoutError: It took too long.
            OSError: The connection broke.
        """
        try:
            sent = self._socket.send(data)
            if sent < len(data):
                # The kernel's limit begins anew with each send; ours does not.
                rest = memoryview(data)[sent:]
                while rest:
                    self.rearm()
                    rest = rest[self._socket.send(rest) :]
        except BlockingIOError:
            raise TimeoutError from None

    def send_both(self, head: bytes, body: bytes) -> None:
        """Send a head and its body, without copying them into one piece first.

        Raises:
            TimeoutError: It took too long.
            OSError: The connection broke.
        """
        if not self._has_kernel_timeout:  # TLS has no way to send two pieces as one
            self.send(head + body)
            return
        try:
            sent = self._socket.sendmsg((head, body))
        except BlockingIOError:
            raise TimeoutError from None
        if sent < len(head):
            self.send(head[sent:])
            sent = len(head)
        if sent < len(head) + len(body):
            self.rearm()
            self.send(memoryview(body)[sent - len(head) :])

    def receive(self) -> bytes:
        """What comes next; empty at the end of the connection.

        Raises:
            TimeoutError: It took too long.
            OSError: The connection broke.
        """
        try:
            return self._socket.recv(_READ)
        except BlockingIOError:
            # The kernel rang early, as it was told to. What is left is waited for with a clock that is exact.
            left = self.ends_at - time.monotonic()
            if left <= 0 or self._poll is None or not self._poll.poll(math.ceil(left * 1000)):
                raise TimeoutError from None
        try:
            return self._socket.recv(_READ)
        except BlockingIOError:
            raise TimeoutError from None

    def rest(self, keepalive: float) -> float:
        """Let it wait for its next request, `keepalive` seconds at most. Returns the time."""
        now = time.monotonic()
        stale_at = now + keepalive
        if self.expires_at < stale_at:
            stale_at = self.expires_at
        hint = self.reader.keep_alive_hint
        self.stale_at = stale_at if hint is None else min(stale_at, hinted_end(hint, now))
        return now

    def watched_by(self, abort: Abort) -> None:
        """Let another thread end the exchange that begins now."""
        self.abort = abort
        abort.watch(self._shut)

    def _shut(self) -> None:
        # Unlike `close`, this wakes a thread that is blocked in the socket. Not the method of a TLS socket, which would
        # take its state away under the feet of that thread.
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close it. Harmless when called again."""
        self._socket.close()


class _TlsConnection(Connection):
    """A connection under TLS: that its socket can be read need not mean that the far side said anything to us.

    TLS 1.3 sends session tickets of its own accord. So news are looked for by reading; what is found is kept.
    """

    __slots__ = ("_held",)

    def __init__(self, connected: socket.socket, reader: ResponseReader, expires_at: float) -> None:
        super().__init__(connected, reader, expires_at)
        self._held: bytes | None = None

    def has_news(self) -> bool:
        connected = self._socket
        if self._held is not None or self.failure is not None:
            return True
        if not super().has_news() and not (isinstance(connected, ssl.SSLSocket) and connected.pending()):
            return False
        self._armed = self._armed_from = -1.0
        connected.settimeout(0)
        try:
            self._held = connected.recv(_READ)
        except ssl.SSLWantReadError:
            return False
        except OSError as error:
            self.failure = error
        finally:
            connected.settimeout(max(self.ends_at - time.monotonic(), 0.001))
        return True

    def receive(self) -> bytes:
        if self.failure is not None:
            raise self.failure
        held = self._held
        if held is None:
            return super().receive()
        self._held = None
        return held


def connect(endpoint: Endpoint, options: WireOptions, seconds: float) -> Connection:
    """Make a connection, TLS included, in this time.

    Raises:
        TimeoutError: It took too long.
        OSError: It cannot be made.
    """
    began = time.monotonic()
    ends_at = began + seconds
    kind = Connection
    if options.unix_socket is not None:
        connected = _dial(socket.AF_UNIX, options.unix_socket, ends_at)
    else:
        connected = _dial_host(endpoint, ends_at)
    try:
        if options.unix_socket is None:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            watch_peer(connected, options.tcp_keepalive)
        if options.tls is not None:
            kind = _TlsConnection
            connected.settimeout(_left(ends_at))
            connected = options.tls.current().wrap_socket(connected, server_hostname=endpoint.tls_name)
        return kind(connected, ResponseReader(options.max_head), began + options.max_age)
    except BaseException:
        connected.close()
        raise


def _kernel_time(seconds: float) -> bytes:
    # At least one microsecond: zero would mean for ever.
    return struct.pack("@ll", int(seconds), max(1, int(seconds % 1 * 1_000_000)))


def _left(ends_at: float) -> float:
    seconds = ends_at - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _dial_host(endpoint: Endpoint, ends_at: float) -> socket.socket:
    """As `socket.create_connection`, but with one limit for all addresses of a name."""
    failure: OSError | None = None
    for family, _, _, _, address in socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM):
        try:
            return _dial(family, address, ends_at)
        except OSError as error:
            failure = error
    raise failure or OSError(f"no address for {endpoint.host}")


def _dial(family: int, address: object, ends_at: float) -> socket.socket:
    connected = socket.socket(family, socket.SOCK_STREAM)
    try:
        connected.settimeout(_left(ends_at))
        connected.connect(address)  # type: ignore[arg-type]  # a tuple or a path: as the family has it
    except BaseException:
        connected.close()
        raise
    return connected
