# Made by tools/unasync.py from core/client/_async/warming.py. Change that file, then run the tool.
"""Connections to new instances, opened ahead of the calls: the setting `warm`."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from random import Random

from ...clock import Clock
from ...dispatch.route import Route
from ...timers import Timers
from ..errands import Errands
from ..waiting import into_this_loop
from ..warming import MOST_AT_ONCE, WarmQueue
from .channels import Channels

__all__ = ["Warming"]

_log = logging.getLogger("directlane.client")


class Warming:
    """Connects to the new instances of one service. Made where its connections will be used.

    What comes of it is no news about an instance: neither a failure nor a success.

    Args:
        channels: Of the service.
        connections: How many to each instance.
        limit: Seconds for each.
        grace: Seconds after its end for which somebody else closes what a route has.
        timers: For the moment of waiting.
        clock: Source of time.
        random: Source of chance.
    """

    def __init__(
        self,
        channels: Channels,
        connections: int,
        limit: float,
        grace: float,
        timers: Timers,
        clock: Clock,
        random: Random,
    ) -> None:
        self.connections = connections
        """How many to each instance from now on."""
        self._channels = channels
        self._limit = limit
        self._errands = Errands(MOST_AT_ONCE, "warm")
        self._queue = WarmQueue(timers, clock, random, into_this_loop(self._begin), grace=grace)

    @property
    def workers(self) -> int:
        """How many instances are connected to now, at most."""
        return self._queue.workers

    def follow(self, routes: Iterable[Route]) -> None:
        """See `WarmQueue.follow`."""
        self._queue.follow(routes)

    def _begin(self) -> None:
        if not self._errands.start(self._work):
            self._queue.give_up()

    def _work(self) -> None:
        try:
            self._connect()
        except BaseException:
            self._queue.give_up()  # its event loop ends
            raise

    def _connect(self) -> None:
        while (found := self._queue.take()) is not None:
            route, member = found
            try:
                if self.connections:
                    self._channels.warm(member, self.connections, self._limit)
                if self._queue.must_close(route, member):
                    self._channels.close(member)
            except Exception as error:  # noqa: BLE001 - whatever it is, the calls will tell
                _log.debug("%s: connecting ahead failed with %s", route.name, type(error).__name__)

    def close(self) -> None:
        """Connect no more."""
        self._queue.close()
        self._errands.close()
