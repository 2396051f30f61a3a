"""What a client holds of discovery: its share in a poller, or in an answer that never changes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from ..clock import Clock
from ..config.model import DiscoverySettings
from ..endpoint import Snapshot
from ..interfaces.discovery import AddressSource, Discovery, PollContext
from .belief import Belief, after_answer
from .poller import Listener, Poller
from .who_asks import WhoAsked

__all__ = ["Fixed", "Share", "Subscription", "fixed_belief"]


class Subscription(Protocol):
    """One client's share in a poller. Safe to use from any thread."""

    @property
    def belief(self) -> Belief:
        """What is known now."""
        ...

    @property
    def is_ready(self) -> bool:
        """See `Poller.is_ready`."""
        ...

    @property
    def asked(self) -> WhoAsked | None:
        """See `Poller.asked`."""
        ...

    def ask_soon(self, *, reauthenticate: bool = False) -> int:
        """Ask for an early question; see `Poller.ask_soon`."""
        ...

    def wait_served(self, ticket: int, timeout: float) -> bool:
        """See `Poller.wait_served`."""
        ...

    def wait_ready(self, timeout: float, *, or_asked: bool = False) -> bool:
        """See `Poller.wait_ready`."""
        ...

    def release(self) -> None:
        """Give the share back. Harmless when called again."""
        ...


class Share:
    """A share in a poller.

    Args:
        poller: Whose belief it is.
        listener: Told of each list until the share is given back.
        leave: Gives the share back to who shares the poller.
    """

    def __init__(self, poller: Poller, listener: Listener, leave: Callable[[Share], None]) -> None:
        self._poller = poller
        self._listener = listener
        self._leave = leave

    @property
    def belief(self) -> Belief:
        return self._poller.belief

    @property
    def is_ready(self) -> bool:
        return self._poller.is_ready

    @property
    def asked(self) -> WhoAsked | None:
        return self._poller.asked

    def ask_soon(self, *, reauthenticate: bool = False) -> int:
        return self._poller.ask_soon(reauthenticate=reauthenticate)

    def wait_served(self, ticket: int, timeout: float) -> bool:
        return self._poller.wait_served(ticket, timeout)

    def wait_ready(self, timeout: float, *, or_asked: bool = False) -> bool:
        return self._poller.wait_ready(timeout, or_asked=or_asked)

    def release(self) -> None:
        self._poller.remove_listener(self._listener)
        self._leave(self)


class Fixed:
    """A share in an answer that never changes: no poller, no thread."""

    def __init__(self, belief: Belief) -> None:
        self.belief = belief

    @property
    def is_ready(self) -> bool:
        return bool(self.belief.endpoints)

    @property
    def asked(self) -> WhoAsked | None:
        return None

    def ask_soon(self, *, reauthenticate: bool = False) -> int:
        del reauthenticate
        return 0

    def wait_served(self, ticket: int, timeout: float) -> bool:
        del ticket, timeout
        return True

    def wait_ready(self, timeout: float, *, or_asked: bool = False) -> bool:
        del timeout, or_asked
        return self.is_ready

    def release(self) -> None:
        pass


def fixed_belief(discovery: Discovery, settings: DiscoverySettings, clock: Clock) -> Belief | None:
    """The belief of a discovery that needs no question and never changes; None for all others.

    Also None for one that fails: a poller finds out again, and tells it in the way of all failures.
    """
    if discovery.addresses is not AddressSource.CONFIGURED:
        return None
    try:
        conversation = discovery.poll(PollContext(clock.unix()))
        next(conversation)
        conversation.close()
    except StopIteration as end:
        answer: object = end.value
    except Exception:  # noqa: BLE001 - a plug-in may raise anything
        return None
    else:
        return None
    if not isinstance(answer, Snapshot) or answer.ask_again_in != math.inf:
        return None
    belief = after_answer(
        Belief(),
        answer,
        clock.monotonic(),
        source=discovery.addresses,
        empty=discovery.empty_answer,
        networks=settings.allow_networks,
    )
    return belief if belief.error is None else None
