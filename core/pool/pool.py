"""The pool: the endpoints of one route, their statistics, and the current picker.

An update builds new members and a new picker away from the path of the calls and publishes them by one reference. A
member whose endpoint left the list stays until its open calls are over; then its connections can be closed.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Generic, TypeVar

from ..clock import Clock
from ..config.ejection import NO_EJECTION, EjectionSettings
from ..endpoint import Endpoint
from ..interfaces.balancer import Balancer, BuildContext, Picker, PickInfo
from ..timers import Timers
from .endpoint_health import Standing
from .health import PoolHealth
from .probe import Probe, ProbeStats
from .refresh import Refresher
from .statistics import EndpointStats

__all__ = ["EndpointView", "Pool", "PoolMember", "resolved_weights"]

T = TypeVar("T")

_PATIENCE = 10
"""So many calls that exclude somebody leave a probe to others."""
_LATENCY_MEMORY = 30.0
"""Average latencies over which one is forgotten, for `latency_factor`, if the balancer asks for nothing else."""

_READY = Standing("ready")
_DRAINING = Standing("draining")
_LEAVING = Standing("leaving")


class PoolMember(Generic[T]):
    """One endpoint in the pool. Never changes; an update with another weight makes another member.

    Args:
        endpoint: The address.
        weight: Its share, resolved; 0 for a draining endpoint, which no picker gets to see.
        load: Its statistics, the same object in every member of the same endpoint id.
        lane: What the route attached to the endpoint.
    """

    __slots__ = ("endpoint", "lane", "load", "weight")

    def __init__(self, endpoint: Endpoint, weight: float, load: EndpointStats, lane: T) -> None:
        self.endpoint: Endpoint = endpoint
        self.weight: float = weight
        self.load: EndpointStats = load
        self.lane: T = lane

    def __repr__(self) -> str:
        return f"<PoolMember {self.endpoint.id} weight {self.weight:g}, {self.load.open_calls} open>"


@dataclass(frozen=True, slots=True)
class EndpointView:
    """One endpoint for people: what is known and how it is doing.

    Args:
        endpoint: The address.
        route: Name of the route it belongs to.
        state: `ready`; `warming` (it comes in slowly); `ejected` (it fails and gets no calls); `probing` (one call is
            to find out if it is well again); `failing` (it would be ejected, but too many fail); `draining` (weight 0);
            `mirror` (its route gets copies only); or `leaving` (not listed any more, calls are still open).
        weight: Its share, with unknown weights resolved.
        open_calls: Attempts that are under way.
        attempts: Attempts that ended.
        errors: How many of them failed on the wire.
        refusals: How many of them were answered with "elsewhere" or "later".
        mean_ms: Mean time of an attempt in milliseconds; None before the first.
        last_error: The last failure; None if the last attempt had an answer.
        list_age: Seconds since the list it stands on was confirmed.
        reason: Why it is ejected, probed or failing; None else.
        returns_in: Seconds until a call may find out if it is well again, for the same; 0 if one may now.
        tier: Number of the tier of the route.
        slots: How many open calls it may have, from all routes of the service together; None if there is no limit.
    """

    endpoint: Endpoint
    route: str
    state: str
    weight: float
    open_calls: int
    attempts: int
    errors: int
    refusals: int
    mean_ms: float | None
    last_error: str | None
    list_age: float | None
    reason: str | None = None
    returns_in: float | None = None
    tier: int = 0
    slots: int | None = None


class Pool(Generic[T]):
    """The endpoints of one route.

    Mutable state: `_members`, `_leaving` and `_picker`, changed in `update` (and `reap`) under `_lock`. Reading the
    picker takes no lock.

    Args:
        balancer: Builds the pickers.
        attach: Makes what the route keeps for an endpoint; called once for each endpoint that is new or changed.
        clock: Source of time.
        random: Source of chance.
        name: Of the route, for log lines. Default: nothing is logged.
        ejection: When an endpoint that fails is left out for a while. Default: never.
        slow_start: Seconds over which an endpoint that comes, or comes back, gets its share. Default 0: at once.
        timers: For what happens later. Without them there is neither ejection nor slow start, and a balancer that wants
            new pickers from time to time gets them with each list only.
        on_change: Called after each change of `size` or `healthy`, and when `has_probe` becomes true; without a lock
            held, in the thread that made the change. Must be quick and must not raise.
    """

    def __init__(
        self,
        balancer: Balancer,
        attach: Callable[[Endpoint], T],
        clock: Clock,
        random: Random,
        *,
        name: str | None = None,
        ejection: EjectionSettings = NO_EJECTION,
        slow_start: float = 0.0,
        timers: Timers | None = None,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self._balancer = balancer
        self._on_change = on_change
        self._attach = attach
        self._clock = clock
        self._random = random
        self._lock = threading.Lock()
        self._members: dict[str, PoolMember[T]] = {}
        self._leaving: list[PoolMember[T]] = []
        self._picker: Picker | None = None
        self._health: PoolHealth | None = None
        self._due: deque[Probe] = deque()
        self._latency_memory = balancer.latency_memory()
        if timers is not None and (ejection.enabled or slow_start > 0):
            self._health = PoolHealth(name, ejection, slow_start, clock, random, timers, self._refresh)
            self._due = self._health.due
            if ejection.enabled and ejection.latency_factor is not None and self._latency_memory is None:
                self._latency_memory = _LATENCY_MEMORY
        every = balancer.refresh_interval()
        self._refresher: Refresher | None = None
        if timers is not None and every is not None:
            self._refresher = Refresher(every, self._renew, clock, timers)
        self.size: int = 0
        """How many endpoints may get calls: those that are listed with a weight above 0."""
        self.healthy: int = 0
        """How many of them are not known to fail. Where too many fail to eject all, those that stay count as failing:
        a tier with 0 here sends its calls elsewhere."""

    def pick(self, info: PickInfo) -> PoolMember[T] | None:
        """A member for the next attempt; None if there is none, or every one is excluded. Takes no lock."""
        if self._due:
            member = self._probe(info)
            if member is not None:
                return member
        picker = self._picker
        if picker is None:
            return None
        # A picker is handed our members and gives one of them back: the contract knows them by a wider type.
        return picker.pick(info)  # type: ignore[return-value]

    def update(self, endpoints: Iterable[Endpoint]) -> None:
        """Take over a new list. Runs away from the path of the calls."""
        listed = list(endpoints)
        weights = resolved_weights([endpoint.weight for endpoint in listed])
        with self._lock:
            before = [*self._leaving, *self._members.values()]
            known = {member.endpoint.id: member for member in before}
            self._members = {
                endpoint.id: self._member(endpoint, weight, known.get(endpoint.id))
                for endpoint, weight in zip(listed, weights, strict=True)
            }
            # A lane stays in use while a listed member has it: one that came back, or only changed its weight.
            lanes = {id(member.lane) for member in self._members.values()}
            left = {id(member.lane): member for member in before if id(member.lane) not in lanes}
            self._leaving = list(left.values())
            if self._health is not None:
                self._health.take_over((who, each.load) for who, each in self._members.items() if each.weight > 0)
            self._build()
        if self._health is not None:
            self._health.attend()
        if self._refresher is not None:
            self._refresher.start()
        if self._on_change is not None:
            self._on_change()

    def _renew(self) -> None:
        """A new picker for the same members: the balancer looks at the statistics again."""
        with self._lock:
            self._build()

    def _refresh(self) -> None:
        """A new picker for the same list: somebody was ejected, is back, or gets more of its share."""
        with self._lock:
            self._build()
        if self._on_change is not None:
            self._on_change()

    def _build(self) -> None:
        eligible = [member for member in self._members.values() if member.weight > 0]
        health = self._health
        self.size = len(eligible)
        self.healthy = len(eligible) if health is None else health.well
        if health is not None:
            out = health.out
            eligible = [self._warmed(member, health) for member in eligible if member.endpoint.id not in out]
        context = BuildContext(random=self._random, clock=self._clock, previous=self._picker)
        self._picker = self._balancer.build(eligible, context)

    @staticmethod
    def _warmed(member: PoolMember[T], health: PoolHealth) -> PoolMember[T]:
        share = health.share(member.endpoint.id)
        return member if share == 1 else PoolMember(member.endpoint, member.weight * share, member.load, member.lane)

    def _probe(self, info: PickInfo) -> PoolMember[T] | None:
        """A member that waits for a call to find out if it is well; None if this call should go its usual way."""
        assert self._health is not None  # noqa: S101 - without it nobody waits
        probe = self._health.take()
        member = self._members.get(probe.id) if probe is not None else None
        if probe is None or member is None:
            return None
        if info.excluded:
            # A call that has failed elsewhere already, or whose caller is choosy, has less room: another one, please.
            # But not for ever, and not if it has nobody else.
            probe.passed += 1
            other = None if probe.passed > _PATIENCE or self._picker is None else self._picker.pick(info)
            if other is not None or probe.id in info.excluded:
                probe.give_back()
                return other  # type: ignore[return-value]  # as in `pick`
        return PoolMember(member.endpoint, member.weight, ProbeStats(member.load, probe), member.lane)

    def standing(self, member: PoolMember[T]) -> Standing:
        """How a member stands, for people."""
        if self.is_leaving(member):
            return _LEAVING
        if not member.weight:
            return _DRAINING
        return _READY if self._health is None else self._health.standing(member.endpoint.id)

    def close(self) -> None:
        """Take back what was to happen later."""
        if self._health is not None:
            self._health.close()
        if self._refresher is not None:
            self._refresher.close()

    def _member(self, endpoint: Endpoint, weight: float, known: PoolMember[T] | None) -> PoolMember[T]:
        if known is None:
            balancer = self._balancer
            stats = EndpointStats(self._clock, self._latency_memory, takes_reports=balancer.wants_reports())
            return PoolMember(endpoint, weight, stats, self._attach(endpoint))
        if known.endpoint == endpoint and known.weight == weight:
            return known
        is_same_place = replace(known.endpoint, weight=endpoint.weight) == endpoint
        return PoolMember(endpoint, weight, known.load, known.lane if is_same_place else self._attach(endpoint))

    @property
    def has_leaving(self) -> bool:
        """Whether some endpoint left the list and was not reaped yet. Cheap enough for every call."""
        return bool(self._leaving)

    def reap(self) -> list[PoolMember[T]]:
        """The members that left the list and have no open call any more. Each is returned once."""
        with self._lock:
            done = [member for member in self._leaving if not member.load.open]
            self._leaving = [member for member in self._leaving if member.load.open]
            return done

    def members(self) -> list[PoolMember[T]]:
        """Every member, those that are leaving last."""
        with self._lock:
            return [*self._members.values(), *self._leaving]

    def is_leaving(self, member: PoolMember[T]) -> bool:
        """Whether the member's endpoint is not listed any more."""
        return any(member is leaving for leaving in self._leaving)

    @property
    def has_probe(self) -> bool:
        """Whether an endpoint waits for a call that finds out if it is well again.

        Ask before the calls go elsewhere: a pool that gets none never knows.
        """
        return bool(self._due)

    @property
    def listed(self) -> int:
        """How many endpoints are listed, draining ones included."""
        return len(self._members)


def resolved_weights(weights: Sequence[int | None]) -> list[float]:
    """The weights with the unknown ones filled in: the mean of those that are known and not 0; 1 if none is known."""
    known = [weight for weight in weights if weight]
    mean = math.fsum(known) / len(known) if known else 1.0
    return [mean if weight is None else float(weight) for weight in weights]
