"""R8 by chance: calls arrive, end, give up and run out of time while the list of endpoints changes."""

from __future__ import annotations

from clock_lab import VirtualClock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from slots_lab import HeldSlot, Place, Wanted, slots_of

from directlane.core.resilience.adaptive_limit import Load
from directlane.core.resilience.tickets import End, Ticket

NAMES = ["a", "b", "c", "d"]


class SlotsMachine(RuleBasedStateMachine):
    """The model: who waits and who has a slot, as the tickets themselves say it."""

    @initialize(per_endpoint=st.integers(1, 3), queue=st.integers(0, 4), adaptive=st.booleans())
    def begin(self, per_endpoint: int, queue: int, adaptive: bool) -> None:
        self.clock = VirtualClock(0.0)
        self.place = Place(self.clock, NAMES[:2])
        self.slots = slots_of(self.clock, per_endpoint, queue, adaptive=adaptive, maximum=5)
        self.adaptive = adaptive
        self.queue = queue
        self.waiting: list[Ticket[HeldSlot]] = []
        self.running: list[Ticket[HeldSlot]] = []
        self.ended: dict[Ticket[HeldSlot], End | None] = {}
        self.woken: dict[Ticket[HeldSlot], int] = {}
        self.gone: set[Ticket[HeldSlot]] = set()

    def settle(self) -> None:
        """Look at what has become of those who waited; and of the order in which they went."""
        granted = [ticket for ticket in self.waiting if ticket.end is End.GRANTED]
        still = [ticket for ticket in self.waiting if ticket.end is None]
        for ticket in granted:
            assert ticket.slot is not None
            for other in still:
                wants = other.seeker.acceptable()  # type: ignore[attr-defined]  # our own kind of call
                assert other.order > ticket.order or ticket.slot.endpoint_id not in wants, "earliest deadline first"
        for ticket in self.waiting:
            if ticket.end is not None:
                assert self.woken[ticket] == 1 or ticket in self.gone
                self.ended[ticket] = ticket.end
        self.waiting = still
        self.running += granted

    # --- what happens -------------------------------------------------------------------------------------------------

    @rule(time=st.integers(1, 9), tried=st.sets(st.sampled_from(NAMES), max_size=2), is_repeat=st.booleans())
    def arrive(self, time: int, tried: set[str], is_repeat: bool) -> None:
        seeker = Wanted(self.slots, self.place, frozenset(tried))
        had_room = self.has_room_for(seeker)
        were_waiting = sum(ticket.deadline > self.clock.now for ticket in self.waiting)
        ticket = self.slots.enter(seeker, self.clock.now + time, is_repeat=is_repeat)
        self.settle()
        assert (ticket.end is End.NOBODY) == (not self.place.names)
        if self.place.names:
            assert (ticket.end is End.GRANTED) == had_room
            assert (ticket.end is End.FULL) == (not had_room and were_waiting >= self.queue)
        self.woken[ticket] = 0
        if ticket.end is None:
            self.waiting.append(ticket)
            assert ticket.wake_by(lambda: self.wake(ticket))
        else:
            self.ended[ticket] = ticket.end
            self.running += [ticket] * (ticket.end is End.GRANTED)

    def wake(self, ticket: Ticket[HeldSlot]) -> None:
        assert ticket.end is not None
        self.woken[ticket] += 1

    def leave(self, ticket: Ticket[HeldSlot]) -> None:
        self.gone.add(ticket)
        self.slots.leave(ticket)

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0), load=st.sampled_from([None, *Load]), twice=st.booleans())
    def finish(self, which: int, load: Load | None, twice: bool) -> None:
        ticket = self.running.pop(which % len(self.running))
        assert ticket.slot is not None
        for _ in range(1 + twice):
            self.slots.give_back(ticket.slot, load)
        self.settle()

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0))
    def give_up(self, which: int) -> None:
        self.leave(self.waiting[which % len(self.waiting)])
        self.settle()

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0))
    def give_up_what_was_granted(self, which: int) -> None:
        self.slots.leave(self.running.pop(which % len(self.running)))
        self.settle()

    @rule(seconds=st.integers(1, 4))
    def time_passes(self, seconds: int) -> None:
        self.clock.now += seconds
        for ticket in [ticket for ticket in self.waiting if ticket.deadline <= self.clock.now]:
            self.leave(ticket)  # as the shells do: each has its own timer
        self.settle()

    @rule(names=st.lists(st.sampled_from(NAMES), unique=True))
    def list_changes(self, names: list[str]) -> None:
        self.place.names[:] = names
        self.slots.list_changed([*names, *(self.slot_of(ticket).endpoint_id for ticket in self.running)])
        self.settle()

    # --- what always holds --------------------------------------------------------------------------------------------

    @staticmethod
    def slot_of(ticket: Ticket[HeldSlot]) -> HeldSlot:
        assert ticket.slot is not None
        return ticket.slot

    def has_room_for(self, seeker: Wanted) -> bool:
        return any(self.used(name) < self.slots.limit_of(name) for name in seeker.acceptable())

    def used(self, name: str) -> int:
        return sum(self.slot_of(ticket).endpoint_id == name for ticket in self.running)

    @invariant()
    def nobody_is_above_the_slots(self) -> None:
        for name in NAMES:
            assert self.slots.used_of(name) == self.used(name)
            # A limit that has just shrunk lets its calls end; a grant above it is none of ours, see below.
            assert self.adaptive or self.used(name) <= self.slots.limit_of(name)
        assert not any(name in full for name, full in self.place.full_at_grants)
        self.place.full_at_grants.clear()

    @invariant()
    def no_slot_is_idle_while_a_call_waits_that_could_have_it(self) -> None:
        assert len(self.waiting) <= self.queue
        for ticket in self.waiting:
            assert self.place.names
            assert not self.has_room_for(ticket.seeker)  # type: ignore[arg-type]  # our own kind of call

    @invariant()
    def a_ticket_ends_once(self) -> None:
        assert all(ticket.end is end for ticket, end in self.ended.items())
        assert all(count <= 1 for count in self.woken.values())

    def teardown(self) -> None:
        if hasattr(self, "slots"):
            for ticket in self.waiting:
                self.leave(ticket)
            self.settle()
            for ticket in self.running:
                self.slots.leave(ticket)
            view = self.slots.view()
            assert (view.waiting, view.used) == (0, 0), "no trace is left"


SlotsMachine.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestSlotsMachine = SlotsMachine.TestCase
