"""The invariants: what must hold after every step, whatever the far side does.

Written from the promises of the documentation, and not from the code: the watch keeps books of its own, and looks into
the engine only to compare.
"""

# pyright: reportPrivateUsage=false
# What the engine promises is compared with what it really keeps.

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

from directlane.core.clock import Clock
from directlane.core.discovery.belief import Belief
from directlane.core.dispatch.call import Attempt, Effect, GoOn, Queue, Reauthenticate, Wait
from directlane.core.dispatch.gate import SlotLease
from directlane.core.dispatch.route import Route, RouteMember
from directlane.core.errors import AttemptsError, NoEndpointError, Phase
from directlane.core.pool.probe import Probe, ProbeStats
from directlane.core.pool.statistics import EndpointStats, Lease
from directlane.core.resilience.tickets import Ticket
from directlane.core.retry_after import retry_after
from directlane.core.simulation.engine import Answer, VirtualCall, VirtualService

from .far_side import LIMIT_WINDOW, FarSide
from .settings import Course

__all__ = ["Broken", "Watch"]

_DUST = 1e-9


class Broken(Exception):
    """An invariant does not hold."""

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(f"{rule}: {what}")
        self.rule = rule


@dataclass(slots=True)
class _Story:
    """What the watch knows of a call."""

    number: int
    excluded: frozenset[str]
    attempts: int = 0
    tried: set[str] = field(default_factory=set[str])
    may_have_run: bool = False
    was_touched: bool = False
    renewals: int = 0
    is_renewed: bool = False
    under_way: list[Attempt] = field(default_factory=list[Attempt])
    answers: dict[int, Answer] = field(default_factory=dict[int, Answer])
    last: Attempt | None = None
    leases: list[Lease] = field(default_factory=list[Lease])
    ticket: Ticket[SlotLease] | None = None
    """Its place in the queue in front of the slots, until its next effect."""
    is_over: bool = False


@dataclass(slots=True)
class _Books:
    """What the watch knows of an endpoint's statistics."""

    stats: EndpointStats
    started: int = 0
    under_way: int = 0
    leases: set[Lease] = field(default_factory=set[Lease])


@dataclass(slots=True)
class _Listed:
    """What the watch knows of a route's list."""

    belief: Belief | None = None
    number: int = 0
    entries: frozenset[tuple[str, str, int | None]] = frozenset()
    seen: int = 0


class Watch:
    """Keeps the books of one run.

    Args:
        course: What was drawn for it.
        clock: Its time.
        tell: Takes a line of the story.
        lateness: Seconds by which a timer may ring late.
    """

    def __init__(self, course: Course, clock: Clock, tell: Callable[..., None], lateness: float) -> None:
        self.course = course
        self.clock = clock
        self.tell = tell
        self.lateness = lateness
        self.service: VirtualService
        self.far: FarSide
        self.is_closed = False
        self.ends: Counter[str] = Counter()
        self.attempts = 0
        self.stories: dict[VirtualCall, _Story] = {}
        self.calls_at: list[float] = []
        self.extras_at: list[float] = []
        self._books: dict[int, _Books] = {}
        self._released: set[int] = set()
        """By their ids: a lease that was kept here would keep the right to probe that it may hold."""
        self._probing: dict[Probe, int] = {}
        self._closed: set[int] = set()
        self._kept: list[RouteMember] = []
        self._lists: dict[Route, _Listed] = {}
        self._last = 0.0
        self._reloaded_at = -1.0

    def blame(self, rule: str, what: str) -> None:
        """A rule was broken."""
        raise Broken(rule, what)

    # --- leases: every one is opened and released under our eyes ----------------------------------------------------

    @contextmanager
    def over_leases(self) -> Generator[None, None, None]:
        """Look at every lease while the block runs."""
        real_init, real_release = Lease.__init__, Lease.release
        watch = self

        def init(lease: Lease, stats: EndpointStats, started_at: float, size: float = 1.0) -> None:
            real_init(lease, stats, started_at, size)
            watch._released.discard(id(lease))
            watch._book(stats).leases.add(lease)

        def release(lease: Lease) -> None:
            if id(lease) in watch._released:
                watch.blame("a lease is released once", f"again: {lease.stats.figures()}")
            real_release(lease)
            watch._released.add(id(lease))
            watch._book(lease.stats).leases.discard(lease)

        Lease.__init__, Lease.release = init, release  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            Lease.__init__, Lease.release = real_init, real_release  # type: ignore[method-assign]

    def _book(self, stats: EndpointStats) -> _Books:
        # A probe has statistics of its own, and its leases are in the set of the endpoint.
        book = self._books.get(id(stats.open))
        if book is None:
            book = self._books[id(stats.open)] = _Books(stats)
        return book

    def reloads(self) -> None:
        """A reload begins."""
        self._reloaded_at = self.clock.monotonic()

    # --- what calls do ----------------------------------------------------------------------------------------------

    def began(self) -> None:
        """A call is about to begin."""
        self.calls_at.append(self.clock.monotonic())

    def _story(self, call: VirtualCall) -> _Story:
        story = self.stories.get(call)
        if story is None:
            story = self.stories[call] = _Story(len(self.calls_at), call.call.excluded)
        return story

    def effect(self, call: VirtualCall, effect: Effect) -> None:
        """The dispatch wants something done."""
        story, now = self._story(call), self.clock.monotonic()
        if story.is_over:
            self.blame("a call ends once", f"call {story.number} goes on after its end")
        if isinstance(effect, GoOn):
            return
        if not (isinstance(effect, Attempt) and effect.is_hedge):
            self._all_ended(story)
        waited, story.ticket = story.ticket, None
        if isinstance(effect, Attempt):
            self._attempt(call, story, effect, was_chosen_before=waited is not None)
        elif isinstance(effect, Wait):
            self.tell("call %d waits %.3f s", story.number, effect.seconds)
            # Paid for when it is decided. The pause after a renewal belongs to an attempt that is paid for already.
            if not story.is_renewed:
                self.extras_at.append(now)
            story.is_renewed = False
            if effect.seconds < 0 or now + effect.seconds >= call.call.deadline:
                self.blame("no pause beyond the deadline", f"call {story.number} waits {effect.seconds}")
            self._asked_for_time(story, effect)
        elif isinstance(effect, Queue):
            self.tell("call %d waits for a slot", story.number)
            story.ticket = cast("Ticket[SlotLease]", effect.ticket)
        else:
            self.tell("call %d has a credential renewed", story.number)
            self._renewal(call, story, effect)
            self.extras_at.append(now)
            story.is_renewed = True

    def _asked_for_time(self, story: _Story, wait: Wait) -> None:
        answer = None if story.last is None else story.answers.get(story.last.number)
        if answer is None or answer.outcome.status not in (429, 503):
            return
        asked = retry_after(answer.outcome.headers)
        if asked is not None and (wait.seconds < asked or asked > self.service.plan.calls.retry_after_max):
            self.blame("Retry-After is obeyed", f"call {story.number} was asked for {asked} s, waits {wait.seconds} s")

    def _renewal(self, call: VirtualCall, story: _Story, effect: Reauthenticate) -> None:
        story.renewals += 1
        if story.renewals > 1:
            self.blame("one renewal for each call", f"call {story.number} asks again")
        if effect.timeout > max(0.0, call.call.deadline - self.clock.monotonic()) + _DUST:
            self.blame("nothing goes on after the deadline", f"call {story.number} waits for a credential")
        # The endpoint has done nothing wrong.
        assert call.call.attempt is not None
        story.tried.discard(call.call.attempt.member.endpoint.id)

    def _attempt(self, call: VirtualCall, story: _Story, attempt: Attempt, *, was_chosen_before: bool) -> None:
        number, who, now = story.number, attempt.member.endpoint.id, self.clock.monotonic()
        member, wanted, route = attempt.member, call.call, attempt.lane.route
        self.tell("call %d, attempt %d: %s", number, attempt.number, who)
        self.attempts += 1
        story.attempts += 1
        if attempt.number != story.attempts:
            self.blame("attempts are counted", f"call {number}: {attempt.number} is number {story.attempts}")
        if attempt.number > self.service.plan.calls.attempts:
            self.blame("no more attempts than allowed", f"call {number} makes attempt {attempt.number}")
        left = wanted.deadline - now
        if left <= 0:
            self.blame("nothing starts after the deadline", f"call {number} is {-left:.3f} s late")
        limits = attempt.timeouts
        if not 0 < limits.total <= left + _DUST or limits.connect > limits.total:
            self.blame("no limit beyond the deadline", f"call {number}: {limits} with {left:.3f} s left")
        if story.may_have_run and not wanted.may_repeat:
            self.blame("what may have run is not repeated", f"call {number} goes to {who} too")
        if story.was_touched and not wanted.request.is_replayable:
            self.blame("a stream is sent once", f"call {number} goes to {who} too")
        if who in wanted.excluded:
            self.blame("the caller's exclusions hold", f"call {number} goes to {who}")
        if id(attempt.lane) in self._closed:
            self.blame("nobody uses closed connections", f"call {number} goes to {who}, whose connections were closed")
        if was_chosen_before:
            # By whoever gave the slot back; a list may have come between that and this.
            story.tried.add(who)
        else:
            self._another_one(story, who, wanted.excluded)
            self._may_get_calls(story, member, route)
        if isinstance(member.load, ProbeStats) and member.load.probe is not None:
            self._probing[member.load.probe] = self._probing.get(member.load.probe, 0) + 1
        if attempt.is_hedge:
            self.extras_at.append(now)
        book = self._book(member.load)
        book.started += 1
        book.under_way += 1
        if attempt.lease not in book.leases:
            self.blame("every attempt has a lease", f"call {number} at {who}")
        story.under_way.append(attempt)
        story.leases.append(attempt.lease)

    def _another_one(self, story: _Story, who: str, excluded: frozenset[str]) -> None:
        if who in story.tried:
            untried = self.eligible() - story.tried - excluded
            if untried:
                text = f"call {story.number} goes to {who} again, before {', '.join(sorted(untried))}"
                self.blame("another endpoint each time", text)
            story.tried = set()
        story.tried.add(who)

    def _may_get_calls(self, story: _Story, member: RouteMember, route: Route) -> None:
        who = member.endpoint.id
        if route not in self.service.routing.routes or not route.weight:
            self.blame("a route that drains gets no calls", f"call {story.number} goes to {who} of {route.name}")
        listed = route.pool._members.get(who)
        if listed is None or not listed.weight or listed.endpoint.host != member.endpoint.host:
            self.blame("only who is listed gets calls", f"call {story.number} goes to {who}")
        health = route.pool._health
        if health is not None and who in health.out and not isinstance(member.load, ProbeStats):
            self.blame("who is ejected gets no calls", f"call {story.number} goes to {who}")

    def eligible(self) -> set[str]:
        """Who may get a call now."""
        return {
            who
            for route in self.service.routing.routes
            if route.weight
            for who, member in route.pool._members.items()
            if member.weight and (route.pool._health is None or who not in route.pool._health.out)
        }

    def answers(self, attempt: Attempt, answer: Answer) -> None:
        """What will come of an attempt that has just begun."""
        story = next(story for story in self.stories.values() if attempt in story.under_way)
        story.answers[attempt.number] = answer

    def outcome(self, call: VirtualCall, attempt: Attempt) -> None:
        """The dispatch is about to see how an attempt ended."""
        self._attempt_ended(self._story(call), attempt)

    def _all_ended(self, story: _Story) -> None:
        for attempt in tuple(story.under_way):
            self._attempt_ended(story, attempt)

    def _attempt_ended(self, story: _Story, attempt: Attempt) -> None:
        story.under_way.remove(attempt)
        story.last = attempt
        self._book(attempt.member.load).under_way -= 1
        answer = story.answers.get(attempt.number)
        if answer is None:
            return
        outcome = answer.outcome
        story.was_touched |= outcome.phase is not Phase.CONNECT
        # Refused before it could run: no connection, or an answer that says so.
        was_refused = outcome.phase is Phase.CONNECT or outcome.status in (429, 401)
        # A time limit is not the far side's word, so the network's own answer may be better than what the client saw.
        story.may_have_run |= not was_refused or answer.seconds > attempt.timeouts.total

    def replied(self, call: VirtualCall) -> None:
        """A call has its answer. The body of a stream goes on."""
        self._all_ended(self._story(call))

    def ended(self, call: VirtualCall) -> None:
        """A call is over."""
        story, now, error = self._story(call), self.clock.monotonic(), call.error
        if story.is_over:
            self.blame("a call ends once", f"call {story.number} ends again")
        story.is_over = True
        self._all_ended(story)
        kept = sum(id(lease) not in self._released for lease in story.leases)
        if kept:
            self.blame("a call that is over holds no lease", f"call {story.number} holds {kept}")
        how = "cancelled" if call.is_cancelled else "ok" if error is None else type(error).__name__
        if call.reply is not None and not call.is_cancelled:
            how = str(call.reply.status)
            if call.reply.attempts != story.attempts:
                self.blame("attempts are counted", f"call {story.number} tells {call.reply.attempts}")
        self.ends[how] += 1
        self.tell("call %d ends: %s", story.number, how)
        if isinstance(error, AttemptsError) and len(error.attempts) != story.attempts:
            self.blame("attempts are counted", f"call {story.number} tells of {len(error.attempts)}")
        if isinstance(error, NoEndpointError):
            missed = self.eligible() - call.call.excluded
            if missed:
                self.blame("a call finds who is there", f"call {story.number} did not find {sorted(missed)}")
        answered = call.answered_at
        if answered is not None and answered > call.call.deadline + self.lateness + _DUST:
            self.blame("a call ends by its deadline", f"call {story.number}: {now - call.call.deadline:.3f} s late")
        del self.stories[call]

    def closed(self, member: RouteMember) -> None:
        """The connections to an endpoint are closed."""
        self.tell("%s has left, its connections are closed", member.endpoint.id)
        if member.load.open:
            self.blame("open calls keep their connections", f"{member.endpoint.id} has {member.load.open_calls}")
        self._closed.add(id(member.lane))
        self._kept.append(member)  # or another lane might get the same id

    # --- after every step -------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Whatever has happened: this holds."""
        now = self.clock.monotonic()
        if now < self._last:
            self.blame("time does not go back", f"{now} after {self._last}")
        self._last = now
        if self.is_closed:
            return
        for book in self._books.values():
            self._balance(book)
        self._slots()
        for route in self.service.routing.routes:
            self._floor(route)
            self._probes(route)
            self._list(route, now)

    def _balance(self, book: _Books) -> None:
        stats = book.stats._real if isinstance(book.stats, ProbeStats) else book.stats
        if stats.open != book.leases:
            self.blame("open calls are the leases that are out", f"{len(stats.open)} and {len(book.leases)}")
        ended = stats._attempts + stats._cancelled
        if ended + book.under_way != book.started:
            text = f"{book.started} began, {book.under_way} are under way, and {ended} are counted"
            self.blame("every attempt is counted once", text)
        if min(stats._attempts, stats._errors, stats._refusals, stats._not_good, stats._cancelled) < 0:
            self.blame("no count is negative", repr(stats.figures()))
        if stats._seconds < 0 or stats._not_good > stats._attempts:
            self.blame("counts make sense", repr(stats.figures()))

    def _floor(self, route: Route) -> None:
        health = route.pool._health
        if health is None:
            return
        may = {who for who, member in route.pool._members.items() if member.weight}
        share = self.service.plan.calls.ejection.max_share
        most = min(math.floor(share * len(may) + 1e-9), len(may) - 1)
        if not health.out <= may or len(health.out) > max(0, most):
            self.blame("the floor of ejection", f"{sorted(health.out)} of {sorted(may)} are out, {most} may be")
        if route.pool.size != len(may) or not 0 <= route.pool.healthy <= len(may):
            self.blame("the pool knows its size", f"{route.pool.healthy} of {route.pool.size}, really {len(may)}")

    def _probes(self, route: Route) -> None:
        health = route.pool._health
        if health is None or not health._ill:
            return
        for who, ill in health._ill.items():
            probe = ill.probe
            if probe is None:
                continue
            held = sum(
                isinstance(attempt.member.load, ProbeStats) and attempt.member.load.probe is probe
                for story in self.stories.values()
                for attempt in story.under_way
            )
            waits = sum(each is probe for each in health.due)
            held += sum(
                slot is not None and isinstance(slot.member.load, ProbeStats) and slot.member.load.probe is probe
                for slot in (None if story.ticket is None else story.ticket.slot for story in self.stories.values())
            )
            if held + waits != 1:
                self.blame("one probe at a time", f"{who} has {waits} waiting and {held} under way")

    def _slots(self) -> None:
        """Nobody has more than its slots, and no slot is idle while a call waits that could use it."""
        gate, settings = self.service.dispatcher.gate, self.service.plan.calls.slots
        if gate is None or settings is None:
            return
        used = Counter(
            lease.endpoint_id for book in self._books.values() for lease in book.leases if isinstance(lease, SlotLease)
        )
        for who, many in used.items():
            if not settings.adaptive and many > settings.per_endpoint:
                self.blame("nobody has more than its slots", f"{who} has {many}")
            if many != gate.slots.used_of(who):
                self.blame("a slot is a lease", f"{who} has {many} leases and {gate.slots.used_of(who)} slots")
        waiting = [story for story in self.stories.values() if story.ticket is not None and story.ticket.end is None]
        if len(waiting) > settings.queue:
            self.blame("the queue has its length", f"{len(waiting)} calls wait")
        if not waiting:
            return
        free = {who for who in self.eligible() if used[who] < gate.slots.limit_of(who)}
        for story in waiting:
            could = free - story.tried - story.excluded
            if could:
                self.blame("no slot is idle while a call waits", f"call {story.number} could have {sorted(could)}")

    def _list(self, route: Route, now: float) -> None:
        lists = self.far.planes[getattr(route.provider, "url")].lists  # noqa: B009
        listed = self._lists.get(route)
        if listed is None:
            # A route that began with a reload knows nothing of what was told before.
            listed = self._lists[route] = _Listed()
            listed.seen = sum(told.told_at < self._reloaded_at for told in lists)
        belief = route.belief
        if belief is not listed.belief:
            listed.belief = belief
            self._changed(route, listed, belief)
        # What has arrived must be in use; if it only confirms that nobody is ready, a list that serves stays.
        while listed.seen < len(lists) and lists[listed.seen].arrives_at < now - _DUST:
            told = lists[listed.seen]
            listed.seen += 1
            if told.entries is not None and told.number > listed.number and not (told.keeps and listed.entries):
                self.blame("the last good list is in use", f"{route.name} has {listed.number}, {told.number} arrived")

    def _changed(self, route: Route, listed: _Listed, belief: Belief) -> None:
        members = frozenset(
            (who, member.endpoint.host, member.endpoint.weight) for who, member in route.pool._members.items()
        )
        if belief.snapshot is None:
            if members:
                self.blame("a list comes from discovery", f"{route.name} has {sorted(members)}")
            return
        number = int(belief.snapshot.version or 0)
        lists = self.far.planes[getattr(route.provider, "url")].lists  # noqa: B009
        told = next((each for each in lists if each.number == number), None)
        if told is None or told.entries is None:
            self.blame("a list comes from discovery", f"{route.name} believes {number}, which is none")
        elif told.entries != members:
            text = f"{route.name} uses {sorted(map(str, members))}, list {number} says {sorted(map(str, told.entries))}"
            self.blame("the list is what discovery said", text)
        elif number < listed.number:
            self.blame("no older list after a newer one", f"{route.name} has {number} after {listed.number}")
        else:
            if number != listed.number:
                self.tell("%s has list %d: %s", route.name, number, sorted(who for who, _, _ in members))
            listed.number, listed.entries = number, members

    # --- at the end -------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """All calls have had their time and the service is closed: nothing may be left."""
        service = self.service
        if self.stories:
            numbers = sorted(story.number for story in self.stories.values())
            self.blame("a call ends once", f"calls {numbers} never ended")
        for book in self._books.values():
            self._balance(book)
            if book.leases or book.under_way:
                self.blame("nothing is left", f"{len(book.leases)} leases are out")
        if service.pollers.running or service.hub.pollers:
            self.blame("nothing is left", f"{service.pollers.running} pollers run")
        gate = service.dispatcher.gate
        if gate is not None and (gate.view().waiting or gate.view().used):
            self.blame("nothing is left", repr(gate.slots))
        self._budget()
        self._limit()

    def _budget(self) -> None:
        """In every window the extra attempts stay below what the calls have earned, and the reserve."""
        budget = self.service.plan.calls.retry_budget
        extras, calls = self.extras_at, self.calls_at
        for first in range(len(extras)):
            start = extras[first]
            # Calls of before have faded, each at the least as the mean over the time since. (It is counted when
            # something is asked for, as if spread over the time since the last question.)
            before = sum(_faded((start - at) / budget.window) for at in calls if at <= start)
            came_before = bisect_right(calls, start)
            for last in range(first, len(extras)):
                end = extras[last]
                came = bisect_right(calls, end) - came_before
                allowed = budget.share * (before + came) + budget.minimum + budget.per_second * (end - start)
                if last - first + 1 > allowed + 1e-6:
                    text = f"{last - first + 1} extra attempts from {start:.3f} to {end:.3f}, {allowed:.2f} allowed"
                    self.blame("the retry budget", text)

    def _limit(self) -> None:
        """The control plane is never asked more often than it allows, counted when the questions arrive."""
        limit = self.course.budget
        if limit is None:
            return
        arrivals = sorted(self.far.arrivals)
        for early, late in zip(arrivals, arrivals[limit:], strict=False):
            if late - early < LIMIT_WINDOW - _DUST:
                self.blame("the limit of the control plane", f"{limit + 1} questions in {late - early:.3f} s")


def _faded(windows: float) -> float:
    return (1.0 - math.exp(-windows)) / windows if windows > 1e-9 else 1.0
