"""Routes and tiers: which of a service's ways a call takes.

A route is one provider's endpoints with their pool. The tiers share the calls by their health, see
`resilience/tiers.py`; the routes of one tier share them by weight. A call that is tried again goes on in the next tier
when this one has nobody left, or could not be reached.
"""

from __future__ import annotations

import logging
import math
import threading
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from random import Random
from typing import TypeAlias

from ..clock import Clock
from ..config.model import RoutePlan, ServicePlan
from ..discovery.belief import Belief
from ..discovery.hub import DiscoveryHub, Subscription
from ..endpoint import Endpoint
from ..errors import InvalidRequestError, PluginError
from ..interfaces.balancer import ANY, PickInfo
from ..interfaces.provider import Provider, Sign
from ..load_report import ASK_FOR_REPORT
from ..message import Headers, Request
from ..pool.pool import EndpointView, Pool, PoolMember
from ..resilience.tiers import tier_ends, tier_health, tier_loads
from .stickiness import RouteHash, point_of

__all__ = ["Lane", "Route", "RouteMember", "Routing", "TierView"]

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
    """One way to a service, alive: its provider, its pool and its share in a poller."""

    def __init__(self, plan: RoutePlan, service: ServicePlan, hub: DiscoveryHub, clock: Clock, random: Random) -> None:
        self.plan = plan
        """What the configuration says. Another weight or tier comes by `move`."""
        self.name = plan.name
        self._watchers: tuple[Callable[[], None], ...] = ()
        self._doubted_at = -math.inf
        self.ended_at = math.inf
        """When it was released, on the monotonic clock."""
        self.provider: Provider = plan.provider
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
        self.subscription: Subscription = hub.subscribe(
            f"{service.name}/{plan.name}", plan.provider.discovery(), service.discovery, self._take
        )

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
        try:
            self.pool.update(belief.endpoints)
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything; the poller serves others too
            text = f"provider {self.provider.kind!r} cannot use its endpoints: {type(error).__name__}: {error}"
            _log.error("%s: %s", self.name, text)
            self.fault = PluginError(text, plugin=self.provider.kind)
        else:
            self.fault = None

    def _lane(self, endpoint: Endpoint) -> Lane:
        wire = self.provider.wire(endpoint)
        prefix = endpoint.base_path + wire.prefix
        headers = wire.headers + self._asks
        names = frozenset(name.lower() for name, _ in headers)
        return Lane(self, prefix, prefix or "/", headers, names, wire.sign, wire.pack)

    @property
    def belief(self) -> Belief:
        """What discovery knows."""
        return self.subscription.belief

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


@dataclass(frozen=True, slots=True)
class TierView:
    """One tier for people.

    Args:
        tier: Its number in the configuration.
        load: Per cent of the service's calls that go there.
        healthy: How many of its endpoints are well.
        size: How many endpoints it has that may get calls.
    """

    tier: int
    load: int
    healthy: int
    size: int


@dataclass(frozen=True, slots=True)
class _Way:
    """A route and its share, as they stand now."""

    route: Route
    hashed: RouteHash
    weight: float


_Tier: TypeAlias = tuple[_Way, ...]


@dataclass(frozen=True, slots=True)
class _Shares:
    """Who gets how much, as it stands now: made when a pool has changed, replaced as a whole.

    Args:
        ends: Where the part of each tier ends on a line from 0 to 100; None if one tier gets everything.
        orders: For each tier (or for the one that gets everything) that tier, and then the others in the order in
            which a call tries them.
        idle: Routes that get no calls and have an endpoint that fails: only a probe can find out that it is well again.
        loads: Per cent for each tier.
    """

    ends: tuple[int, ...] | None
    orders: tuple[tuple[_Tier, ...], ...]
    idle: tuple[Route, ...]
    loads: tuple[int, ...]


class Routing:
    """The routes of one service, in tiers. Mutable state: the shares, made anew when the health of a pool has changed.

    A route of weight 0 drains: it gets no calls, whatever happens to the others.

    Args:
        routes: The routes of the service.
        random: Source of chance for the split between tiers and routes.
    """

    def __init__(self, routes: Iterable[Route], random: Random) -> None:
        self.routes = tuple(routes)
        self._random = random
        self._weights = {route: float(route.weight) for route in self.routes}
        self._hashes = {route: RouteHash(route.name) for route in self.routes}
        self.mirrors = tuple(route for route in self.routes if route.plan.mirror)
        """Routes that get copies of calls, and no others."""
        mine = (route for route in self.routes if route.weight and not route.plan.mirror)
        serving = sorted(mine, key=lambda route: route.tier)
        self.tiers = [list(tier) for _, tier in groupby(serving, key=lambda route: route.tier)]
        self._only = serving[0] if len(serving) == 1 else None
        self.retired: list[Route] = []
        """Routes that get no calls any more and are not closed yet; the shell's list, see `has_leaving`."""
        self._lock = threading.Lock()
        self._shares = self._shared_out()
        if self._only is None:
            for route in serving:
                route.watch(self._share_out)
            self._share_out()  # a list may have come before we watched

    def pick(self, key: bytes | None, excluded: frozenset[str], size: float = 1.0) -> RouteMember | None:
        """A member for the next attempt; None if no route has one that is not excluded."""
        info = ANY if key is None and not excluded and size == 1.0 else PickInfo(excluded, key, size)
        if self._only is not None:
            return self._only.pool.pick(info)
        shares = self._shares
        if excluded:
            return self._pick_again(shares, info)
        for route in shares.idle:
            if route.pool.has_probe:
                member = route.pool.pick(info)
                if member is not None:
                    return member
        for tier in self._order(shares, key):
            for way in tier if len(tier) == 1 else self._arranged(tier, key):
                member = way.route.pool.pick(info)
                if member is not None:
                    return member
        return None

    def _pick_again(self, shares: _Shares, info: PickInfo) -> RouteMember | None:
        """As `pick`, for a call that excludes somebody: first where it was not met with a closed door."""
        ways = [way for tier in self._order(shares, info.key) for way in self._arranged(tier, info.key)]
        for way in sorted(ways, key=lambda way: (not way.route.pool.healthy, way.route.is_doubtful_for(info.excluded))):
            member = way.route.pool.pick(info)
            if member is not None:
                return member
        return None

    def _order(self, shares: _Shares, key: bytes | None) -> tuple[_Tier, ...]:
        ends = shares.ends
        if ends is None:
            return shares.orders[0]
        point = self._random.random() * 100.0 if key is None else point_of(key)
        return shares.orders[bisect_right(ends, point)]

    def _arranged(self, tier: _Tier, key: bytes | None) -> Sequence[_Way]:
        """The routes of a tier in an order by weight: the first gets the call, the others are its fallback."""
        # Exponential clocks: the first to ring is route i with probability weight_i / sum, and so on down the order.
        # By chance, or for a key by its hash, which is weighted rendezvous.
        draw = self._random.expovariate
        rings = [
            ((draw(1.0) if key is None else way.hashed.ring(key)) / way.weight if way.weight else math.inf, place)
            for place, way in enumerate(tier)
        ]
        return [tier[place] for _, place in sorted(rings)]

    def _share_out(self) -> None:
        with self._lock:  # or an older view may be published last
            self._shares = self._shared_out()

    def _shared_out(self) -> _Shares:
        counts = [
            (sum(route.pool.healthy for route in tier), sum(route.pool.size for route in tier)) for tier in self.tiers
        ]
        loads = tier_loads(counts)
        tiers = [self._ways(tier) for tier in self.tiers]
        # Who has somebody that is well comes first; sorting is stable.
        following = sorted(range(len(tiers)), key=lambda place: not counts[place][0])
        orders = [
            (tiers[place], *(tiers[other] for other in following if other != place)) for place in range(len(tiers))
        ]
        whole = next((place for place, load in enumerate(loads) if load == 100), None)
        idle = [
            way.route
            for tier, load in zip(tiers, loads, strict=True)
            for way in tier
            if way.route.pool.healthy < way.route.pool.size and not (load and way.weight)
        ]
        if whole is None and any(loads):
            return _Shares(tier_ends(loads), tuple(orders), tuple(idle), tuple(loads))
        return _Shares(None, tuple(orders[whole or 0 :][:1]) or ((),), tuple(idle), tuple(loads))

    def _ways(self, tier: Sequence[Route]) -> _Tier:
        """The routes of a tier with their weights, each times its health: as for tiers, a route that has lost less than
        a third of its endpoints carries its whole share."""
        healths = [tier_health(route.pool.healthy, route.pool.size) for route in tier]
        if not any(healths):
            healths = [100] * len(tier)
        return tuple(
            _Way(route, self._hashes[route], self._weights[route] * health / 100.0)
            for route, health in zip(tier, healths, strict=True)
        )

    def tier_views(self) -> list[TierView]:
        """Every tier, for people. Routes that drain belong to none."""
        shares = self._shared_out()
        return [
            TierView(
                tier[0].tier,
                load,
                sum(route.pool.healthy for route in tier),
                sum(route.pool.size for route in tier),
            )
            for tier, load in zip(self.tiers, shares.loads, strict=True)
        ]

    def has_endpoints(self) -> bool:
        """Whether some route has an endpoint that is listed."""
        return any(route.pool.listed for route in self.routes if not route.plan.mirror)

    @property
    def has_leaving(self) -> bool:
        """Whether some endpoint left its list, or its route the service, and its connections may be closed by now."""
        if self.retired:
            return True
        routes = self.routes
        if len(routes) == 1:
            return routes[0].pool.has_leaving
        return any(route.pool.has_leaving for route in routes)

    def list_age(self) -> float | None:
        """Age of the youngest list in use, in seconds; None if there is none."""
        ages = [age for route in self.routes if (age := route.list_age()) is not None]
        return min(ages, default=None)

    def unwatch(self) -> None:
        """Look at the routes no more: another routing has them now."""
        for route in self.routes:
            route.unwatch(self._share_out)

    def release(self) -> None:
        """Give all shares in pollers back."""
        self.unwatch()
        for route in self.routes:
            route.release()
