"""A route, alive: one provider's endpoints with their pool, and what their calls have in common."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from ..clock import Clock
from ..config.model import RoutePlan, ServicePlan
from ..discovery.belief import Belief
from ..discovery.hub import DiscoveryHub
from ..discovery.subscription import Subscription
from ..discovery.who_asks import WhoAsked
from ..endpoint import Endpoint
from ..errors import InvalidRequestError, PluginError, headline
from ..interfaces.provider import Provider, Sign, Wire
from ..interfaces.store import Store
from ..load_report import ASK_FOR_REPORT
from ..message import Headers, Request
from ..pool.pool import EndpointView, Pool, PoolMember
from .asked import discovery_of, upkeep_of
from .blame import blame, blame_plugin, blame_result

__all__ = ["Lane", "Route", "RouteMember"]

_log = logging.getLogger("directlane.dispatch")


_DOUBT = 1.0
"""Seconds for which a call that was tried on a route goes elsewhere after a connection there could not be opened."""


@dataclass(slots=True, eq=False)
class Lane:
    """What never changes for the calls to one endpoint: made once, when the endpoint is first listed.

    Args:
        route: The route it belongs to.
        prefix: Goes in front of a call's path.
        root: The target of a call without a path.
        headers: Sent with every call.
        header_names: Their names in lower case.
        sign: Adds headers that depend on the request.
        pack: Compresses the body.
        merged: The caller's fields that were merged last, and what came of them. Most callers send the same fields each
            time. One reference, so that a thread sees a whole pair.
        kept: The same for a signature: the fields, the names of those that it added, and the fields that it left.
    """

    route: Route
    prefix: str
    root: str
    headers: Headers
    header_names: frozenset[str]
    sign: Sign | None
    pack: Callable[[bytes], bytes] | None = None
    merged: tuple[Headers, Headers] = ((), ())
    kept: tuple[Headers, Sequence[str], Headers] = ((), (), ())

    def complete(self, request: Request, clock: Clock) -> Request:
        """The caller's request as the endpoint must get it.

        The provider's headers win over the caller's of the same name: what the configuration says about
        authentication holds, whatever an SDK on top of us puts there.
        """
        path = request.target
        if path in ("", "/"):
            target = self.root
        elif path[0] == "/":
            target = self.prefix + path if path[1:2] != "?" else self.root + path[1:]
        elif path[0] == "?":
            target = self.root + path
        else:
            target = f"{self.prefix}/{path}"
        headers = request.headers
        if not headers:
            headers = self.headers
        elif self.headers:
            known, merged = self.merged
            if known != headers:
                names = self.header_names
                merged = (*(pair for pair in headers if pair[0].lower() not in names), *self.headers)
                self.merged = (headers, merged)
            headers = merged
        content = request.content
        if self.pack is not None:
            if not isinstance(content, bytes):
                raise InvalidRequestError(
                    f"route {self.route.name!r} compresses bodies, and a streamed body cannot be compressed\n"
                    "Next: give the body as bytes, or take `compression` off the route."
                )
            content = self.pack(content)
        complete = Request(request.method, target, headers, content)
        if self.sign is not None:
            added = self.sign(complete, clock.unix())
            signed = [name for name, _ in added]
            known, known_signed, kept = self.kept
            if known is not headers or known_signed != signed:
                replaced = {name.lower() for name in signed}
                kept = tuple(pair for pair in headers if pair[0].lower() not in replaced)
                self.kept = (headers, signed, kept)
            complete.headers = kept + added
        return complete


RouteMember: TypeAlias = PoolMember[Lane]


class Route:
    """One way to a service, alive: its provider, its pool and its shares in pollers.

    The pool gets its list when the upkeep, if there is one, has succeeded once: before that, calls would be refused.
    The list and the upkeep may come in any thread, so they meet under `_taking`.
    """

    def __init__(
        self,
        plan: RoutePlan,
        service: ServicePlan,
        hub: DiscoveryHub,
        clock: Clock,
        random: Random,
        store: Store | None = None,
    ) -> None:
        self.plan: RoutePlan = plan
        """What the configuration says. Another weight or tier comes by `move`."""
        self.name: str = plan.name
        self._watchers: tuple[Callable[[], None], ...] = ()
        self._doubted_at = -math.inf
        self.ended_at: float = math.inf
        """When it was released, on the monotonic clock."""
        self.provider: Provider = plan.provider
        self._balancer = service.balancer.kind
        self.pool: Pool[Lane] = Pool(
            service.balancer,
            self._lane,
            clock,
            random,
            name=f"{service.name}/{plan.name}",
            ejection=service.calls.ejection,
            slow_start=service.calls.slow_start,
            timers=hub,
            on_change=self._changed,
        )
        self._asks: Headers = ASK_FOR_REPORT if service.balancer.wants_reports() else ()
        self._clock = clock
        self.fault: PluginError | None = None
        """What the provider's plug-in did wrong with the last list; None if nothing."""
        self._taking = threading.Lock()
        self._endpoints: tuple[Endpoint, ...] = ()
        self._is_kept = False
        name, settings, upkeep = f"{service.name}/{plan.name}", service.discovery, upkeep_of(plan)
        self.upkeep: Subscription | None = None
        """Keeps fresh what its calls need; None if they need nothing."""
        if upkeep is None:
            self._is_kept = True
        else:
            self.upkeep = hub.keep(name, upkeep, settings, self._kept, store)
        try:
            self.subscription: Subscription = hub.subscribe(name, discovery_of(plan), settings, self._take, store)
        except BaseException:
            if self.upkeep is not None:
                self.upkeep.release()
            raise

    @property
    def weight(self) -> int:
        """Share of calls among the routes of its tier. 0: it drains."""
        return self.plan.weight

    @property
    def tier(self) -> int:
        """Its tier; the lowest is the first."""
        return self.plan.tier

    def move(self, plan: RoutePlan) -> None:
        """Take another place among the routes, for the routings that are made from now on."""
        self.plan = plan

    def watch(self, watcher: Callable[[], None]) -> None:
        """Have `watcher` called when the health of the pool has changed. It must be quick and must not raise."""
        self._watchers = (*self._watchers, watcher)

    def unwatch(self, watcher: Callable[[], None]) -> None:
        """The other half of `watch`."""
        self._watchers = tuple(known for known in self._watchers if known != watcher)

    def _changed(self) -> None:
        for watcher in self._watchers:
            watcher()

    def _take(self, belief: Belief) -> None:
        """There is another list."""
        with self._taking:
            self._endpoints = belief.endpoints
            if self._is_kept:
                self._update()

    def _kept(self, belief: Belief) -> None:
        """What the calls need is there."""
        del belief
        with self._taking:
            if not self._is_kept:
                self._is_kept = True
                self._update()

    def _update(self) -> None:
        try:
            self.pool.update(self._endpoints)
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything; the poller serves others too
            self.fault = error if isinstance(error, PluginError) else self._blame_balancer(error)
            _log.error("%s: %s", self.name, headline(self.fault))
        else:
            self.fault = None

    def _blame_balancer(self, error: Exception) -> PluginError:
        """What the pool runs besides the provider is the balancer."""
        return blame_plugin(f"balancer {self._balancer!r}", self._balancer, None, "build a picker", error)

    def _lane(self, endpoint: Endpoint) -> Lane:
        try:
            wire = self.provider.wire(endpoint)
        except Exception as error:
            raise blame(self.plan, "say what calls to an endpoint look like", error) from error
        if not isinstance(wire, Wire):  # pyright: ignore[reportUnnecessaryIsInstance] - a plug-in is not type-checked
            raise blame_result(self.plan, "wire", wire, "a Wire")
        prefix = endpoint.base_path + wire.prefix
        headers = wire.headers + self._asks
        names = frozenset(name.lower() for name, _ in headers)
        return Lane(self, prefix, prefix or "/", headers, names, wire.sign, wire.pack)

    @property
    def belief(self) -> Belief:
        """What discovery knows."""
        return self.subscription.belief

    @property
    def asked(self) -> WhoAsked | None:
        """Who asked for the list last, of the processes that share a store; None if it is not shared."""
        return self.subscription.asked

    @property
    def shares(self) -> tuple[Subscription, ...]:
        """All that it waits for at its beginning."""
        return (self.subscription,) if self.upkeep is None else (self.upkeep, self.subscription)

    @property
    def is_ready(self) -> bool:
        """Whether it has a list, and what its calls need."""
        return all(share.is_ready for share in self.shares)

    @property
    def renewal(self) -> Subscription:
        """Whom to ask for another credential, if an endpoint refused the one that calls have sent."""
        return self.subscription if self.upkeep is None else self.upkeep

    @property
    def is_hopeless(self) -> bool:
        """Whether it has nobody to call, and waiting does not help until the configuration changes."""
        if self.upkeep is not None and not self.upkeep.is_ready and self.upkeep.belief.is_hopeless:
            return True
        return self.belief.is_hopeless

    def list_age(self) -> float | None:
        """Seconds since the list in use was confirmed; None if there never was one."""
        return self.belief.age(self._clock.monotonic())

    def doubt(self) -> None:
        """An endpoint could not be reached: the list may be old, so ask for a new one soon."""
        self._doubted_at = self._clock.monotonic()
        self.subscription.ask_soon()

    def is_doubtful_for(self, tried: Collection[str]) -> bool:
        """Whether a call that was tried on these endpoints should go elsewhere, if it can: one of them is ours, and a
        moment ago a connection could not be opened. A second one may cost another `connect_timeout`."""
        if self._clock.monotonic() - self._doubted_at > _DOUBT:
            return False
        return any(member.endpoint.id in tried for member in self.pool.members())

    def views(self) -> list[EndpointView]:
        """Every endpoint, for people."""
        age = self.list_age()
        views: list[EndpointView] = []
        for member in self.pool.members():
            figures = member.load.figures()
            mean = figures.mean_seconds
            standing = self.pool.standing(member)
            views.append(
                EndpointView(
                    endpoint=member.endpoint,
                    route=self.name,
                    tier=self.tier,
                    state=self._state(standing.state),
                    weight=member.weight,
                    open_calls=figures.open_calls,
                    attempts=figures.attempts,
                    errors=figures.errors,
                    refusals=figures.refusals,
                    mean_ms=None if mean is None else mean * 1000,
                    last_error=figures.last_error,
                    list_age=age,
                    reason=standing.reason,
                    returns_in=standing.returns_in,
                )
            )
        return views

    def _state(self, state: str) -> str:
        if state == "ready" and self.plan.mirror:
            return "mirror"
        return "draining" if not self.weight and state != "leaving" else state

    def release(self) -> None:
        """Give the share in the poller back."""
        self.ended_at = self._clock.monotonic()
        self.pool.close()
        self.subscription.release()
        if self.upkeep is not None:
            self.upkeep.release()
