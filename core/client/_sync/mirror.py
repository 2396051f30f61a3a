# Made by tools/unasync.py from core/client/_async/mirror.py. Change that file, then run the tool.
"""Copies of calls for mirror routes: answers are thrown away, and the caller does not notice.

A copy is sent once and never repeated. It is counted at its endpoint like any attempt, so a mirror has statistics, and
its endpoints are ejected when they fail; it takes nothing from the service's retry budget.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from random import Random

from ...clock import Clock
from ...config.model import CallSettings
from ...dispatch.call import Call
from ...dispatch.judging import judge
from ...dispatch.route import Route, RouteMember
from ...errors import Phase, TransportError
from ...interfaces.balancer import PickInfo
from ...interfaces.transport import Channel, Timeouts
from ...outcome import Outcome
from ...pool.statistics import Lease
from ..errands import Errands

__all__ = ["Mirror"]

_log = logging.getLogger("directlane.dispatch")

_LIMIT = 16
"""Copies of one service under way at most. A mirror that is slower than the service must not pile up calls here."""


class Mirror:
    """Sends copies for one service. Mutable state: the counts, which may miss one when threads meet.

    Args:
        channel_to: The connections of a member.
        clock: Source of time.
        random: Source of chance.
    """

    def __init__(self, channel_to: Callable[[RouteMember], Channel], clock: Clock, random: Random) -> None:
        self._channel_to = channel_to
        self._clock = clock
        self._random = random
        self._errands = Errands(_LIMIT, "mirror")
        self.sent = 0
        """Copies that were begun."""
        self.dropped = 0
        """Copies that were not begun, because too many were under way."""

    def offer(self, call: Call, routes: tuple[Route, ...], settings: CallSettings) -> None:
        """Copy a call to these mirror routes, each by its share. A body that can be sent once only is not copied."""
        if not call.request.is_replayable:
            return
        for route in routes:
            if self._random.random() < route.plan.mirror:
                if self._errands.start(partial(self._copy, call, route, settings)):
                    self.sent += 1
                else:
                    self.dropped += 1

    def _copy(self, call: Call, route: Route, settings: CallSettings) -> None:
        try:
            member = route.pool.pick(PickInfo(frozenset(), call.key, call.size))
            if member is None:
                return
            lease = Lease(member.load, self._clock.monotonic(), call.size)
            try:
                request = member.lane.complete(call.request, self._clock)
                timeouts = Timeouts(settings.connect_timeout, settings.attempt_timeout or settings.timeout)
                started = time.monotonic()
                try:
                    reply = self._channel_to(member).send(request, timeouts)
                except TransportError as error:
                    outcome = Outcome(error.phase, time.monotonic() - started, error=error)
                else:
                    outcome = Outcome(Phase.DONE, time.monotonic() - started, reply=reply)
                member.load.record(outcome, judge(route, outcome))
            finally:
                lease.release()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no business of the caller
            _log.debug("%s: a copy failed with %s", route.name, type(error).__name__)

    def close(self) -> None:
        """Send no more copies."""
        self._errands.close()
