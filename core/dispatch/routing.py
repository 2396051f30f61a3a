"""Routes and tiers: which of a service's ways a call takes.

A route is one provider's endpoints with their pool. The tiers share the calls by their health, see
`resilience/tiers.py`; the routes of one tier share them by weight. A call that is tried again goes on in the next tier
when this one has nobody left, or could not be reached.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from random import Random
from typing import TypeAlias

from ..interfaces.balancer import ANY, PickInfo
from ..resilience.tiers import tier_ends, tier_health, tier_loads
from .route import Route, RouteMember
from .stickiness import RouteHash, point_of

__all__ = ["Routing", "TierView"]


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
        sole: The route that gets every call, if there is one and nobody waits for a probe: the usual case, at no cost.
    """

    ends: tuple[int, ...] | None
    orders: tuple[tuple[_Tier, ...], ...]
    idle: tuple[Route, ...]
    loads: tuple[int, ...]
    sole: Route | None = None


class Routing:
    """The routes of one service, in tiers. Mutable state: the shares, made anew when the health of a pool has changed.

    A route of weight 0 drains: it gets no calls, whatever happens to the others.

    Args:
        routes: The routes of the service.
        random: Source of chance for the split between tiers and routes.
    """

    def __init__(self, routes: Iterable[Route], random: Random) -> None:
        self.routes: tuple[Route, ...] = tuple(routes)
        self._random = random
        self._weights = {route: float(route.weight) for route in self.routes}
        self._hashes = {route: RouteHash(route.name) for route in self.routes}
        self.mirrors: tuple[Route, ...] = tuple(route for route in self.routes if route.plan.mirror)
        """Routes that get copies of calls, and no others."""
        mine = (route for route in self.routes if route.weight and not route.plan.mirror)
        serving = sorted(mine, key=lambda route: route.tier)
        self.tiers: list[list[Route]] = [list(tier) for _, tier in groupby(serving, key=lambda route: route.tier)]
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
        if shares.sole is not None:
            member = shares.sole.pool.pick(info)
            if member is not None:
                return member
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
        order = orders[whole or 0] if orders else ()
        sole = order[0][0].route if order and len(order[0]) == 1 and not idle else None
        return _Shares(None, (order,), tuple(idle), tuple(loads), sole)

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
