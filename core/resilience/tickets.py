"""Who wants a slot, what a slot is, and the place in the queue between the two.

A ticket ends exactly once; who made it decides how, see `slots`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import Enum
from typing import Generic, Protocol, TypeVar

__all__ = ["End", "Place", "S", "Seeker", "Slot", "Ticket"]


class Slot(Protocol):
    """A slot in use. Compared by identity."""

    @property
    def endpoint_id(self) -> str:
        """Whose slot it is."""
        ...

    @property
    def started_at(self) -> float:
        """Since when it is in use, on the monotonic clock."""
        ...

    def release(self) -> None:
        """Give it back, by `Slots.give_back`. Harmless when called again."""
        ...


S = TypeVar("S", bound=Slot)
S_co = TypeVar("S_co", bound=Slot, covariant=True)


class Seeker(Protocol[S_co]):
    """A call that wants a slot. Asked under the lock: must be quick and must not wait."""

    @property
    def is_choosy(self) -> bool:
        """Whether it would not take every endpoint."""
        ...

    def seek(self, full: Collection[str]) -> S_co | None:
        """Take a slot at an endpoint that is not among these; None if no other will do."""
        ...

    def has_somebody(self) -> bool:
        """Whether there is any endpoint for it, were all slots free."""
        ...


class End(Enum):
    """How a ticket ended."""

    GRANTED = "granted"
    LATE = "late"
    """Its deadline passed in the queue."""
    NOBODY = "nobody"
    """There is no endpoint for it any more."""
    FULL = "full"
    """The queue had no room."""
    LEFT = "left"
    """The caller gave up."""
    CLOSED = "closed"
    FAILED = "failed"
    """The balancer failed; see `Ticket.error`."""


class Place(Protocol):
    """A ticket as the shells see it: something to wait for."""

    def wake_by(self, wake: Callable[[], None]) -> bool:
        """See `Ticket.wake_by`."""
        ...


class Ticket(Generic[S]):
    """One call's place in the queue.

    Mutable state: `end`, `slot` and `error`, which are set once, by `Slots`, under its lock.

    Args:
        seeker: Who wants a slot.
        deadline: When it is no use any more, on the monotonic clock.
        came_at: When it came, on the same clock.
        order: Its place in the queue; the least comes first.
    """

    __slots__ = ("_wake", "came_at", "deadline", "end", "error", "order", "seeker", "slot")

    def __init__(self, seeker: Seeker[S], deadline: float, came_at: float, order: tuple[float, bool, int]) -> None:
        self.seeker: Seeker[S] = seeker
        self.deadline: float = deadline
        self.came_at: float = came_at
        self.order: tuple[float, bool, int] = order
        self.end: End | None = None
        self.slot: S | None = None
        self.error: Exception | None = None
        self._wake: Callable[[], None] | None = None

    def wake_by(self, wake: Callable[[], None]) -> bool:
        """Have `wake` called when the ticket has ended, once at most, in any thread.

        Returns:
            Whether to wait for it: False if the ticket has ended already.
        """
        self._wake = wake
        return self.end is None

    def wake(self) -> None:
        """Wake who waits. `end` was set before `_wake` is read, and is read after `_wake` was set: one side sees it."""
        wake, self._wake = self._wake, None
        if wake is not None:
            wake()

    def __repr__(self) -> str:
        return f"<Ticket {'waiting' if self.end is None else self.end.value}>"
