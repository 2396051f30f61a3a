"""Routes and tiers: which of a service's ways a call takes.

A route is one provider's endpoints with their pool. Routes of one tier share the calls by weight; the next tier is used
when no route of a lower one has an endpoint to offer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
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

__all__ = ["Lane", "Route", "RouteMember", "Routing"]

_log = logging.getLogger("directlane.dispatch")


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
        self.name = plan.name
        self.weight = plan.weight
        self.tier = plan.tier
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
        )
        self._asks: Headers = ASK_FOR_REPORT if service.balancer.wants_reports() else ()
        self._clock = clock
        self.fault: PluginError | None = None
        """What the provider's plug-in did wrong with the last list; None if nothing."""
        self.subscription: Subscription = hub.subscribe(
            f"{service.name}/{plan.name}", plan.provider.discovery(), service.discovery, self._take
        )

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
        self.subscription.ask_soon()

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
                    state=standing.state,
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

    def release(self) -> None:
        """Give the share in the poller back."""
        self.pool.close()
        self.subscription.release()


class Routing:
    """The routes of one service, in tiers. Never changes; the pools inside do.

    Args:
        routes: The routes of the service.
        random: Source of chance for the split between routes.
    """

    def __init__(self, routes: Iterable[Route], random: Random) -> None:
        self.routes = tuple(routes)
        self._random = random
        # A route of weight 0 takes calls only if the others of its tier have nobody: it comes last, never first.
        ordered = sorted(self.routes, key=lambda route: route.tier)
        self.tiers = [list(tier) for _, tier in groupby(ordered, key=lambda route: route.tier)]
        self._only = self.routes[0] if len(self.routes) == 1 else None

    def pick(self, key: bytes | None, excluded: frozenset[str], size: float = 1.0) -> RouteMember | None:
        """A member for the next attempt; None if no route has one that is not excluded."""
        info = ANY if key is None and not excluded and size == 1.0 else PickInfo(excluded, key, size)
        if self._only is not None:
            return self._only.pool.pick(info)
        for tier in self.tiers:
            for route in self._shuffled(tier):
                member = route.pool.pick(info)
                if member is not None:
                    return member
        return None

    def _shuffled(self, tier: Sequence[Route]) -> Sequence[Route]:
        """The routes of a tier in a random order by weight: the first gets the call, the others are its fallback."""
        if len(tier) == 1:
            return tier
        # Exponential clocks: the first to ring is route i with probability weight_i / sum, and so on down the order.
        rings = [
            (self._random.expovariate(route.weight) if route.weight else float("inf"), place)
            for place, route in enumerate(tier)
        ]
        return [tier[place] for _, place in sorted(rings)]

    def has_endpoints(self) -> bool:
        """Whether some route has an endpoint that is listed."""
        return any(route.pool.listed for route in self.routes)

    @property
    def has_leaving(self) -> bool:
        """Whether some endpoint left its list and its connections may be closed by now."""
        if self._only is not None:
            return self._only.pool.has_leaving
        return any(route.pool.has_leaving for route in self.routes)

    def list_age(self) -> float | None:
        """Age of the youngest list in use, in seconds; None if there is none."""
        ages = [age for route in self.routes if (age := route.list_age()) is not None]
        return min(ages, default=None)

    def release(self) -> None:
        """Give all shares in pollers back."""
        for route in self.routes:
            route.release()
