"""One run: a service, callers, trouble, and the watch over them."""

from __future__ import annotations

import gc
import logging
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from directlane import CallSettings, Request, RoutePlan, ServicePlan
from directlane.core.dispatch.call import NOBODY, Call, Effect, Wait
from directlane.core.message import Content
from directlane.core.simulation.engine import VirtualCall, VirtualService
from directlane.core.simulation.events import Events
from directlane.core.timers import Cancel
from directlane.core.transports.memory_transport import MemoryTransport

from .far_side import ChaosProvider, FarSide
from .settings import Course, Size
from .watch import Broken, Watch

__all__ = ["Failure", "Figures", "run"]

_LATE = 0.03
_VERY_LATE = 1.0
"""Seconds by which a timer rings late at most, if it is late: mostly a little, now and then as on a machine that is
drowning."""
_STORY = 60
"""Lines of the story that are kept."""
_MOST_STEPS = 200_000
"""A run that does not end by itself is a failure."""


@dataclass
class Figures:
    """What happened in one run or many."""

    runs: int = 0
    steps: int = 0
    calls: int = 0
    attempts: int = 0
    seconds: float = 0.0
    ends: Counter[str] = field(default_factory=Counter[str])
    faults: Counter[str] = field(default_factory=Counter[str])

    def add(self, other: Figures) -> None:
        """Count another run too."""
        self.runs += other.runs
        self.steps += other.steps
        self.calls += other.calls
        self.attempts += other.attempts
        self.seconds += other.seconds
        self.ends.update(other.ends)
        self.faults.update(other.faults)


class Failure(AssertionError):
    """A seed has broken an invariant. Its text says how to see it again, and tells the story.

    Args:
        course: Which run.
        rule: Which invariant.
        text: How it was broken.
        story: What came before.
    """

    def __init__(self, course: Course, rule: str, text: str, story: list[str]) -> None:
        self.course = course
        self.rule = rule
        self.story = story
        lines = "\n  ".join(story)
        super().__init__(f"{text}\n  {lines}\nSee it again: {command(course)}")


def command(course: Course) -> str:
    """The command that shows a run again."""
    plain = Size()
    size = f" --calls {course.size.calls}" if course.size.calls != plain.calls else ""
    size += f" --seconds {course.size.seconds:g}" if course.size.seconds != plain.seconds else ""
    without = f" --without '{','.join(sorted(course.without))}'" if course.without else ""
    return f"PYTHONPATH=src:tests/support python -m chaos --seed {course.seed}{size}{without}"


def run(course: Course) -> Figures:
    """Run one seed.

    Raises:
        Failure: An invariant does not hold, or the engine raised what it must not.
    """
    return _Run(course).run()


class _Clock:
    """Monotonic time of the events, and a wall clock that jumps."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self.skew = 0.0

    def monotonic(self) -> float:
        return self._events.now

    def unix(self) -> float:
        return self._events.now + 1_700_000_000 + self.skew


class _LateTimers:
    """Timers that ring late, and that do nothing at once."""

    def __init__(self, events: Events, lateness: Callable[[], float]) -> None:
        self._events = events
        self._lateness = lateness

    def call_at(self, when: float, action: Callable[[], None]) -> Cancel:
        return self._events.call_at(when + self._lateness(), action)

    def call_soon(self, action: Callable[[], None]) -> None:
        self._events.call_soon(action)


class _Run:
    def __init__(self, course: Course) -> None:
        self.course = course
        self.events = Events()
        self.lines: deque[tuple[float, str, tuple[object, ...]]] = deque(maxlen=_STORY)
        self.clock = _Clock(self.events)
        self.chance = Random(f"{course.seed} trouble")
        self.is_healed = False
        late = _VERY_LATE if course.has("late") else 0.0
        self.watch = Watch(course, self.clock, self.tell, late)
        self.far = FarSide(course, self.events, self.tell, self.watch.blame)
        self.counts = self.far.counts
        self.is_reloading = False
        self.steps = 0
        self.end_at = 0.0
        routes = [
            self._route(place, weight, tier)
            for place, (weight, tier) in enumerate(zip(course.route_weights, course.tiers, strict=True))
        ]
        plan = ServicePlan(
            "svc", tuple(routes), course.balancer, MemoryTransport(servers={}), course.discovery, course.calls
        )
        self.service = VirtualService(
            plan,
            self.events,
            self.far,
            self.far,
            Random(f"{course.seed} client"),
            clock=self.clock,
            timers=_LateTimers(self.events, self.lateness),
            lateness=self.lateness,
            gives_up=self.gives_up,
            on_effect=self.on_effect,
            on_outcome=self.watch.outcome,
            on_reply=self.watch.replied,
            on_end=self.watch.ended,
            on_close=self.watch.closed,
        )
        self.watch.service, self.watch.far = self.service, self.far
        self.far.on_answer = self.watch.answers

    def tell(self, text: str, *facts: object) -> None:
        self.lines.append((self.events.now, text, facts))

    def _route(self, place: int, weight: int, tier: int) -> RoutePlan:
        course = self.course
        url = self.far.add_plane(place, 2)
        provider = ChaosProvider(url=url, empty=course.empty, limit=course.budget, is_signed=course.is_signed)
        return RoutePlan(f"route {place}", provider, weight, tier)

    # --- trouble between the engine and the far side ----------------------------------------------------------------

    def lateness(self) -> float:
        if not self.course.has("late") or self.chance.random() < 0.5:
            return 0.0
        self.counts["late"] += 1
        return self.chance.random() * (_VERY_LATE if self.chance.random() < 0.2 else _LATE)

    def gives_up(self) -> bool:
        gives_up = self.course.has("give up") and not self.is_healed and self.chance.random() < 0.1
        self.counts["give up"] += gives_up
        return gives_up

    def on_effect(self, call: VirtualCall, effect: Effect) -> None:
        self.watch.effect(call, effect)
        if not self.course.has("cancel") or self.is_healed:
            return
        # At the very moment, so that no other event comes between; or at some moment of what follows.
        dice = self.chance.random()
        if dice < (0.1 if isinstance(effect, Wait) else 0.03):
            self._cancel(call)
        elif dice < 0.15:
            self.events.at(self.events.now + self.chance.choice((0.0, 0.01, 0.3)), self._cancel, call)

    def _cancel(self, call: VirtualCall) -> None:
        if not call.is_over:
            self.counts["cancel"] += 1
            self.tell("the caller gives up")
            call.cancel()

    def _jump(self) -> None:
        self.clock.skew = self.chance.uniform(-1e6, 1e6)
        self.counts["wall clock"] += 1

    def _reload(self) -> None:
        """Another configuration: other weights, one route fewer or back again."""
        if self.is_reloading:
            return
        course, plan = self.course, self.service.plan
        places = [place for place in range(len(course.tiers)) if self.chance.random() < 0.75] or [0]
        weights = [self.chance.choice((0, 1, 1, 3)) for _ in places]
        if not any(weights):
            weights[0] = 1
        routes = [
            self._route(place, weight, course.tiers[place]) for place, weight in zip(places, weights, strict=True)
        ]
        calls: CallSettings = plan.calls
        self.tell("a reload: %s", ", ".join(f"{route.name} weight {route.weight}" for route in routes))
        self.counts["reload"] += 1
        self.is_reloading = True
        self.watch.reloads()
        # A question of a route that ends is under way for nobody: its control plane may be asked by another one.
        for plane in self.far.planes.values():
            plane.busy_until = -1.0
        self.service.reload(replace(plan, routes=tuple(routes), calls=calls))
        self.events.at(self.events.now + 0.6, self._reloaded)

    def _reloaded(self) -> None:
        self.is_reloading = False
        self.service.reap()

    # --- the callers ------------------------------------------------------------------------------------------------

    def _plan(self) -> None:
        """Everything that comes from outside."""
        course, events = self.course, self.events
        callers = Random(f"{course.seed} callers")
        seconds = course.size.seconds
        at = 0.0
        # Calls come in clumps: many at one moment, then few.
        for _ in range(course.size.calls):
            at += callers.expovariate(course.size.calls / seconds) if callers.random() < 0.5 else 0.0
            events.at(at, self._call, callers)
        self.end_at = max(at, seconds / 2)
        trouble = self.chance
        for fault, every, action in (
            ("members", 4.0, self.far.change_members),
            ("reused address", 6.0, self.far.change_members),
            ("wall clock", 5.0, self._jump),
            ("reload", 8.0, self._reload),
        ):
            moment = trouble.expovariate(1 / every)
            while course.has(fault) and moment < self.end_at:
                events.at(moment, action)
                moment += trouble.expovariate(1 / every)

    def _call(self, callers: Random) -> None:
        course, now = self.course, self.events.now
        # Without keys at the end: few keys may all belong to one route, and then nobody looks at the others.
        is_keyed = callers.random() < course.keyed and not self.is_healed
        key = str(callers.randrange(5)).encode() if is_keyed else None
        content: Content = iter((b"a", b"b")) if callers.random() < course.once_only else b"body"
        excluded = NOBODY
        if callers.random() < course.choosy:
            excluded = frozenset(sorted(self.watch.eligible())[:1])
        call = Call(
            Request("POST", "/x", (("a", "b"),) if callers.random() < 0.3 else (), content),
            now,
            now + (30.0 if self.is_healed else callers.choice(course.timeouts)),
            callers.random() < course.repeatable,
            key=key,
            excluded=excluded,
            is_streamed=callers.random() < course.streamed,
            size=callers.choice((1.0, 1.0, 3.0)),
        )
        self.watch.began()
        self.service.call(call)

    # --- the run ----------------------------------------------------------------------------------------------------

    def run(self) -> Figures:
        was_enabled = gc.isenabled()
        # Garbage must not be collected by chance: what it ends would happen at another moment each time.
        gc.disable()
        log = logging.getLogger("directlane")
        level = log.level
        log.setLevel(logging.CRITICAL + 1)
        try:
            with self.watch.over_leases():
                self._go()
        except Broken as error:
            raise self._failure(error.rule, str(error)) from None
        except Exception as error:
            raise self._failure(type(error).__name__, f"the engine raised {error!r}") from error
        finally:
            log.setLevel(level)
            if was_enabled:
                gc.enable()
        watch = self.watch
        return Figures(
            1, self.steps, len(watch.calls_at), watch.attempts, self.events.now, watch.ends, Counter(self.counts)
        )

    def _go(self) -> None:
        self._plan()
        self._until(self.end_at)
        if self.course.heals:
            self._heal()
        # Every call has a deadline, and every stream an end.
        ends_at = self.events.now + 90.0
        while (self.watch.stories or self.is_reloading) and self.events.now < ends_at:
            self._until(self.events.now + 0.5)
        self.watch.is_closed = True
        self.service.close()
        self.service.reap()
        if self.events.timers:
            raise Broken("nothing is left", f"{self.events.timers} timers are set")
        self._until(self.events.now + 120.0)
        self.watch.finish()

    def _until(self, moment: float) -> None:
        events, look = self.events, self.watch.look
        while events.next_at <= moment:
            events.step()
            self.steps += 1
            look()
            if self.steps > _MOST_STEPS:
                raise Broken("a run ends", f"{self.steps} steps")
        events.run_until(moment)

    def _heal(self) -> None:
        """Everything is well, and calls come: after a while everybody is found well again."""
        self.is_healed = True
        self.far.heal()
        callers = Random(f"{self.course.seed} healed")
        events = self.events
        # Calls of before may hang until their deadline, and speak against somebody then.
        lasting = max(self.course.timeouts) + 15.0
        for number in range(60):
            events.at(events.now + number * lasting / 60, self._call, callers)
        self._until(events.now + lasting + 5.0)
        ill = [
            f"{view.endpoint.id} of {route.name} is {view.state}"
            for route in self.service.routing.routes
            if route.weight
            for view in route.views()
            if self.far.lives(view.endpoint.id, view.endpoint.host) and view.state in ("ejected", "probing", "failing")
        ]
        if ill:
            raise Broken("who is well again is found", "; ".join(ill))

    def _failure(self, rule: str, text: str) -> Failure:
        story = [f"{when:9.4f}  {line % facts if facts else line}" for when, line, facts in self.lines]
        story.append(f"{self.events.now:9.4f}  BROKEN: {text}")
        return Failure(self.course, rule, text, story)
