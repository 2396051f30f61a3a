"""The demo without its looks: real traffic through a real client while the story happens.

Some threads call each service without pause through one `Client`, another lets the story happen, and whoever asks
gets a `Frame`: everything there is to show at one moment.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ..client import Client, Service
from ..dispatch.route import RouteMember
from ..errors import DirectlaneError
from .clouds import Cloud, think
from .demo_figures import Tally, summed
from .demo_story import Story
from .options import BadInput
from .output import name_of

__all__ = ["THINK_SECONDS", "Demo", "Event", "Frame", "Row", "ServiceFrame"]

THINK_SECONDS = 0.005
"""How long an emulated instance needs for an answer."""

_WORKERS = 4
_PAUSE = 0.002
_RECENT = 1.0
_SLICES = 48
"""Into so many parts is the time cut for the curve of requests per second."""
_TOLD_FAILURES = 3
"""Of each worker: a demo that goes wrong must not drown in its own events."""
_BODY = b'[{"money_credit": 3000000}]'


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Args:
        at: Seconds since the demo began.
        kind: `start`, `kill`, `cloud`, `break`, `mend`, or `client` for what the client itself says.
        text: One line.
    """

    at: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One endpoint.

    Args:
        id: Its id.
        name: Its address.
        state: `ready`, `draining`, `killed` (dead and still listed) or `gone` (not listed any more).
        calls: Calls that it has answered.
        recent_share: Its share of the calls of its service in the last second, 0 to 1.
        mean_ms: Mean time of an attempt; None before the first.
        errors: Attempts that failed on the wire.
    """

    id: str
    name: str
    state: str
    calls: int
    recent_share: float
    mean_ms: float | None
    errors: int


@dataclass(frozen=True, slots=True)
class ServiceFrame:
    """One service.

    Args:
        name: Its name in the configuration.
        title: Its cloud.
        rows: Its endpoints, in the order in which they became known.
        tally: Its calls.
        discovery_failures: Questions to its control plane that had no usable answer.
        is_discovery_broken: Whether the last one had none.
        list_age: Seconds since its list was confirmed.
    """

    name: str
    title: str
    rows: Sequence[Row]
    tally: Tally
    discovery_failures: int
    is_discovery_broken: bool
    list_age: float | None


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything there is to show at one moment.

    Args:
        elapsed: Seconds since the demo began.
        seconds: Its length.
        services: The services.
        total: All calls.
        rate: Calls per second, in the last second.
        rates: Calls per second in each slice of time so far, and how many slices there will be.
        events: What happened.
    """

    elapsed: float
    seconds: float
    services: Sequence[ServiceFrame]
    total: Tally
    rate: float
    rates: Sequence[float]
    slices: int
    events: Sequence[Event]

    @property
    def discovery_failures(self) -> int:
        """Of all services."""
        return sum(service.discovery_failures for service in self.services)


class Demo:
    """One demo.

    Mutable state: the tallies, each written by its worker; the events, appended by any thread; and what `frame`
    remembers from one call to the next (`_members`, `_samples`, `_counts`), which is the display's thread's own.

    Args:
        client: A client of the configuration that reaches the clouds.
        clouds: The running clouds.
        seconds: How long it takes.
    """

    def __init__(self, client: Client, clouds: Sequence[Cloud], seconds: float) -> None:
        self.seconds = seconds
        self._clouds = clouds
        self._services = {cloud.service: client.service(cloud.service) for cloud in clouds}
        self._tallies = {name: [Tally() for _ in range(_WORKERS)] for name in self._services}
        self._events: list[Event] = []
        self._members: dict[str, dict[str, RouteMember]] = {name: {} for name in self._services}
        self._samples: deque[tuple[float, dict[str, Tally]]] = deque()
        self._counts: list[float] = []
        self._last_count = (0.0, 0)
        self._over = threading.Event()
        self._began_at = time.monotonic()
        self._story = Story(clouds, seconds, THINK_SECONDS, self.tell)

    def tell(self, kind: str, text: str) -> None:
        """Note an event. From any thread."""
        self._events.append(Event(self._now(), kind, text))

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return self._now() >= self.seconds

    def wait(self, seconds: float) -> None:
        """Wait, but not beyond the end of the demo."""
        self._over.wait(max(0.0, min(seconds, self.seconds - self._now())))

    @contextmanager
    def running(self) -> Generator[None, None, None]:
        """Traffic and story go on inside."""
        for cloud in self._clouds:
            for instance in cloud.emulator.instances:
                think(instance, THINK_SECONDS)
        for name, service in self._services.items():
            if not service.wait_ready():
                problems = [str(route.belief.error or "no answer") for route in service.routes]
                raise BadInput(
                    f"discovery of {name} does not work on this machine: {'; '.join(problems)}\n"
                    "Next: see whether something stands between this machine and its own 127.0.0.1."
                )
        self._began_at = time.monotonic()
        count = sum(len(cloud.emulator.instances) for cloud in self._clouds)
        self.tell("start", f"{count} instances in {len(self._clouds)} clouds, {_WORKERS} callers for each service")
        threads = [
            threading.Thread(target=self._call, args=(self._services[name], tally), name=f"demo-{name}")
            for name, tallies in self._tallies.items()
            for tally in tallies
        ]
        threads.append(threading.Thread(target=self._story.run, args=(self._now, self._over), name="demo-story"))
        for thread in threads:
            thread.start()
        try:
            with self._listening():
                yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _now(self) -> float:
        return time.monotonic() - self._began_at

    def _call(self, service: Service, tally: Tally) -> None:
        while not self._over.wait(_PAUSE):
            began_at = time.perf_counter()
            try:
                reply = service.send(_BODY)
            except DirectlaneError as error:
                self._failed(tally, f"a call to {service.name} FAILED: {str(error).splitlines()[0]}")
            else:
                if reply.ok and reply.endpoint is not None:
                    tally.answers[reply.endpoint.id] += 1
                    tally.latencies.add((time.perf_counter() - began_at) * 1000)
                else:
                    self._failed(tally, f"a call to {service.name} FAILED: status {reply.status}")
                tally.retried += reply.attempts > 1
            tally.requests += 1

    def _failed(self, tally: Tally, text: str) -> None:
        tally.failed += 1
        if tally.failed <= _TOLD_FAILURES:
            self.tell("kill", text)

    @contextmanager
    def _listening(self) -> Generator[None, None, None]:
        """What directlane logs becomes an event; nothing else must write into the display."""
        logger = logging.getLogger("directlane")
        handler = _ToEvents(self)
        level, propagates = logger.level, logger.propagate
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagates

    # --- to show ------------------------------------------------------------------------------------------------------

    def frame(self) -> Frame:
        """Everything as it is now. From one thread only."""
        now = min(self._now(), self.seconds)
        tallies = {name: summed(parts) for name, parts in self._tallies.items()}
        total = summed(tallies.values())
        self._samples.append((now, tallies))
        while len(self._samples) > 2 and self._samples[1][0] <= now - _RECENT:
            self._samples.popleft()
        then, before = self._samples[0]
        span = max(now - then, 1e-3)
        return Frame(
            now,
            self.seconds,
            [self._service_frame(cloud, tallies[cloud.service], before[cloud.service]) for cloud in self._clouds],
            total,
            (total.requests - sum(tally.requests for tally in before.values())) / span,
            self._rates(now, total.requests),
            _SLICES,
            tuple(self._events),
        )

    def _service_frame(self, cloud: Cloud, tally: Tally, before: Tally) -> ServiceFrame:
        routes = self._services[cloud.service].routes
        # Members are kept when they have left: their figures stay readable.
        members = self._members[cloud.service]
        listed: set[str] = set()
        for route in routes:
            for member in route.pool.members():
                members[member.endpoint.id] = member
                if not route.pool.is_leaving(member):
                    listed.add(member.endpoint.id)
        recent = Counter(tally.answers)
        recent.subtract(before.answers)
        sum_of_recent = max(1, recent.total())
        ages = [age for route in routes if (age := route.list_age()) is not None]
        return ServiceFrame(
            cloud.service,
            cloud.title,
            [
                self._row(member, tally, recent[id] / sum_of_recent, is_listed=id in listed)
                for id, member in members.items()  # noqa: A001
            ],
            tally,
            sum(route.belief.failures for route in routes),
            any(route.belief.error is not None for route in routes),
            max(ages, default=None),
        )

    def _row(self, member: RouteMember, tally: Tally, recent_share: float, *, is_listed: bool) -> Row:
        endpoint = member.endpoint
        state = member.lane.route.pool.standing(member).state
        if endpoint.authority in self._story.killed and state not in ("ejected", "probing"):
            state = "killed"
        if not is_listed:
            state = "gone"
        figures = member.load.figures()
        mean = figures.mean_seconds
        return Row(
            endpoint.id,
            name_of(endpoint),
            state,
            tally.answers[endpoint.id],
            recent_share,
            None if mean is None else mean * 1000,
            figures.errors,
        )

    def _rates(self, now: float, requests: int) -> list[float]:
        """Calls per second in each slice of time that is over. What was not looked at just then is interpolated."""
        width = self.seconds / _SLICES
        then, before = self._last_count
        while (edge := (len(self._counts) + 1) * width) <= now + 1e-9:
            self._counts.append(before + (requests - before) * min(1.0, (edge - then) / max(now - then, 1e-9)))
        self._last_count = (now, requests)
        return [(count - (self._counts[place - 1] if place else 0)) / width for place, count in enumerate(self._counts)]


class _ToEvents(logging.Handler):
    def __init__(self, demo: Demo) -> None:
        super().__init__(logging.INFO)
        self._demo = demo

    def emit(self, record: logging.LogRecord) -> None:
        self._demo.tell("client", record.getMessage())
