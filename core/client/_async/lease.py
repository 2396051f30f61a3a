"""Attempts that a function of the caller performs: what `send` does with a request, done with any protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, cast

from ...dispatch.call import Attempt, Call, Effect
from ...outcome import Outcome
from ..leasing import EndpointLease, bounded_async, is_of_the_wire

__all__ = ["AsyncLeaseRun"]

T = TypeVar("T")


class AsyncLeaseRun(Generic[T]):
    """One call by a function. Its `perform` takes the place of the service's own.

    Mutable state: what the last attempt came to.

    Args:
        function: Uses the lease that it gets; may be called again with another one.
        otherwise: Performs the effects that are no attempt.
    """

    def __init__(
        self,
        function: Callable[[EndpointLease], Awaitable[T]],
        otherwise: Callable[[Call, Effect], Awaitable[Outcome | None]],
    ) -> None:
        self._function = function
        self._otherwise = otherwise
        self._lease: EndpointLease | None = None
        self._value: T | None = None
        self._error: Exception | None = None
        self._is_owed = False

    async def perform(self, call: Call, effect: Effect) -> Outcome | None:
        """Perform one effect."""
        if not isinstance(effect, Attempt):
            return await self._otherwise(call, effect)
        call.attempt = effect
        lease = self._lease = EndpointLease(effect)
        self._error = None
        self._is_owed = False
        try:
            self._value = await bounded_async(self._function, lease)
        except Exception as error:  # noqa: BLE001 - raised again by `result`, if there is no further attempt
            self._error = error
            if lease.outcome is None and not is_of_the_wire(error):
                # A failure, but none that a repeat elsewhere would mend: for the dispatch it is an answer.
                lease.succeeded()
                self._is_owed = True
            else:
                lease.end_with(error)
        else:
            lease.succeeded()
        return lease.outcome

    def result(self) -> T:
        """What the function returned, or raised, in the attempt that counts. Ask when the dispatch is through."""
        error, self._error = self._error, None
        if error is None:
            return cast("T", self._value)
        lease = self._lease
        assert lease is not None  # noqa: S101 - an exception comes from an attempt
        lease.close(error if self._is_owed else None)
        raise error

    def abandon(self) -> None:
        """The call ended without a result: give the endpoint back, even if it was to be kept."""
        if self._lease is not None:
            self._lease.close()
