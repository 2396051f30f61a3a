"""From one plan of a service to the next: which routes stay, which begin, which end.

A route stays if its name, its provider and everything that its pool is made of are as before: it keeps its endpoints'
statistics and connections, and may get another weight or tier. Nothing changes for the calls until `commit`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from pydantic import BaseModel

from ..config.model import RoutePlan, ServicePlan
from .route import Route
from .routing import Routing

__all__ = ["Succession", "is_same", "succeed"]


@dataclass(frozen=True, slots=True)
class Succession:
    """A change that is prepared.

    Args:
        plan: What the service is to become.
        routes: Its routes, alive, in the order of the plan.
        fresh: Those of them that began for it.
        retired: Those that the service has now and will not have then.
    """

    plan: ServicePlan
    routes: tuple[Route, ...]
    fresh: tuple[Route, ...]
    retired: tuple[Route, ...]

    @property
    def has_endpoints(self) -> bool:
        """Whether a route that is to get calls has somebody."""
        places = zip(self.routes, self.plan.routes, strict=True)
        return any(route.pool.listed and place.weight and not place.mirror for route, place in places)

    def commit(self, old: Routing, random: Random) -> Routing:
        """The routing of the new plan. The old one must not be asked any more."""
        old.unwatch()
        for route, plan in zip(self.routes, self.plan.routes, strict=True):
            route.move(plan)
        for route in self.retired:
            route.release()
        return Routing(self.routes, random)

    def abandon(self) -> None:
        """It is not to be, after all."""
        for route in self.fresh:
            route.release()


def succeed(old: Routing, before: ServicePlan, after: ServicePlan, make: Callable[[RoutePlan], Route]) -> Succession:
    """Prepare the change from one plan to the next.

    Args:
        old: The routing in use.
        before: Its plan.
        after: The new plan.
        make: Begins a route.
    """
    known = {route.name: route for route in old.routes} if _is_same_ground(before, after) else {}
    routes: list[Route] = []
    fresh: list[Route] = []
    for plan in after.routes:
        route = known.get(plan.name)
        if route is None or not is_same(route.provider, plan.provider):
            route = make(plan)
            fresh.append(route)
        routes.append(route)
    retired = tuple(route for route in old.routes if route not in routes)
    return Succession(after, tuple(routes), tuple(fresh), retired)


def _is_same_ground(before: ServicePlan, after: ServicePlan) -> bool:
    """Whether what all routes of a service are made of is the same."""
    return (
        is_same(before.balancer, after.balancer)
        and is_same(before.transport, after.transport)
        and before.discovery == after.discovery
        and before.calls.ejection == after.calls.ejection
        and before.calls.slow_start == after.calls.slow_start
    )


def is_same(one: BaseModel, other: BaseModel) -> bool:
    """Whether two models say the same. Their own `==` also looks at what they have opened meanwhile."""
    return type(one) is type(other) and dict(one) == dict(other)
