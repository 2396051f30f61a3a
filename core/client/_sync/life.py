# Made by tools/unasync.py from core/client/_async/life.py. Change that file, then run the tool.
"""The life of one service: begun by the first call, changed by a reload, ended by `close`.

Here is decided which routes there are and when their connections are closed. What a call does with them is in
`service`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from random import Random

from ...clock import Clock
from ...config.model import RoutePlan, ServicePlan
from ...discovery.hub import DiscoveryHub
from ...dispatch.call import Call
from ...dispatch.dispatch import Dispatcher
from ...dispatch.route import Route
from ...dispatch.routing import Routing
from ...dispatch.succession import Succession, succeed
from ...errors import ClosedError
from ...forks import on_fork
from ...interfaces.store import Store
from ..intake import Intake
from ..locks import Lock
from ..races import races_of
from ..waiting import wait_ready
from .channels import Channels
from .mirror import Mirror
from .warming import Warming

__all__ = ["ServiceLife"]

_LOOK_ROUND = 0.1
"""Seconds: while no route has an endpoint, each is waited for in turn for so long."""

_GRACE = 1.0
"""Seconds for which a route that a reload has ended keeps its connections at least: another thread may have chosen one
of its endpoints a moment before, and not say so yet."""


class ServiceLife:
    """What a service is made of at this moment.

    Mutable state: the plan, with the intake and the races that are made from it; the dispatcher, which exists from the
    first call on; `ready`; and the routes that a reload has ended. All but `ready` change under `_opening`.

    Args:
        plan: What the configuration says.
        hub: Where pollers are shared.
        clock: Source of time.
        random: Source of chance.
        store: What this process shares with others through; None: nothing is shared.
    """

    def __init__(
        self, plan: ServicePlan, hub: DiscoveryHub, clock: Clock, random: Random, store: Store | None = None
    ) -> None:
        self.plan = plan
        self.intake = Intake(plan.calls, clock)
        """Takes calls in, as the plan says."""
        self.channels = Channels(plan.transport)
        self._hub = hub
        self._clock = clock
        self._random = random
        self._store = store
        self._is_closed = False
        self._is_removed = False
        self._forget()
        on_fork(self)

    def _forget(self) -> None:
        self._dispatcher: Dispatcher | None = None
        self.ready: Dispatcher | None = None
        """The dispatcher, when the first list was waited for; None until then."""
        self.retired: list[Route] = []
        """Routes that get no calls any more, and whose connections are not closed yet."""
        self.races = races_of(self.plan.calls)
        self.mirror = Mirror(self.channels.to, self._clock, self._random)
        self.warming: Warming | None = None
        """Connects ahead of the calls; None until a first list is waited for, and without the setting."""
        self._lock = Lock()
        # Guards the making and the closing of the routing, in both colours: a second one would leave a poller behind.
        self._opening = threading.Lock()

    def after_fork_in_child(self) -> None:
        """Start anew: connections, leases and pollers belong to the parent. Sockets are left to the garbage."""
        self.channels.forget()
        self._forget()

    # --- the beginning -----------------------------------------------------------------------------------------------

    def open(self) -> Dispatcher:
        """Begin discovery, if it has not begun. Does no I/O of its own.

        Raises:
            ClosedError: The client is closed, or has this service no more.
        """
        with self._opening:
            if self._is_closed:
                raise ClosedError(f"service {self.plan.name!r}: the client is closed\nNext: make a new client.")
            if self._is_removed:
                raise ClosedError(
                    f"service {self.plan.name!r}: it was removed from the configuration while the client was open\n"
                    "Next: put it back and reload, or call another service."
                )
            dispatcher = self._dispatcher
            if dispatcher is None:
                plan = self.plan
                routing = Routing([self._begin_route(plan, route) for route in plan.routes], self._random)
                routing.retired = self.retired
                dispatcher = Dispatcher(plan.name, routing, plan.calls, self._clock, self._random)
                self._dispatcher = dispatcher
            return dispatcher

    def _begin_route(self, plan: ServicePlan, route: RoutePlan) -> Route:
        return Route(route, plan, self._hub, self._clock, self._random, self._store)

    def start(self, call: Call) -> Dispatcher:
        """The dispatcher, after the first list. The first call waits for it; whoever comes later finds it there, or
        fails at once."""
        with self._lock:
            dispatcher = self.open()
            if self.ready is None:
                start_timeout = self.plan.discovery.start_timeout
                limit = min(start_timeout, call.deadline - self._clock.monotonic())
                self.wait_ready(max(0.0, limit))
                dispatcher = self.open()  # a reload, or the end, may have come meanwhile
                if dispatcher.routing.has_endpoints() or limit >= start_timeout:
                    self._say_ready(dispatcher)
            return dispatcher

    def _say_ready(self, dispatcher: Dispatcher) -> None:
        with self._opening:
            if self._dispatcher is dispatcher:
                self.ready = dispatcher

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait for the first list of endpoints; see `Service.wait_ready`."""
        routing = self.open().routing
        self._begin_warming(routing.routes)
        ends_at = time.monotonic() + (self.plan.discovery.start_timeout if timeout is None else timeout)
        # Each route of a tier gets to answer its first question before a higher tier is looked at: calls must not
        # begin on a fallback, or on one cloud only, because that one was quicker.
        for tier in routing.tiers:
            for route in tier:
                wait_ready(route, max(0.0, ends_at - time.monotonic()), or_asked=True)
            if any(route.pool.listed for route in tier):
                return True
        while not routing.has_endpoints() and not all(route.is_hopeless for route in routing.routes):
            for route in routing.routes:
                left = ends_at - time.monotonic()
                if left <= 0:
                    return routing.has_endpoints()
                wait_ready(route, min(left, _LOOK_ROUND))
        return routing.has_endpoints()

    def _begin_warming(self, routes: Iterable[Route]) -> None:
        """Connect ahead to what these routes list, if that is wanted. Where the connections will be used."""
        calls = self.plan.calls
        with self._opening:
            warming = self.warming
            if warming is None:
                if not calls.warm or self._is_closed:
                    return
                times = (self._hub, self._clock, self._random)
                warming = self.warming = Warming(self.channels, calls.warm, calls.connect_timeout, _GRACE, *times)
        warming.follow(routes)

    # --- another configuration, see `Client.reload` --------------------------------------------------------------

    def prepare(self, plan: ServicePlan) -> Succession | None:
        """Begin what another plan needs and wait for its first lists; see `Service.prepare`."""
        dispatcher = self._dispatcher
        if dispatcher is None:
            return None
        succession = succeed(dispatcher.routing, self.plan, plan, partial(self._begin_route, plan))
        ends_at = time.monotonic() + plan.discovery.start_timeout
        try:
            for route in succession.fresh:
                wait_ready(route, max(0.0, ends_at - time.monotonic()), or_asked=True)
        except BaseException:
            succession.abandon()
            raise
        return succession

    def adopt(self, plan: ServicePlan, succession: Succession | None) -> None:
        """Take over another plan; see `Service.adopt`."""
        while True:
            with self._opening:
                self._is_removed = False
                if succession is not None or self._dispatcher is None or self._is_closed:
                    self._take_over(plan, succession)
                    break
            # The service was first asked for a moment ago.
            succession = self.prepare(plan)
        if self.warming is not None:
            self.warming.connections = plan.calls.warm
        if self._dispatcher is not None:
            self._begin_warming(self._dispatcher.routing.routes)
        self.reap()

    def _take_over(self, plan: ServicePlan, succession: Succession | None) -> None:
        before, self.plan = self.plan, plan
        self.channels.transport = plan.transport
        if plan.calls != before.calls:
            self.intake = Intake(plan.calls, self._clock)
            self.races = races_of(plan.calls)
        if succession is None:
            return
        old = self._dispatcher
        if old is None or self._is_closed:
            succession.abandon()  # closed, or forked, meanwhile
            return
        routing = succession.commit(old.routing, self._random)
        self.retired += succession.retired
        routing.retired = self.retired
        budget = old.budget if plan.calls.retry_budget == before.calls.retry_budget else None
        new = Dispatcher(plan.name, routing, plan.calls, self._clock, self._random, budget, old.gate)
        old.move(routing)
        self._dispatcher = new
        if self.ready is not None:
            self.ready = new

    def remove(self) -> None:
        """The configuration has this service no more; see `Service.remove`."""
        with self._opening:
            self._is_removed = True
            dispatcher, self._dispatcher, self.ready = self._dispatcher, None, None
            if dispatcher is not None:
                # Calls that are under way may still be tried again: the pools stay as they are.
                routing = dispatcher.routing
                routing.release()
                self.retired += routing.routes
                routing.retired = self.retired
        self.reap()

    # --- the end -----------------------------------------------------------------------------------------------------

    def reap(self) -> None:
        """Close the channels of endpoints that left the list, or whose route ended, and have no open call any more."""
        dispatcher = self._dispatcher
        for route in dispatcher.routing.routes if dispatcher is not None else ():
            for member in route.pool.reap():
                self.channels.close(member)
        now = self._clock.monotonic()
        for route in list(self.retired):
            if now - route.ended_at < _GRACE:
                continue
            members = route.pool.members()
            for member in members:
                if not member.load.open:
                    self.channels.close(member)
            if not any(member.load.open for member in members):
                with suppress(ValueError):  # another one was quicker
                    self.retired.remove(route)

    def close(self) -> None:
        """Close the connections and leave the pollers. Calls that are open may fail."""
        with self._opening:
            self._is_closed = True
            dispatcher, mirror, races, warming = self._dispatcher, self.mirror, self.races, self.warming
            self._forget()
        if dispatcher is not None:
            dispatcher.routing.release()
            if dispatcher.gate is not None:
                dispatcher.gate.close()
        mirror.close()
        if warming is not None:
            warming.close()
        if races is not None:
            races.close()
        self.channels.close_all()
