"""Keeps fresh what the calls of a route need: a poller whose answers are no lists.

It differs from the poller of a list in what it waits for (one success, not endpoints) and in how it takes wishes. A
call that was refused must not wait long for what brings nothing: a wish that comes right after a renewal is served by
that renewal, and whoever wishes gets on with what there is.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Hashable
from random import Random

from ..clock import Clock
from ..config.model import DiscoverySettings
from ..errors import DiscoveryThrottled, headline
from ..interfaces.discovery import AddressSource, Conversation, EmptyAnswer, PollContext, Upkeep
from ..interfaces.sharing import HasCredential
from .belief import Belief
from .poller import EARLY, Poller

__all__ = ["UpkeepPoller"]

_LONGEST_GAP = 1.0
"""Seconds between two rounds at most, if the second one is wanted."""

_log = logging.getLogger("directlane.discovery")


class UpkeepPoller(Poller):
    """Runs one upkeep.

    Mutable state, besides that of a poller: when the last renewal ended.
    """

    def __init__(self, name: str, upkeep: Upkeep, settings: DiscoverySettings, clock: Clock, random: Random) -> None:
        super().__init__(name, _AsDiscovery(upkeep), settings, clock, random)
        self._renewed_at = -math.inf

    @property
    def is_ready(self) -> bool:
        """Whether it has succeeded once."""
        return self.belief.snapshot is not None

    def ask_soon(self, *, reauthenticate: bool = False) -> int:
        """As `Poller.ask_soon`. Nothing is asked if a renewal ended a moment ago, or if asking is throttled."""
        if reauthenticate:
            with self._changed:
                is_fresh = self._clock.monotonic() - self._renewed_at < self._gap()
                if is_fresh or isinstance(self.belief.error, DiscoveryThrottled):
                    return self._served
        return super().ask_soon(reauthenticate=reauthenticate)

    def believe(self, after: Belief | None, *, goes_on: bool = False) -> None:
        """As `Poller.believe`."""
        if self._is_renewing:
            self._renewed_at = self._clock.monotonic()
        super().believe(after, goes_on=goes_on)

    def _gap(self) -> float:
        # News cannot be seen here, so wishes never become rarer; and calls wait for them, so they come soon.
        return min(self.settings.interval * EARLY, _LONGEST_GAP)

    def _log_change(self, before: Belief, after: Belief) -> None:
        self._log_warnings(before, after)
        error = after.error
        if error is None:
            if before.error is not None:
                _log.info("%s: upkeep works again after %d failures", self.name, before.failures_in_row)
            return
        kept = "; what was learned before stays in use" if self.is_ready else ""
        if after.is_hopeless:
            _log.error("%s: upkeep fails and is not tried again: %s%s", self.name, headline(error), kept)
        elif before.error is None:  # the next ones differ at least in the numbers of their requests
            _log.warning("%s: upkeep fails: %s%s", self.name, headline(error), kept)


class _AsDiscovery:
    """An upkeep, as the poller wants it."""

    addresses = AddressSource.CONFIGURED
    empty_answer = EmptyAnswer.BELIEVE
    is_local = True

    def __init__(self, upkeep: Upkeep) -> None:
        self._upkeep = upkeep

    @property
    def identity(self) -> Hashable:
        return "upkeep", self._upkeep.identity

    @property
    def credential(self) -> Hashable | None:
        """What the platform may refuse for good; see `HasCredential`."""
        return self._upkeep.credential if isinstance(self._upkeep, HasCredential) else None

    def poll(self, context: PollContext) -> Conversation:
        return self._upkeep.poll(context)
