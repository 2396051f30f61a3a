"""One service, ready to be called: the shell around the dispatch."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from random import Random
from typing import TypeVar

import stamina

from ...clock import Clock
from ...codings.replies import decoded_reply
from ...config.model import RoutePlan, ServicePlan
from ...discovery.hub import DiscoveryHub
from ...dispatch.call import Attempt, Call, Effect, Reauthenticate
from ...dispatch.dispatch import Dispatcher
from ...dispatch.route import Lane, Route, RouteMember
from ...dispatch.routing import Routing, TierView
from ...dispatch.succession import Succession, succeed
from ...endpoint import Endpoint
from ...errors import ClosedError, Phase, TransportError
from ...forks import on_fork
from ...interfaces.transport import AsyncChannel, Timeouts
from ...message import Content, Headers, Reply
from ...outcome import Outcome
from ...pool.pool import EndpointView
from ..intake import Intake
from ..leasing import EndpointLease, ids_of, lease_flow
from ..locks import AsyncLock
from ..races import races_of_async
from ..waiting import wait_ready_async, wait_served_async
from .attachments import AsyncAttachments
from .beginning import begun_async, closed_async
from .hedging import hedged_async
from .lease import AsyncLeaseRun
from .mirror import AsyncMirror
from .persistence import persisted_async
from .stream import AsyncReplyStream

__all__ = ["AsyncService"]

_LOOK_ROUND = 0.1
"""Seconds: while no route has an endpoint, each is waited for in turn for so long."""

_GRACE = 1.0
"""Seconds for which a route that a reload has ended keeps its connections at least: another thread may have chosen one
of its endpoints a moment before, and not say so yet."""

T = TypeVar("T")

_Perform = Callable[[Call, Effect], Awaitable[Outcome | None]]


class AsyncService:
    """One service. Get it from a client; use it from many places at once.

    Mutable state: the routing and dispatcher, which exist from the first call on and are replaced by a reload; routes
    that a reload has ended; and the channels by lane.
    """

    def __init__(self, plan: ServicePlan, hub: DiscoveryHub, clock: Clock, random: Random) -> None:
        self.name = plan.name
        self.plan = plan
        self._hub = hub
        self._clock = clock
        self._random = random
        self._intake = Intake(plan.calls, clock)
        self._is_closed = False
        self._is_removed = False
        self._reset()
        on_fork(self)

    def _reset(self) -> None:
        self._routing: Routing | None = None
        self._dispatcher: Dispatcher | None = None
        self._retired: list[Route] = []
        self._channels: dict[Lane, AsyncChannel] = {}
        self._attachments = AsyncAttachments()
        self._races = races_of_async(self.plan.calls)
        self._mirror = AsyncMirror(self._channel_to, self._clock, self._random)
        self._is_started = False
        self._lock = AsyncLock()
        # Guards the making and the closing of the routing, in both colours: a second one would leave a poller behind.
        self._opening = threading.Lock()

    def after_fork_in_child(self) -> None:
        """Start anew: connections, leases and pollers belong to the parent. Sockets are left to the garbage."""
        self._reset()

    # --- calls -------------------------------------------------------------------------------------------------------

    async def send(
        self,
        content: Content | str = b"",
        *,
        path: str = "",
        method: str = "POST",
        headers: Headers | Iterable[tuple[str, str]] | dict[str, str] | None = None,
        key: str | bytes | None = None,
        timeout: float | None = None,
        repeatable: bool | None = None,
        size: float | None = None,
    ) -> Reply:
        """Call the service and read the whole answer.

        Args:
            content: The body: bytes, text (sent as UTF-8), or an iterable of bytes, which can be sent once only.
            path: Path and query behind the service's own. Default: the service's root.
            method: HTTP method.
            headers: Header fields to send besides the provider's.
            key: Affinity key, for balancers that keep calls of one key together.
            timeout: Deadline of the call in seconds. Default: the configured one.
            repeatable: Whether the request may be run twice. Default: as configured.
            size: Expected work in a unit of your choice (tokens, bytes), for balancers that count work and not calls:
                the same unit in all calls of the service. Default 1.

        Returns:
            The answer, whatever its status; see `Reply.raise_for_status`.

        Raises:
            NoEndpointError: There is nobody to ask.
            AttemptsError: Every allowed attempt failed on the wire.
            DeadlineError: The time is over.
            ClosedError: The client is closed.
        """
        call = self._intake.call(
            content, path, method, headers, key=key, timeout=timeout, repeatable=repeatable, size=size
        )
        return await self._run(call)

    @asynccontextmanager
    async def stream(
        self,
        content: Content | str = b"",
        *,
        path: str = "",
        method: str = "POST",
        headers: Headers | Iterable[tuple[str, str]] | dict[str, str] | None = None,
        key: str | bytes | None = None,
        timeout: float | None = None,
        repeatable: bool | None = None,
        size: float | None = None,
    ) -> AsyncGenerator[AsyncReplyStream, None]:
        """Call the service and read the answer piece by piece.

        Arguments and errors as for `send`, but `timeout` limits the time to the answer's headers and then each gap
        between two pieces: a long answer is no late answer. Failover ends when the headers are there.
        """
        reply = await self.open_stream(
            content,
            path=path,
            method=method,
            headers=headers,
            key=key,
            timeout=timeout,
            repeatable=repeatable,
            size=size,
        )
        try:
            yield reply
        finally:
            await reply.aclose()

    async def open_stream(
        self,
        content: Content | str = b"",
        *,
        path: str = "",
        method: str = "POST",
        headers: Headers | Iterable[tuple[str, str]] | dict[str, str] | None = None,
        key: str | bytes | None = None,
        timeout: float | None = None,
        repeatable: bool | None = None,
        size: float | None = None,
    ) -> AsyncReplyStream:
        """As `stream`, without the context manager: close what it returns."""
        call = self._intake.call(
            content,
            path,
            method,
            headers,
            key=key,
            timeout=timeout,
            repeatable=repeatable,
            size=size,
            is_streamed=True,
        )
        try:
            reply = await self._run(call)
        except BaseException:
            if call.attempt is not None:
                await closed_async(call.attempt)
            raise
        return AsyncReplyStream(self.name, reply, call)

    @asynccontextmanager
    async def lease(
        self,
        *,
        key: str | bytes | None = None,
        exclude: Iterable[Endpoint | str] = (),
        timeout: float | None = None,
        size: float | None = None,
    ) -> AsyncGenerator[EndpointLease, None]:
        """Pick an endpoint and use it with any protocol. It counts as an open call until the block ends.

        The end of the block reports how it went: an exception is a failure of the endpoint, anything else a success.
        To say it better, report in the block; see `EndpointLease`. There is one attempt; for failover see `run`.

        Args:
            key: Affinity key.
            exclude: Endpoints, or their ids, that must not be picked.
            timeout: Seconds for the wait for the first list and for `EndpointLease.remaining`. Default: as configured.
            size: Expected work, as for `send`. Default 1.

        Raises:
            NoEndpointError: There is nobody to ask.
            DeadlineError: The time was over before there was a list.
            ClosedError: The client is closed.
        """
        call = self._lease_call(key, exclude, timeout, repeatable=False, size=size)
        dispatcher = await self._ready(call)
        try:
            with lease_flow(dispatcher, call) as lease:
                yield lease
        finally:
            if dispatcher.routing.has_leaving:
                await self._reap()

    async def run(
        self,
        function: Callable[[EndpointLease], Awaitable[T]],
        *,
        key: str | bytes | None = None,
        exclude: Iterable[Endpoint | str] = (),
        timeout: float | None = None,
        repeatable: bool | None = None,
        size: float | None = None,
        keep: bool = False,
    ) -> T:
        """Call the service by a function that speaks any protocol, with the failover of `send`.

        A TransportError, OSError or EOFError that the function raises, or a failure that it reports, leads to another
        attempt with another lease: always in phase CONNECT (see `EndpointLease.connecting`), in a later phase only if
        the call is repeatable. Other exceptions count as a failure of the endpoint and are raised at once.

        Args:
            function: Gets a lease, returns the result. May be called several times.
            key: Affinity key, for balancers that keep calls of one key together.
            exclude: Endpoints, or their ids, that must not be picked.
            timeout: Deadline of the call in seconds. Default: the configured one. Code in threads cannot be stopped:
                there the function must keep to `EndpointLease.remaining`.
            repeatable: Whether the function may be run again after a part of it may have been run. Default: as
                configured.
            size: Expected work, as for `send`. Default 1.
            keep: Whether the lease of the attempt that succeeds outlives it, for an answer that goes on: end it with
                `EndpointLease.close`.

        Returns:
            What the function returned.

        Raises:
            NoEndpointError: There is nobody to ask.
            AttemptsError: Every allowed attempt failed on the wire.
            DeadlineError: The time is over.
            ClosedError: The client is closed.
        """
        call = self._lease_call(key, exclude, timeout, repeatable=repeatable, size=size)
        call.is_streamed = keep
        leases = AsyncLeaseRun(function, self._perform)
        try:
            await self._run(call, leases.perform)
        except BaseException:
            leases.abandon()
            raise
        return leases.result()

    def _lease_call(
        self,
        key: str | bytes | None,
        exclude: Iterable[Endpoint | str],
        timeout: float | None,
        *,
        repeatable: bool | None,
        size: float | None,
    ) -> Call:
        call = self._intake.call(b"", "", "POST", None, key=key, timeout=timeout, repeatable=repeatable, size=size)
        call.excluded = ids_of(exclude)
        call.is_leased = True
        return call

    @property
    def attachments(self) -> AsyncAttachments:
        """What helpers keep for each endpoint: closed when the endpoint has left, or the service is closed."""
        return self._attachments

    def endpoints(self) -> list[EndpointView]:
        """Every known endpoint and how it is doing. Before the first call: what discovery knows by now."""
        routing = self._open()
        views = [view for route in routing.routes for view in route.views()]
        former = [view for route in list(self._retired) for view in route.views() if view.open_calls]
        return views + [replace(view, state="leaving") for view in former]

    def tiers(self) -> list[TierView]:
        """The tiers of routes, the first one first, and how much of the load each gets now."""
        return self._open().tier_views()

    @property
    def mirrored(self) -> tuple[int, int]:
        """Copies of calls for mirror routes: how many were sent, and how many were dropped since too many were open."""
        return self._mirror.sent, self._mirror.dropped

    @property
    def calls_without_key(self) -> int:
        """Calls in which `affinity` found no key until now. 0 if the service has no such setting."""
        affinity = self._intake.affinity
        return 0 if affinity is None else affinity.missing

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes of the service, alive."""
        return self._open().routes

    async def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait for the first list of endpoints.

        Args:
            timeout: Seconds to wait at most. Default: the configured `start_timeout`.

        Returns:
            Whether there is an endpoint to call.
        """
        routing = self._open()
        ends_at = time.monotonic() + (self.plan.discovery.start_timeout if timeout is None else timeout)
        # Each route of a tier gets to answer its first question before a higher tier is looked at: calls must not
        # begin on a fallback, or on one cloud only, because that one was quicker.
        for tier in routing.tiers:
            for route in tier:
                await wait_ready_async(route.subscription, max(0.0, ends_at - time.monotonic()), or_asked=True)
            if any(route.pool.listed for route in tier):
                return True
        while not routing.has_endpoints() and not all(route.belief.is_hopeless for route in routing.routes):
            for route in routing.routes:
                left = ends_at - time.monotonic()
                if left <= 0:
                    return routing.has_endpoints()
                await wait_ready_async(route.subscription, min(left, _LOOK_ROUND))
        return routing.has_endpoints()

    async def warm(self, connections: int = 1) -> int:
        """Open connections to every instance before calls need them: at the start of a program, say.

        Waits for the first list. An instance that cannot be reached is no error: the calls will tell.

        Args:
            connections: How many to each instance.

        Returns:
            How many connections stand ready. 0 with a transport that opens none ahead (httpx, aiohttp).
        """
        await self.wait_ready()
        limit = self.plan.calls.connect_timeout
        ready = 0
        for route in self._open().routes:
            for member in route.pool.members():
                if member.weight > 0 and not route.pool.is_leaving(member):
                    channel = self._channels.get(member.lane) or self._open_channel(member)
                    ready += await channel.warm(connections, Timeouts(limit, limit * connections))
        return ready

    async def aclose(self) -> None:
        """Close the connections and leave the pollers. Calls that are open may fail."""
        with self._opening:
            self._is_closed = True
            routing, channels, attachments = self._routing, list(self._channels.values()), self._attachments
            mirror, races = self._mirror, self._races
            self._reset()
        if routing is not None:
            routing.release()
        await mirror.aclose()
        if races is not None:
            await races.aclose()
        for channel in channels:
            await channel.aclose()
        await attachments.aclose()

    # --- another configuration, see `AsyncClient.reload` --------------------------------------------------------------

    async def prepare(self, plan: ServicePlan) -> Succession | None:
        """Begin what another plan needs and wait for its first lists, `start_timeout` at most. Calls go on as before.

        Returns:
            What `adopt` is to be given; None if there is nothing to wait for.
        """
        routing = self._routing
        if routing is None:
            return None
        succession = succeed(routing, self.plan, plan, partial(self._begin_route, plan))
        ends_at = time.monotonic() + plan.discovery.start_timeout
        try:
            for route in succession.fresh:
                await wait_ready_async(route.subscription, max(0.0, ends_at - time.monotonic()), or_asked=True)
        except BaseException:
            succession.abandon()
            raise
        return succession

    async def adopt(self, plan: ServicePlan, succession: Succession | None) -> None:
        """Take over another plan. Calls that are under way go on by the new routes, if they are tried again."""
        while True:
            with self._opening:
                self._is_removed = False
                if succession is not None or self._routing is None or self._is_closed:
                    self._take_over(plan, succession)
                    break
            # The service was first asked for a moment ago.
            succession = await self.prepare(plan)
        await self._reap()

    def _take_over(self, plan: ServicePlan, succession: Succession | None) -> None:
        old, dispatcher = self._routing, self._dispatcher
        if succession is not None and (self._is_closed or old is None or dispatcher is None):
            succession.abandon()  # closed, or forked, meanwhile
            succession = None
        before, self.plan = self.plan, plan
        if plan.calls != before.calls:
            self._intake = Intake(plan.calls, self._clock)
            self._races = races_of_async(plan.calls)
        if succession is None or old is None or dispatcher is None:
            return
        routing = succession.commit(old, self._random)
        self._retired += succession.retired
        routing.retired = self._retired
        budget = dispatcher.budget if plan.calls.retry_budget == before.calls.retry_budget else None
        self._dispatcher = Dispatcher(self.name, routing, plan.calls, self._clock, self._random, budget)
        dispatcher.move(routing)
        self._routing = routing

    async def remove(self) -> None:
        """The configuration has this service no more: open calls end, new ones are refused."""
        with self._opening:
            self._is_removed = True
            routing, self._routing, self._dispatcher, self._is_started = self._routing, None, None, False
            if routing is not None:
                # Calls that are under way may still be tried again: the pools stay as they are.
                routing.release()
                self._retired += routing.routes
                routing.retired = self._retired
        await self._reap()

    # --- the shell ---------------------------------------------------------------------------------------------------

    def _open(self) -> Routing:
        """Begin discovery. Does no I/O of its own."""
        with self._opening:
            if self._is_closed:
                raise ClosedError(f"service {self.name!r}: the client is closed\nNext: make a new client.")
            if self._is_removed:
                raise ClosedError(
                    f"service {self.name!r}: it was removed from the configuration while the client was open\n"
                    "Next: put it back and reload, or call another service."
                )
            routing = self._routing
            if routing is None:
                routing = Routing([self._begin_route(self.plan, route) for route in self.plan.routes], self._random)
                routing.retired = self._retired
                self._dispatcher = Dispatcher(self.name, routing, self.plan.calls, self._clock, self._random)
                self._routing = routing
            return routing

    def _begin_route(self, plan: ServicePlan, route: RoutePlan) -> Route:
        return Route(route, plan, self._hub, self._clock, self._random)

    async def _start(self, call: Call) -> Dispatcher:
        """Wait once for the first list. Whoever comes later finds it there, or fails at once."""
        async with self._lock:
            routing = self._open()
            if not self._is_started:
                limit = min(self.plan.discovery.start_timeout, call.deadline - self._clock.monotonic())
                await self.wait_ready(max(0.0, limit))
                self._is_started = routing.has_endpoints() or limit >= self.plan.discovery.start_timeout
        assert self._dispatcher is not None  # noqa: S101 - `_open` has made it
        return self._dispatcher

    async def _ready(self, call: Call) -> Dispatcher:
        dispatcher = self._dispatcher
        if dispatcher is None or not self._is_started:
            dispatcher = await self._start(call)
        return dispatcher

    async def _run(self, call: Call, perform: _Perform | None = None) -> Reply:
        """Drive a call to its end. `perform` takes the place of `_perform`."""
        # As `_ready`, but nearly every call finds it so: no coroutine is made for it.
        dispatcher = self._dispatcher
        if dispatcher is None or not self._is_started:
            dispatcher = await self._start(call)
        if perform is None:
            perform = self._perform
            if dispatcher.routing.mirrors:
                self._mirror.offer(call, dispatcher.routing.mirrors, self.plan.calls)
        flow = dispatcher.dispatch(call)
        # The first attempt runs bare: only a failure enters the retry machinery.
        effect = next(flow)
        try:
            races = self._races
            if races is not None and isinstance(effect, Attempt) and effect.hedge_after is not None:
                race = races.enter() if stamina.is_active() else None
                if race is not None:
                    following = await hedged_async(race, call, flow, effect, perform)
                    if isinstance(following, Reply):
                        return following
                    return await persisted_async(call, flow, following, perform)
            outcome = await perform(call, effect)
            try:
                effect = flow.send(outcome)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # a generator's value has no type here
            return await persisted_async(call, flow, effect, perform)
        finally:
            # Gives the lease back if we were cancelled; does nothing when the flow has ended.
            flow.close()
            if dispatcher.routing.has_leaving:
                await self._reap()

    async def _perform(self, call: Call, effect: Effect) -> Outcome | None:
        if not isinstance(effect, Attempt):
            if isinstance(effect, Reauthenticate):
                subscription = effect.route.subscription
                await wait_served_async(subscription, subscription.ask_soon(reauthenticate=True), effect.timeout)
            return None
        before, call.attempt = call.attempt, effect
        lane = effect.member.lane
        channel = self._channels.get(lane) or self._open_channel(effect.member)
        if call.is_streamed:
            if before is not None and not effect.is_hedge:
                await closed_async(before)
            return await begun_async(call, channel, effect, self.plan.calls.max_decoded_bytes)
        started = time.monotonic()
        try:
            reply = await channel.send(effect.request, effect.timeouts)
            if call.is_decoded:
                reply = decoded_reply(reply, effect.member.endpoint, self.plan.calls.max_decoded_bytes)
        except TransportError as error:
            return Outcome(error.phase, time.monotonic() - started, error=error)
        return Outcome(Phase.DONE, time.monotonic() - started, reply)

    def _channel_to(self, member: RouteMember) -> AsyncChannel:
        return self._channels.get(member.lane) or self._open_channel(member)

    def _open_channel(self, member: RouteMember) -> AsyncChannel:
        # `setdefault` is atomic: of two threads that open a channel, one throws an unused one away.
        return self._channels.setdefault(member.lane, self.plan.transport.open_async(member.endpoint))

    async def _reap(self) -> None:
        """Close the channels of endpoints that left the list, or whose route ended, and have no open call any more."""
        routing = self._routing
        for route in routing.routes if routing is not None else ():
            for member in route.pool.reap():
                await self._close_channel(member)
        now = self._clock.monotonic()
        for route in list(self._retired):
            if now - route.ended_at < _GRACE:
                continue
            members = route.pool.members()
            for member in members:
                if not member.load.open:
                    await self._close_channel(member)
            if not any(member.load.open for member in members):
                with suppress(ValueError):  # another one was quicker
                    self._retired.remove(route)

    async def _close_channel(self, member: RouteMember) -> None:
        channel = self._channels.pop(member.lane, None)
        if channel is not None:
            await channel.aclose()
        await self._attachments.drop(member.lane)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}, {len(self.plan.routes)} routes>"
