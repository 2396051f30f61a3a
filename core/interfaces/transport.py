"""The Transport contract: how an attempt travels.

A transport opens a channel for one endpoint; a channel owns its connections. So closing, draining or warming one
instance touches no other, and no call walks over all connections of all instances.

A channel reports every failure as a `TransportError` with the phase that was reached. Rule for authors: report CONNECT
only if not one byte of the request can have left; that promise is what makes a repeat safe.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from ..endpoint import Endpoint
from ..message import Headers, Reply, Request

__all__ = [
    "Abort",
    "AsyncBody",
    "AsyncChannel",
    "AsyncStreamed",
    "Body",
    "Channel",
    "Streamed",
    "Timeouts",
    "Transport",
]


class Abort:
    """Ends an attempt of sync code from another thread: nothing can cancel a blocked one.

    A channel that can be ended says how (`watch`), and takes that back (`forget`) before its connection carries
    anything else. A channel that cannot ignores it: the attempt then ends by itself, and nobody waits for it.

    Mutable state: `is_called` and the way to end it, under `_lock`.
    """

    __slots__ = ("_end", "_lock", "is_called")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._end: Callable[[], None] | None = None
        self.is_called: bool = False

    def watch(self, end: Callable[[], None]) -> None:
        """Say how to end the attempt; at once, if it is to end. `end` must be quick and must not raise."""
        with self._lock:
            self._end = end
            if self.is_called:
                end()

    def forget(self) -> bool:
        """The attempt needs no end any more. False if it was ended: its connection must not be used again."""
        with self._lock:
            self._end = None
            return not self.is_called

    def call(self) -> None:
        """End the attempt. Harmless when called again."""
        with self._lock:
            self.is_called = True
            if self._end is not None:
                self._end()


@dataclass(slots=True)
class Timeouts:
    """The limits of one attempt, in seconds from its start. A value, not frozen: one is made for each attempt.

    Args:
        connect: To open a connection, TLS included.
        total: For the whole attempt. For a streamed reply: up to its headers.
        may_resend: Whether the request may go out a second time on a new connection, once, when a connection that was
            used before breaks without a byte of an answer. True only where a second run does no harm. Default False.
        gap: Between two pieces of a streamed reply. Default (None): as `total`.
        abort: Lets another thread end the attempt. Default: none.
    """

    connect: float
    total: float
    may_resend: bool = False
    gap: float | None = None
    abort: Abort | None = None

    @property
    def between_pieces(self) -> float:
        """Seconds between two pieces of a streamed reply."""
        return self.total if self.gap is None else self.gap


class Body(ABC):
    """The body of a streamed reply. Ends, breaks or is closed exactly once."""

    @abstractmethod
    def __iter__(self) -> Iterator[bytes]:
        """The pieces as they arrive.

        Raises:
            TransportError: With phase STREAM.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop reading and free the connection. Harmless when called again."""

    def allow(self, seconds: float) -> bool:
        """Wait at most so long for each piece from now on, instead of `Timeouts.gap`.

        Returns:
            Whether this body can do so. Default: False, and nothing changes.
        """
        del seconds
        return False


class AsyncBody(ABC):
    """As `Body`, for async code."""

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces as they arrive.

        Raises:
            TransportError: With phase STREAM.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Stop reading and free the connection. Harmless when called again."""

    def allow(self, seconds: float) -> bool:
        """As `Body.allow`."""
        del seconds
        return False


@dataclass(frozen=True, slots=True)
class Streamed:
    """A reply whose body is still on the wire."""

    status: int
    headers: Headers
    body: Body = field(repr=False)


@dataclass(frozen=True, slots=True)
class AsyncStreamed:
    """As `Streamed`, for async code."""

    status: int
    headers: Headers
    body: AsyncBody = field(repr=False)


class Channel(ABC):
    """The way to one endpoint, for sync code. Used by many threads at once."""

    @abstractmethod
    def send(self, request: Request, timeouts: Timeouts) -> Reply:
        """Send a request and read the whole answer.

        `request.target` is complete; the `Host` and framing headers are the channel's to add. The reply names the
        channel's endpoint.

        Raises:
            TransportError: With the phase that was reached.
        """

    @abstractmethod
    def stream(self, request: Request, timeouts: Timeouts) -> Streamed:
        """Send a request and return as soon as the answer's headers are there. The caller closes the body.

        Raises:
            TransportError: With the phase that was reached.
        """

    def warm(self, connections: int, timeouts: Timeouts) -> int:
        """Open connections before they are needed; failures are no errors.

        Returns:
            How many connections rest here now, at most as many as were asked for. Default: 0, nothing is opened.
        """
        del connections, timeouts
        return 0

    @abstractmethod
    def close(self) -> None:
        """Close every connection. Harmless when called again."""


class AsyncChannel(ABC):
    """The way to one endpoint, for async code. Used by many tasks of one event loop.

    A cancelled call must leave no half-used connection behind for the next one.
    """

    @abstractmethod
    async def send(self, request: Request, timeouts: Timeouts) -> Reply:
        """As `Channel.send`."""

    @abstractmethod
    async def stream(self, request: Request, timeouts: Timeouts) -> AsyncStreamed:
        """As `Channel.stream`."""

    async def warm(self, connections: int, timeouts: Timeouts) -> int:
        """As `Channel.warm`."""
        del connections, timeouts
        return 0

    @abstractmethod
    async def aclose(self) -> None:
        """As `Channel.close`."""


class Transport(BaseModel, ABC):
    """A way of sending, and its settings. Its fields are its configuration; third parties subclass it."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kind: ClassVar[str]
    """The name in configuration files."""
    summary: ClassVar[str] = ""
    """One line for lists."""
    capabilities: ClassVar[frozenset[str]] = frozenset()
    """What it can do, as words: `sync`, `async` (on asyncio), `trio` (async code on trio), `warm` (connections can be
    opened ahead of calls). What is not named is not there. Every transport streams."""

    @abstractmethod
    def open(self, endpoint: Endpoint) -> Channel:
        """A channel to this endpoint. Does no I/O: connections are made when they are needed.

        Connections go to `endpoint.host` and `endpoint.port`. For https the certificate must have
        `endpoint.tls_name`, which is sent as SNI too. `endpoint.host_field` is the `Host` of each request.

        Raises:
            PluginError: This transport has no sync side, or a package that it needs is missing.
        """

    @abstractmethod
    def open_async(self, endpoint: Endpoint) -> AsyncChannel:
        """As `open`, for async code. Called inside the event loop that will use the channel.

        Raises:
            PluginError: This transport has no async side, or does not run on this event loop.
        """
