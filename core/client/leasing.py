"""A lease: one endpoint, picked and counted, to be used with any protocol. Without I/O, for both colours.

Rules:
- The first report counts. Without one the end decides: no exception is a success, an exception a failure; a
  cancellation is neither.
- A failure counts as CONNECT, which is repeated always, only if the caller says so, by `connecting()` or in a report.
  Anything else may have been run: nobody here can see what went over a connection that is not ours.
- The dispatch records the outcome and gives the endpoint back, as for any other call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager
from typing import TypeVar

import anyio

from ..dispatch.call import Attempt, Effect, Sent
from ..endpoint import Endpoint
from ..errors import Phase, TransportError
from ..message import Headers, Reply
from ..os_reason import os_reason
from ..outcome import Outcome

__all__ = ["EndpointLease", "bounded", "bounded_async", "ids_of", "is_of_the_wire", "lease_flow"]

T = TypeVar("T")

_FINE = Reply(200)
"""Stands for a success whose form only the caller knows."""


class EndpointLease:
    """One endpoint, picked for you. It counts as an open call until the lease ends.

    Get it from `Service.lease` or `Service.run`. Used by one thread or task at a time.

    Attributes:
        endpoint: Who was picked.
        headers: The provider's header fields for this endpoint, such as its token. Secret: do not log them.
        connect_timeout: Seconds to open a connection, as configured.
        attempt: Which attempt of the call this is, from 1.
    """

    def __init__(self, attempt: Attempt) -> None:
        self.endpoint: Endpoint = attempt.member.endpoint
        self.headers: Headers = attempt.request.headers
        self.connect_timeout: float = attempt.timeouts.connect
        self.attempt: int = attempt.number
        self._held = attempt
        self._started_at = time.monotonic()
        self._is_connecting = False
        self._outcome: Outcome | None = None
        self._is_closed = False

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as sockets want them."""
        return self.endpoint.host, self.endpoint.port

    @property
    def remaining(self) -> float:
        """Seconds that are left for this attempt; 0 if it is late. Use it as the timeout of what you do."""
        return max(0.0, self._started_at + self._held.timeouts.total - time.monotonic())

    @contextmanager
    def connecting(self) -> Generator[None, None, None]:
        """Say that nothing of the request has left yet: around what opens the connection, and nothing else.

        An OSError in the block becomes a `TransportError` of phase CONNECT, which is repeated elsewhere always.

        Raises:
            TransportError: The connection could not be opened.
        """
        self._is_connecting = True
        try:
            yield
        except Exception as error:
            self._is_connecting = False
            if not isinstance(error, OSError | EOFError):
                raise
            raise _transport_error(error, Phase.CONNECT, f"cannot connect to {self.endpoint.authority}: ") from error
        else:
            self._is_connecting = False
        # A time limit that cancels the block leaves the mark: `late` reads it.

    def succeeded(self) -> None:
        """Report that the endpoint did well, whatever happens next. Does nothing after another report."""
        self._report(None)

    def failed(self, phase: Phase = Phase.WAIT, error: BaseException | str = "reported by the caller") -> None:
        """Report that the endpoint failed. Does nothing after another report.

        Args:
            phase: How far the attempt came. CONNECT says that nothing of the request was sent: it is repeated always,
                and discovery is asked for a new list soon. Default: WAIT, it may have been run.
            error: What went wrong. Of an exception that is neither an OSError nor ours, only the type is kept: its text
                may hold what you sent.
        """
        self._report(_as_transport_error(error, phase))

    @property
    def outcome(self) -> Outcome | None:
        """What was reported; None so far."""
        return self._outcome

    def _report(self, error: TransportError | None) -> None:
        if self._outcome is not None:
            return
        elapsed = time.monotonic() - self._started_at
        if error is None:
            self._outcome = Outcome(Phase.DONE, elapsed, reply=_FINE)
        else:
            self._outcome = Outcome(error.phase, elapsed, error=error)

    def end_with(self, error: Exception) -> None:
        """Report an exception that ended the use. For the shells."""
        self._report(_as_transport_error(error, Phase.CONNECT if self._is_connecting else Phase.WAIT))

    def late(self, seconds: float) -> TransportError:
        """The error of an attempt that a time limit ended. For the shells."""
        phase = Phase.CONNECT if self._is_connecting else Phase.WAIT
        return TransportError(f"not done within {seconds:.3g} s", phase=phase, timed_out=True)

    @property
    def held(self) -> Attempt:
        """The attempt of the dispatch. For the shells."""
        return self._held

    def close(self, error: Exception | None = None) -> None:
        """End a lease that `Service.run` was asked to keep. Harmless when called again.

        Args:
            error: What broke what you did with it since. Counts as an error of the endpoint.
        """
        held = self._held
        if self._is_closed:
            return
        self._is_closed = True
        held.lease.release()
        if error is not None:
            held.member.load.record_broken(_as_transport_error(error, Phase.STREAM))

    def __repr__(self) -> str:
        return f"<EndpointLease {self.endpoint.id}, attempt {self.attempt}>"


@contextmanager
def lease_flow(flow: Generator[Effect, Sent, Reply], effect: Effect) -> Generator[EndpointLease, None, None]:
    """Lend the endpoint of a first attempt, and tell the dispatch how it went."""
    assert isinstance(effect, Attempt)  # noqa: S101 - after the queue comes an attempt
    lease = EndpointLease(effect)
    try:
        yield lease
    except Exception as error:
        lease.end_with(error)
        raise
    except BaseException:
        raise  # given up by the caller: says nothing about the endpoint
    else:
        lease.succeeded()
    finally:
        _settle(flow, lease.outcome)


def _settle(flow: Generator[Effect, Outcome | None, Reply], outcome: Outcome | None) -> None:
    """Let the dispatch record the outcome. It goes no further: the caller's block cannot run again."""
    try:
        if outcome is not None:
            flow.send(outcome)
    except StopIteration:
        pass  # it went well
    except Exception as error:  # noqa: BLE001 - the story as an error: the caller has an exception of their own
        del error
    finally:
        flow.close()


def is_of_the_wire(error: Exception) -> bool:
    """Whether an exception says that the way to the endpoint failed: a TransportError, EOFError, or network OSError.

    An OSError that names a file is about a file.
    """
    if isinstance(error, OSError):
        return error.filename is None
    return isinstance(error, TransportError | EOFError)


async def bounded_async(function: Callable[[EndpointLease], Awaitable[T]], lease: EndpointLease) -> T:
    """The function's result, within the time of the attempt.

    Raises:
        TransportError: It took too long, and was cancelled.
    """
    seconds = lease.remaining
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with anyio.move_on_after(seconds) as scope:
            return await function(lease)
        assert scope.cancelled_caught  # noqa: S101 - there is no other way out of the block
        raise lease.late(seconds) from None
    # asyncio's own limit: anyio's knows its cancellation by the text, which libraries on the way (grpc.aio) lose.
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await function(lease)
    except TimeoutError:
        if limit.expired():
            raise lease.late(seconds) from None
        raise


def bounded(function: Callable[[EndpointLease], T], lease: EndpointLease) -> T:
    """The function's result. Nothing can cancel a blocked thread: the function must use `lease.remaining`."""
    return function(lease)


def ids_of(endpoints: Iterable[Endpoint | str]) -> frozenset[str]:
    """Ids, from endpoints or ids."""
    return frozenset(endpoint if isinstance(endpoint, str) else endpoint.id for endpoint in endpoints)


def _as_transport_error(error: BaseException | str, phase: Phase) -> TransportError:
    if isinstance(error, TransportError):
        return error
    if isinstance(error, str):
        return TransportError(error, phase=phase)
    return _transport_error(error, phase, "")


def _transport_error(error: BaseException, phase: Phase, prefix: str) -> TransportError:
    if isinstance(error, OSError):
        text = os_reason(error)
    elif isinstance(error, EOFError):
        text = "the connection ended too early"
    else:
        text = type(error).__name__
    failed = TransportError(prefix + text, phase=phase, timed_out=isinstance(error, TimeoutError))
    failed.__cause__ = error
    return failed
