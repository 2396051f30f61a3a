# Made by tools/unasync.py from core/client/_async/service.py. Change that file, then run the tool.
"""One service, ready to be called: the public calls, and the shell that drives their dispatch."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from typing import TypeVar

import stamina

from ...clock import Clock
from ...codings.replies import decoded_reply
from ...config.model import ServicePlan
from ...discovery.hub import DiscoveryHub
from ...dispatch.call import Attempt, Call, Effect, Queue, Reauthenticate
from ...dispatch.route import Route
from ...dispatch.routing import TierView
from ...dispatch.succession import Succession
from ...endpoint import Endpoint
from ...errors import Phase, TransportError
from ...interfaces.store import Store
from ...message import Content, Headers, Reply
from ...outcome import Outcome
from ...pool.pool import EndpointView
from ...resilience.slots import QueueView
from ..leasing import EndpointLease, ids_of, lease_flow
from ..waiting import wait_served, wait_turn
from .attachments import Attachments
from .beginning import begun, closed
from .hedging import hedged
from .lease import LeaseRun
from .life import ServiceLife
from .persistence import persisted
from .stream import ReplyStream

__all__ = ["Service"]

T = TypeVar("T")

_Perform = Callable[[Call, Effect], Outcome | None]


class Service:
    """One service. Get it from a client; use it from many places at once.

    What it is made of, and what of that changes, is in its life. Nothing here is ever replaced.
    """

    def __init__(
        self, plan: ServicePlan, hub: DiscoveryHub, clock: Clock, random: Random, store: Store | None = None
    ) -> None:
        self.name: str = plan.name
        self._life = ServiceLife(plan, hub, clock, random, store)
        self._channels = self._life.channels

    @property
    def plan(self) -> ServicePlan:
        """What the configuration says now."""
        return self._life.plan

    # --- calls -------------------------------------------------------------------------------------------------------

    def send(
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
            content: The body: bytes, text (sent as UTF-8), or an iterable of bytes, which can be sent once only. For
                JSON, give `json.dumps(...)`.
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
            QueueFullError: Every slot is in use, and so is every place in the queue.
            InvalidRequestError: The request cannot be sent as it is.
            ClosedError: The client is closed.
        """
        call = self._life.intake.call(
            content, path, method, headers, key=key, timeout=timeout, repeatable=repeatable, size=size
        )
        return self._run(call)

    @contextmanager
    def stream(
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
    ) -> Generator[ReplyStream, None, None]:
        """Call the service and read the answer piece by piece.

        Arguments and errors as for `send`, but `timeout` is the deadline of the answer's first event. After it each
        gap between two pieces may take `gap_timeout`: a long answer is no late answer. Failover ends with that event.
        """
        reply = self.open_stream(
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
            reply.close()

    def open_stream(
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
    ) -> ReplyStream:
        """As `stream`, without the context manager: close what it returns."""
        call = self._life.intake.call(
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
            reply = self._run(call)
        except BaseException:
            if call.attempt is not None:
                closed(call.attempt)
            raise
        return ReplyStream(self.name, reply, call)

    @contextmanager
    def lease(
        self,
        *,
        key: str | bytes | None = None,
        exclude: Iterable[Endpoint | str] = (),
        timeout: float | None = None,
        size: float | None = None,
    ) -> Generator[EndpointLease, None, None]:
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
            DeadlineError: The time was over before there was a list, or a slot.
            QueueFullError: Every slot is in use, and so is every place in the queue.
            ClosedError: The client is closed.
        """
        call = self._lease_call(key, exclude, timeout, repeatable=False, size=size)
        dispatcher = self._life.ready or self._life.start(call)
        flow = dispatcher.dispatch(call)
        effect = next(flow)
        try:
            if isinstance(effect, Queue):
                wait_turn(effect)
                effect = flow.send(None)
            with lease_flow(flow, effect) as lease:
                yield lease
        finally:
            flow.close()
            if dispatcher.routing.has_leaving:
                self._life.reap()

    def run(
        self,
        function: Callable[[EndpointLease], T],
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
            QueueFullError: Every slot is in use, and so is every place in the queue.
            ClosedError: The client is closed.
        """
        call = self._lease_call(key, exclude, timeout, repeatable=repeatable, size=size)
        call.is_streamed = keep
        leases = LeaseRun(function, self._perform)
        try:
            self._run(call, leases.perform)
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
        call = self._life.intake.call(b"", "", "POST", None, key=key, timeout=timeout, repeatable=repeatable, size=size)
        call.excluded = ids_of(exclude)
        call.is_leased = True
        return call

    @property
    def attachments(self) -> Attachments:
        """What helpers keep for each endpoint: closed when the endpoint has left, or the service is closed."""
        return self._channels.attachments

    def endpoints(self) -> list[EndpointView]:
        """Every known endpoint and how it is doing. Before the first call: what discovery knows by now."""
        views = [view for route in self.routes for view in route.views()]
        former = [view for route in list(self._life.retired) for view in route.views() if view.open_calls]
        views += [replace(view, state="leaving") for view in former]
        gate = self._life.open().gate
        if gate is not None:
            views = [replace(view, slots=gate.slots.limit_of(view.endpoint.id)) for view in views]
        return views

    @property
    def queue(self) -> QueueView | None:
        """The queue for slots, and how many are in use; None if the service has no `slots`."""
        gate = self._life.open().gate
        return None if gate is None else gate.view()

    def tiers(self) -> list[TierView]:
        """The tiers of routes, the first one first, and how much of the load each gets now."""
        return self._life.open().routing.tier_views()

    @property
    def mirrored(self) -> tuple[int, int]:
        """Copies of calls for mirror routes: how many were sent, and how many were dropped since too many were open."""
        mirror = self._life.mirror
        return mirror.sent, mirror.dropped

    @property
    def calls_without_key(self) -> int:
        """Calls in which `affinity` found no key until now. 0 if the service has no such setting."""
        affinity = self._life.intake.affinity
        return 0 if affinity is None else affinity.missing

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes of the service, alive."""
        return self._life.open().routing.routes

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait for the first list of endpoints.

        Args:
            timeout: Seconds to wait at most. Default: the configured `start_timeout`.

        Returns:
            Whether there is an endpoint to call.
        """
        return self._life.wait_ready(timeout)

    def warm(self, connections: int = 1) -> int:
        """Open connections to every instance before calls need them: at the start of a program, say.

        Waits for the first list. An instance that cannot be reached is no error: the calls will tell.

        Args:
            connections: How many to each instance.

        Returns:
            How many connections stand ready. 0 with a transport that opens none ahead (httpx, aiohttp).
        """
        self.wait_ready()
        limit = self.plan.calls.connect_timeout
        ready = 0
        for route in self.routes:
            for member in route.pool.members():
                if member.weight > 0 and not route.pool.is_leaving(member):
                    ready += self._channels.warm(member, connections, limit)
        return ready

    def close(self) -> None:
        """Close the connections and leave the pollers. Calls that are open may fail."""
        self._life.close()

    # --- another configuration, see `Client.reload` --------------------------------------------------------------

    def prepare(self, plan: ServicePlan) -> Succession | None:
        """Begin what another plan needs and wait for its first lists, `start_timeout` at most. Calls go on as before.

        Returns:
            What `adopt` is to be given; None if there is nothing to wait for.
        """
        return self._life.prepare(plan)

    def adopt(self, plan: ServicePlan, succession: Succession | None) -> None:
        """Take over another plan. Calls that are under way go on by the new routes, if they are tried again."""
        self._life.adopt(plan, succession)

    def remove(self) -> None:
        """The configuration has this service no more: open calls end, new ones are refused."""
        self._life.remove()

    # --- the shell ---------------------------------------------------------------------------------------------------

    def _run(self, call: Call, perform: _Perform | None = None) -> Reply:
        """Drive a call to its end. `perform` takes the place of `_perform`."""
        life = self._life
        dispatcher = life.ready
        if dispatcher is None:
            dispatcher = life.start(call)
        if perform is None:
            perform = self._perform
            if dispatcher.routing.mirrors:
                life.mirror.offer(call, dispatcher.routing.mirrors, life.plan.calls)
        flow = dispatcher.dispatch(call)
        # The first attempt runs bare: only a failure enters the retry machinery.
        effect = next(flow)
        try:
            if dispatcher.gate is not None and isinstance(effect, Queue):
                wait_turn(effect)
                effect = flow.send(None)
            races = life.races
            if races is not None and isinstance(effect, Attempt) and effect.hedge_after is not None:
                race = races.enter() if stamina.is_active() else None
                if race is not None:
                    following = hedged(race, call, flow, effect, perform)
                    if isinstance(following, Reply):
                        return following
                    return persisted(call, flow, following, perform)
            outcome = perform(call, effect)
            try:
                effect = flow.send(outcome)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # a generator's value has no type here
            return persisted(call, flow, effect, perform)
        finally:
            # Gives the lease back if we were cancelled; does nothing when the flow has ended.
            flow.close()
            if dispatcher.routing.has_leaving:
                life.reap()

    def _perform(self, call: Call, effect: Effect) -> Outcome | None:
        if not isinstance(effect, Attempt):
            if isinstance(effect, Reauthenticate):
                renewal = effect.route.renewal
                wait_served(renewal, renewal.ask_soon(reauthenticate=True), effect.timeout)
            elif isinstance(effect, Queue):
                wait_turn(effect)
            return None
        channel = self._channels.get(effect.member.lane) or self._channels.open(effect.member)
        if call.is_streamed:
            before, call.attempt = call.attempt, effect
            if before is not None and not effect.is_hedge:
                closed(before)
            return begun(call, channel, effect, self._life.plan.calls.max_decoded_bytes)
        call.attempt = effect
        started = time.monotonic()
        try:
            reply = channel.send(effect.request, effect.timeouts)
            if call.is_decoded:
                reply = decoded_reply(reply, effect.member.endpoint, self._life.plan.calls.max_decoded_bytes)
        except TransportError as error:
            return Outcome(error.phase, time.monotonic() - started, error=error)
        return Outcome(Phase.DONE, time.monotonic() - started, reply)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}, {len(self.plan.routes)} routes>"
