"""Slots and their queue, by hand: who gets a slot, who waits, who is refused."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Collection
from random import Random

import pytest
from clock_lab import VirtualClock
from pydantic import ValidationError
from slots_lab import HeldSlot, Place, Wanted, slots_of

from directlane.core.config.slots import SlotSettings
from directlane.core.resilience.adaptive_limit import Load
from directlane.core.resilience.slots import Slots
from directlane.core.resilience.tickets import End, Ticket


class Setting:
    """Slots at some endpoints, at a standing clock."""

    def __init__(self, *names: str, per_endpoint: int = 1, queue: int = 64, **settings: object) -> None:
        self.clock = VirtualClock(0.0)
        self.place = Place(self.clock, list(names))
        self.slots: Slots[HeldSlot] = slots_of(self.clock, per_endpoint, queue, **settings)

    def come(self, deadline: float = 100.0, *, tried: str = "", is_repeat: bool = False) -> Ticket[HeldSlot]:
        return self.slots.enter(Wanted(self.slots, self.place, frozenset(tried)), deadline, is_repeat=is_repeat)

    def end(self, ticket: Ticket[HeldSlot]) -> None:
        assert ticket.slot is not None
        self.slots.give_back(ticket.slot)

    def list(self, *names: str) -> None:
        self.place.names[:] = names
        self.slots.list_changed(names)


def test_a_call_takes_a_free_slot_at_once_and_the_next_endpoint_when_one_is_full() -> None:
    here = Setting("a", "b", per_endpoint=2)
    tickets = [here.come() for _ in range(4)]
    assert [ticket.slot.endpoint_id for ticket in tickets if ticket.slot] == ["a", "a", "b", "b"]
    assert here.come().end is None, "all are full: it waits"
    assert here.slots.view().used == 4


def test_a_slot_that_frees_goes_to_who_waits_whichever_endpoint_it_is_of() -> None:
    here = Setting("a", "b")
    _, second, waiting = here.come(), here.come(), here.come()
    here.end(second)
    assert waiting.slot is not None
    assert waiting.slot.endpoint_id == "b"


def test_the_earliest_deadline_comes_first_then_repeats_then_who_came_first() -> None:
    here = Setting("a")
    running = here.come()
    late, new, other, repeat, early = (
        here.come(90),
        here.come(50),
        here.come(50),
        here.come(50, is_repeat=True),
        here.come(20),
    )
    order: list[Ticket[HeldSlot]] = []
    for _ in range(5):
        here.end(running)
        running = next(ticket for ticket in (late, new, other, repeat, early) if ticket.slot and ticket not in order)
        order.append(running)
    assert order == [early, repeat, new, other, late]


def test_a_call_that_cannot_use_a_slot_lets_others_pass() -> None:
    here = Setting("a", "b")
    first, _ = here.come(), here.come()
    choosy, easy = here.come(10, tried="a"), here.come(20)
    here.end(first)
    assert choosy.end is None
    assert easy.end is End.GRANTED, "the slot at a is no use to the first in the queue"


def test_a_call_goes_back_to_where_it_was_tried_when_the_others_have_left() -> None:
    here = Setting("a", "b")
    here.come()
    at_b = here.come()
    waiting = here.come(tried="b")
    here.end(at_b)
    assert waiting.end is None
    here.list("b")
    assert waiting.slot is not None
    assert waiting.slot.endpoint_id == "b"


def test_r8_who_finds_the_queue_full_is_refused_at_once_and_the_balancer_is_not_even_asked() -> None:
    here = Setting(*(f"e{number}" for number in range(100)), per_endpoint=1, queue=3)
    for _ in range(103):
        assert here.come().end in {End.GRANTED, None}
    asked = here.place.picks
    assert [here.come().end for _ in range(1_000)] == [End.FULL] * 1_000
    assert here.place.picks == asked
    assert (here.slots.view().refused, here.slots.view().waiting) == (1_000, 3)


def test_without_a_queue_nobody_waits() -> None:
    here = Setting("a", queue=0)
    running = here.come()
    assert here.come().end is End.FULL
    here.end(running)
    assert here.come().end is End.GRANTED


def test_who_would_not_wait_is_told_so_and_is_not_counted_as_refused() -> None:
    here = Setting("a")
    here.come()
    ticket = here.slots.enter(Wanted(here.slots, here.place), 100.0, may_wait=False)
    assert (ticket.end, here.slots.view().refused) == (End.FULL, 0)


def test_a_deadline_that_passes_ends_the_waiting_and_makes_room_in_the_queue() -> None:
    here = Setting("a", queue=1)
    running, waiting = here.come(), here.come(10)
    here.clock.now = 10.0
    following = here.come(50)
    assert (waiting.end, following.end) == (End.LATE, None)
    here.end(running)
    assert following.end is End.GRANTED
    assert here.slots.view().late == 1


def test_nobody_to_ask_is_told_at_once_to_newcomers_and_to_those_who_wait() -> None:
    here = Setting("a")
    running, waiting = here.come(), here.come()
    here.list()
    assert waiting.end is End.NOBODY
    assert [here.come().end for _ in range(3)] == [End.NOBODY] * 3
    here.end(running)
    assert here.come().end is End.NOBODY


@pytest.mark.parametrize("change", ["another endpoint", "one more slot each", "back from ejection"])
def test_new_room_is_given_to_who_waits(change: str) -> None:
    here = Setting("a", "b")
    if change == "back from ejection":
        here.list("a")
        here.come()
    else:
        _ = here.come(), here.come()
    waiting = here.come()
    assert waiting.end is None
    if change == "another endpoint":
        here.list("a", "b", "c")
    elif change == "back from ejection":
        here.list("a", "b")
    else:
        here.slots.resize(SlotSettings(per_endpoint=2))
    assert waiting.end is End.GRANTED


def test_a_smaller_limit_lets_calls_end_and_gives_no_slot_until_there_is_room() -> None:
    here = Setting("a", per_endpoint=3)
    running = [here.come() for _ in range(3)]
    waiting = here.come()
    here.slots.resize(SlotSettings(per_endpoint=1))
    here.end(running[0])
    here.end(running[1])
    assert waiting.end is None
    here.end(running[2])
    assert waiting.end is End.GRANTED


def test_a_slot_given_to_who_has_left_goes_to_the_next() -> None:
    here = Setting("a")
    running, leaving, following = here.come(), here.come(10), here.come(20)
    here.end(running)
    assert leaving.end is End.GRANTED
    here.slots.leave(leaving)  # cancelled before it noticed
    assert following.end is End.GRANTED
    here.slots.leave(leaving)
    assert here.slots.used_of("a") == 1


def test_a_slot_is_given_back_once_however_often_it_is_said() -> None:
    here = Setting("a")
    running, second, third = here.come(), here.come(), here.come()
    here.end(running)
    here.end(running)
    assert (second.end, third.end) == (End.GRANTED, None)


def test_an_event_loop_that_is_gone_passes_its_slot_on() -> None:
    here = Setting("a")
    running, gone, following = here.come(), here.come(10), here.come(20)

    def wake() -> None:
        raise RuntimeError("Event loop is closed")

    gone.wake_by(wake)
    here.end(running)
    assert following.end is End.GRANTED


def test_closing_ends_all_waiting_and_all_that_come_later() -> None:
    here = Setting("a")
    running, waiting = here.come(), here.come()
    woken: list[str] = []
    assert waiting.wake_by(lambda: woken.append("woken"))
    here.slots.close()
    assert (waiting.end, woken, here.come().end) == (End.CLOSED, ["woken"], End.CLOSED)
    here.end(running)
    assert here.slots.view().used == 0


class Broken(Wanted):
    """A call whose balancer fails, once it is `broken`."""

    broken = False

    def seek(self, full: Collection[str]) -> HeldSlot | None:
        if self.broken:
            raise ZeroDivisionError
        return super().seek(full)


def test_a_balancer_that_fails_ends_its_own_call_and_harms_no_other() -> None:
    here = Setting("a")
    running = here.come()
    seeker = Broken(here.slots, here.place)
    broken = here.slots.enter(seeker, 10.0)
    seeker.broken = True
    following = here.come(20)
    here.end(running)
    assert (broken.end, following.end) == (End.FAILED, End.GRANTED)
    assert isinstance(broken.error, ZeroDivisionError)


class GivesBack(Wanted):
    """A call during whose choice another one's slot comes back in the same thread, as garbage is collected."""

    give_back: Callable[[], None] = staticmethod(lambda: None)

    def seek(self, full: Collection[str]) -> HeldSlot | None:
        self.give_back()
        return super().seek(full)


def test_a_slot_may_come_back_from_anywhere_even_in_the_middle_of_a_choice() -> None:
    here = Setting("a")
    running = here.come()
    assert running.slot is not None
    slot = running.slot
    seeker = GivesBack(here.slots, here.place)
    seeker.give_back = lambda: here.slots.give_back(slot)
    assert here.slots.enter(seeker, 10.0).end is End.GRANTED, "the letter is read before `enter` returns"


def test_the_view_tells_who_waits_for_how_long() -> None:
    here = Setting("a", per_endpoint=1, queue=5)
    running, first, _ = here.come(), here.come(), here.come()
    here.clock.now = 4.0
    view = here.slots.view()
    assert (view.waiting, view.queue, view.oldest_wait, view.used) == (2, 5, 4.0, 1)
    here.end(running)
    assert first.end is End.GRANTED
    assert (here.slots.view().granted, here.slots.view().mean_wait) == (1, 4.0)


def test_limits_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"per_endpoint \(300\) must lie between"):
        SlotSettings(per_endpoint=300, adaptive=True)
    assert SlotSettings(per_endpoint=300).per_endpoint == 300


def test_an_adaptive_limit_shrinks_on_overload_grows_when_used_and_forgets_who_left() -> None:
    here = Setting("a", per_endpoint=10, adaptive=True)
    running = [here.come().slot for _ in range(10)]
    waiting = here.come()
    assert running[0] is not None
    here.clock.now = 1.0
    here.slots.give_back(running[0], Load.OVERLOAD)
    assert (here.slots.limit_of("a"), waiting.end) == (9, None), "9 in use, 9 allowed"
    for slot in running[1:]:
        assert slot is not None
        here.slots.give_back(slot, Load.OVERLOAD)
    assert here.slots.limit_of("a") == 9, "they began under the old limit"
    assert waiting.end is End.GRANTED
    here.list("b")
    assert here.slots.limit_of("a") == 10


def test_threads_lose_no_slot_no_call_and_are_never_above_the_limit() -> None:
    names = ["a", "b", "c"]
    clock = VirtualClock(0.0)
    slots = slots_of(clock, 2, 1_000)
    inside = dict.fromkeys(names, 0)
    most = dict.fromkeys(names, 0)
    lock = threading.Lock()
    done: list[int] = []

    def work(number: int) -> None:
        random = Random(number)
        for turn in range(60):
            ticket = slots.enter(Wanted(slots, Place(clock, random.sample(names, 3))), 10.0 + random.random())
            event = threading.Event()
            if ticket.end is None and random.random() < 0.2:
                slots.leave(ticket)  # given up, perhaps at the moment in which the slot comes
                continue
            if ticket.wake_by(event.set):
                assert event.wait(60), f"lost: {ticket} in turn {turn}"
            assert ticket.slot is not None
            who = ticket.slot.endpoint_id
            with lock:
                inside[who] += 1
                most[who] = max(most[who], inside[who])
            if random.random() < 0.3:
                gc.collect(0)
            with lock:
                inside[who] -= 1
            slots.give_back(ticket.slot)
            if random.random() < 0.1:
                slots.list_changed(names)
        done.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(done) == list(range(12))
    assert max(most.values()) <= 2
    view = slots.view()
    assert (view.waiting, view.used, view.refused, view.late) == (0, 0, 0, 0)
