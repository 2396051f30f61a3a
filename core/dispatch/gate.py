"""The gate of a service with slots: every attempt goes through it and takes a slot with its lease.

An endpoint whose slots are all in use is left out like one that the call excludes, so the balancer decides among those
that have room: calls with a key overflow to the next endpoint of their key's order, and a tier without a free slot
overflows into the next one. Only if nobody has room, a call waits.

The slot of an attempt is its lease: free when the lease is released, at the end of a stream for streamed answers.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from typing import TypeAlias

from ..clock import Clock
from ..config.slots import SlotSettings
from ..outcome import Action, Outcome, Verdict
from ..pool.statistics import Lease
from ..resilience.adaptive_limit import Load
from ..resilience.slots import QueueView, Slots
from ..resilience.tickets import End, Ticket
from .call import Call, Queue, Sent
from .route import RouteMember
from .routing import Routing

__all__ = ["Choice", "SlotGate", "SlotLease", "note_load"]


class SlotLease(Lease):
    """A lease that is a slot in use.

    Args:
        slots: Whose slot.
        member: At which endpoint.
        started_at: Monotonic clock, in seconds.
        size: Expected work, in the caller's unit.
    """

    __slots__ = ("_slots", "load", "member")

    def __init__(self, slots: Slots[SlotLease], member: RouteMember, started_at: float, size: float) -> None:
        super().__init__(member.load, started_at, size)
        self._slots = slots
        self.member: RouteMember = member
        self.load: Load | None = None
        """What the attempt says of the endpoint's load, once it has ended."""

    @property
    def endpoint_id(self) -> str:
        """Whose slot it is."""
        return self.member.endpoint.id

    def release(self) -> None:
        """The attempt is over: its slot is for the next one."""
        super().release()
        self._slots.give_back(self, self.load)

    def saw(self, outcome: Outcome, verdict: Verdict) -> None:
        """The attempt has ended, or its answer has begun."""
        error = outcome.error
        if error is not None:
            self.load = Load.OVERLOAD if error.timed_out and error.phase.may_have_run else None
        elif outcome.status in (429, 503) or verdict.action is Action.BACK_OFF:
            self.load = Load.OVERLOAD
        elif verdict.action is Action.OK:
            self.load = Load.FINE


Choice: TypeAlias = tuple[RouteMember, SlotLease | None]
"""Who gets an attempt, and the slot for it, if there are slots."""


def note_load(lease: Lease, outcome: Outcome, verdict: Verdict) -> None:
    """Remember what the end of an attempt says, for when its slot is given back."""
    if isinstance(lease, SlotLease):
        lease.saw(outcome, verdict)


class SlotGate:
    """Gives leases to calls. Mutable state: the routing, replaced by `move`; the rest is in `Slots`.

    Args:
        settings: How many slots, and how long a queue.
        routing: Where calls can go.
        clock: Source of time.
    """

    def __init__(self, settings: SlotSettings, routing: Routing, clock: Clock) -> None:
        self.slots: Slots[SlotLease] = Slots(settings, clock)
        self.clock = clock
        self.routing: Routing = routing
        self._watch()

    def _watch(self) -> None:
        for route in self.routing.routes:
            route.watch(self._list_changed)
        self._list_changed()  # a list may have come before we watched

    def _list_changed(self) -> None:
        known = [member.endpoint.id for route in self.routing.routes for member in route.pool.members()]
        self.slots.list_changed(known)

    def move(self, routing: Routing, settings: SlotSettings | None = None) -> None:
        """Go on with another configuration. Who waits keeps its place, slots in use stay in use."""
        for route in self.routing.routes:
            route.unwatch(self._list_changed)
        self.routing = routing
        if settings is not None:
            self.slots.resize(settings)
        self._watch()

    def close(self) -> None:
        """End the waiting of all calls."""
        self.slots.close()

    def view(self) -> QueueView:
        """The queue, for people."""
        return self.slots.view()

    def enter(
        self, call: Call, tried: frozenset[str], *, is_repeat: bool = False, may_wait: bool = True
    ) -> Generator[Queue, Sent, SlotLease | End]:
        """Get a slot, waiting for it if need be. `call.queued` grows by the wait.

        Args:
            call: The call.
            tried: Ids of endpoints that it should not get, if there are others.
            is_repeat: Whether it has had an attempt.
            may_wait: Whether it may wait.

        Returns:
            The slot, which is the caller's to release; or why there is none.
        """
        ticket = self.slots.enter(_Caller(self, call, tried), call.deadline, is_repeat=is_repeat, may_wait=may_wait)
        if ticket.end is None:
            is_in_time = False
            try:
                yield Queue(ticket, max(0.0, call.deadline - ticket.came_at))
                is_in_time = ticket.end is not None and self.clock.monotonic() < call.deadline
            finally:
                call.queued += max(0.0, self.clock.monotonic() - ticket.came_at)
                if not is_in_time:
                    # Late, or given up. A slot that comes at this very moment goes to the next one.
                    self.slots.leave(ticket)
            if not is_in_time:
                return End.LATE
        return _result(ticket)

    def enter_at_once(self, call: Call, others: frozenset[str]) -> SlotLease | None:
        """A slot that is free now at none of `others`; None if there is none."""
        caller = _Caller(self, call, others, is_strict=True)
        return self.slots.enter(caller, call.deadline, is_repeat=True, may_wait=False).slot


def _result(ticket: Ticket[SlotLease]) -> SlotLease | End:
    if ticket.error is not None:
        raise ticket.error
    if ticket.slot is not None:
        return ticket.slot
    assert ticket.end is not None  # noqa: S101 - asked when it has ended
    return ticket.end


class _Caller:
    """A call at the gate: asks the routing among the endpoints that have room."""

    __slots__ = ("_call", "_gate", "_tried", "_untouchable", "is_choosy")

    def __init__(self, gate: SlotGate, call: Call, tried: frozenset[str], *, is_strict: bool = False) -> None:
        self._gate = gate
        self._call = call
        self._tried = tried
        self._untouchable = tried if is_strict else call.excluded
        self.is_choosy = bool(tried)

    def seek(self, full: Collection[str]) -> SlotLease | None:
        """Take a slot at an endpoint that is not full; one that was tried only if there are no others at all."""
        member = self._pick(self._tried, full)
        if member is None and self._has_only_tried():
            member = self._pick(self._untouchable, full)
        if member is None or member.endpoint.id in full:  # a balancer that ignores what is excluded gets no say
            return None
        gate = self._gate
        return SlotLease(gate.slots, member, gate.clock.monotonic(), self._call.size)

    def has_somebody(self) -> bool:
        """Whether there is an endpoint for it, with or without room."""
        return self._pick(self._tried, ()) is not None or (
            self._has_only_tried() and self._pick(self._untouchable, ()) is not None
        )

    def _has_only_tried(self) -> bool:
        return self._tried != self._untouchable and self._pick(self._tried, ()) is None

    def _pick(self, excluded: frozenset[str], full: Collection[str]) -> RouteMember | None:
        call = self._call
        return self._gate.routing.pick(call.key, excluded.union(full) if full else excluded, call.size)
