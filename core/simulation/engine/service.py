"""One service in virtual time: what `AsyncService` is in real time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import Random

from ...clock import Clock
from ...config.model import RoutePlan, ServicePlan
from ...discovery.hub import DiscoveryHub
from ...dispatch.call import Attempt, Call, Effect
from ...dispatch.dispatch import Dispatcher
from ...dispatch.route import Route, RouteMember
from ...dispatch.routing import Routing
from ...dispatch.succession import succeed
from ...timers import Timers
from ..events import Events
from .network import ControlPlane, Network
from .pollers import VirtualPollers
from .virtual_call import VirtualCall

__all__ = ["VirtualService"]

_GRACE = 1.0
"""Seconds for which a route that a reload has ended keeps its connections, as in the client."""


class VirtualService:
    """A service without threads, sockets and real time. Its transport is never used: the network is told.

    Mutable state: as in the client, routing and dispatcher, and the routes that a reload has ended.

    Args:
        plan: What the configuration says.
        events: What is to happen; also the clock, unless another one is given.
        network: The way to the instances.
        plane: Whom discovery asks.
        random: All chance of the service.
        clock: For a wall clock that jumps, say; its monotonic time must be that of the events.
        timers: For timers that ring late, say. Default: the events.
        lateness: Seconds by which a pause, a turn in the queue or a time limit is late. Default: never late.
        gives_up: Whether repeats are switched off now. Default: no.
        on_effect: Told of each effect before it is performed; may cancel the call.
        on_outcome: Told of each attempt whose outcome is about to reach the dispatch.
        on_reply: Told of each call whose answer has begun; the body of a stream goes on.
        on_end: Told of each call that is over.
        on_close: Told of each endpoint whose connections are closed, because it left the list and has no open call.
    """

    def __init__(
        self,
        plan: ServicePlan,
        events: Events,
        network: Network,
        plane: ControlPlane,
        random: Random,
        *,
        clock: Clock | None = None,
        timers: Timers | None = None,
        lateness: Callable[[], float] = lambda: 0.0,
        gives_up: Callable[[], bool] = lambda: False,
        on_effect: Callable[[VirtualCall, Effect], None] | None = None,
        on_outcome: Callable[[VirtualCall, Attempt], None] | None = None,
        on_reply: Callable[[VirtualCall], None] | None = None,
        on_end: Callable[[VirtualCall], None] | None = None,
        on_close: Callable[[RouteMember], None] | None = None,
    ) -> None:
        self.plan = plan
        self.events = events
        self.network = network
        self.lateness = lateness
        self.gives_up = gives_up
        self.on_effect = on_effect
        self.on_outcome = on_outcome
        self.on_reply = on_reply
        self._on_end = on_end
        self._on_close = on_close
        self._random = random
        self._clock: Clock = events if clock is None else clock
        self.pollers: VirtualPollers = VirtualPollers(events, self._clock, plane)
        self.hub: DiscoveryHub = DiscoveryHub(
            self._clock, random, timers=events if timers is None else timers, runner=self.pollers
        )
        self._is_closed = False
        self.retired: list[Route] = []
        self.routing: Routing = Routing([self._begin_route(plan, route) for route in plan.routes], random)
        self.routing.retired = self.retired
        self.dispatcher: Dispatcher = Dispatcher(plan.name, self.routing, plan.calls, self._clock, random)

    def _begin_route(self, plan: ServicePlan, route: RoutePlan) -> Route:
        return Route(route, plan, self.hub, self._clock, self._random)

    def call(self, call: Call) -> VirtualCall:
        """Begin a call, now."""
        virtual = VirtualCall(self, call)
        virtual.begin()
        return virtual

    def reload(self, plan: ServicePlan, settle: float = 0.5) -> None:
        """Another configuration: routes that begin for it have `settle` seconds for their first list."""
        succession = succeed(self.routing, self.plan, plan, partial(self._begin_route, plan))

        def adopt() -> None:
            if self._is_closed:
                succession.abandon()
                return
            before, self.plan = self.plan, plan
            self.routing = succession.commit(self.routing, self._random)
            self.retired += succession.retired
            self.routing.retired = self.retired
            budget = self.dispatcher.budget if plan.calls.retry_budget == before.calls.retry_budget else None
            old = self.dispatcher
            self.dispatcher = Dispatcher(
                plan.name, self.routing, plan.calls, self._clock, self._random, budget, old.gate
            )
            old.move(self.routing)

        self.events.at(self.events.now + settle, adopt)

    def ended(self, call: VirtualCall) -> None:
        """A call is over. For the call."""
        if self.routing.has_leaving:
            self.reap()
        if self._on_end is not None:
            self._on_end(call)

    def reap(self) -> None:
        """Close what nobody uses any more, as the client does after a call."""
        for route in self.routing.routes:
            for member in route.pool.reap():
                self._close(member)
        now = self._clock.monotonic()
        for route in list(self.retired):
            if now - route.ended_at < _GRACE:
                continue
            members = route.pool.members()
            for member in members:
                if not member.load.open:
                    self._close(member)
            if not any(member.load.open for member in members):
                with suppress(ValueError):
                    self.retired.remove(route)

    def _close(self, member: RouteMember) -> None:
        if self._on_close is not None:
            self._on_close(member)

    def routes(self) -> list[Route]:
        """Every route, also those that a reload has ended and that still have calls."""
        return [*self.routing.routes, *self.retired]

    def close(self) -> None:
        """Leave the pollers and take back the timers."""
        self._is_closed = True
        if self.dispatcher.gate is not None:
            self.dispatcher.gate.close()
        self.routing.release()
