"""Many processes in virtual time: each has an event loop of its own, and may be killed, stopped, or cut off.

The decisions are the real ones, and so is the code around them; only sockets, threads and time are made up. To stop a
process between two moments, as SIGSTOP does, its loop must be driven by hand: that is why this looks inside asyncio.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import selectors
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar, cast

import httpx
from discovery_lab import Ask, quick
from sharing_store_lab import Server, ServerView

from directlane.core.discovery.alone import share_of
from directlane.core.discovery.asking import Asker
from directlane.core.discovery.belief import Belief
from directlane.core.discovery.link import StoreLink
from directlane.core.discovery.local import LocalRunner
from directlane.core.discovery.poller import Poller
from directlane.core.discovery.shared_polling import SharedPolling
from directlane.core.interfaces.discovery import RateBudget
from directlane.core.interfaces.store import StoreUnavailable

__all__ = ["USER", "Arrival", "Plane", "Process", "World", "most_in_a_window"]

T = TypeVar("T")

_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Never used: nothing is sent."""

USER = RateBudget("user", 10, 20.0)


class _NoSockets(selectors.SelectSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return []


class ProcessLoop(asyncio.SelectorEventLoop):
    """The event loop of one process, on the world's time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.failures: list[str] = []
        self.woken = 0
        """How many callbacks were run."""
        super().__init__(_NoSockets())
        self.set_exception_handler(lambda _, context: self.failures.append(str(context)))

    def time(self) -> float:
        return self._world.time

    def _write_to_self(self) -> None:
        """Nobody sleeps in a selector."""

    def step(self) -> None:
        """Run what is ready, once."""
        self.woken += len(self._ready)  # type: ignore[attr-defined]
        asyncio._set_running_loop(self)
        try:
            self._run_once()  # type: ignore[attr-defined]  # see the docstring of this file
        finally:
            asyncio._set_running_loop(None)

    @property
    def next_at(self) -> float:
        """When something is to be done; in the past if something is ready."""
        if self._ready:  # type: ignore[attr-defined]
            return -math.inf
        timers = cast("list[asyncio.TimerHandle]", self._scheduled)  # type: ignore[attr-defined]
        while timers and timers[0].cancelled():
            heapq.heappop(timers)._scheduled = False  # type: ignore[attr-defined]
            self._timer_cancelled_count -= 1  # type: ignore[attr-defined]
        return timers[0].when() if timers else math.inf


@dataclass(frozen=True, slots=True)
class Arrival:
    """A query at the control plane.

    Args:
        at: When it came.
        by: Who sent it.
        share: How many queries in one window its sender allowed itself; None if the store had let it go.
    """

    at: float
    by: Process
    share: RateBudget | None


@dataclass
class Plane:
    """A control plane that counts. Its list is one host, whose last numbers grow."""

    world: World
    budget: RateBudget = USER
    version: int = 1
    arrivals: list[Arrival] = field(default_factory=list[Arrival])
    refused: int = 0
    slow: float = 0.1
    """How likely a query hangs."""

    def change(self) -> None:
        self.version += 1

    def arrive(self, arrival: Arrival) -> httpx.Response:
        self.arrivals.append(arrival)
        recent = [one for one in self.arrivals[-4 * self.budget.limit :] if one.at > arrival.at - self.budget.window]
        if len(recent) > self.budget.limit:
            self.refused += 1
            return httpx.Response(429)
        return httpx.Response(200, json={"hosts": [f"10.0.{self.version // 250}.{self.version % 250 + 1}"]})


class _Wire(httpx.AsyncBaseTransport):
    def __init__(self, process: Process) -> None:
        self.process = process

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        process, world, chance = self.process, self.process.world, self.process.world.chance
        answer: asyncio.Future[httpx.Response] = asyncio.get_running_loop().create_future()
        if process.is_off_cloud:
            if chance.random() < 0.5:
                raise httpx.ConnectError("no route to host")
            return await answer
        hangs = chance.random() < world.plane.slow
        way_there, way_back = chance.uniform(0.001, 2.9 if hangs else 0.2), chance.uniform(0.001, 0.2)
        share = None if process.link.is_up else share_of(world.plane.budget, process.link.alone.attending)

        def arrived() -> None:
            response = world.plane.arrive(Arrival(world.time, process, share))
            if not hangs:
                world.at(world.time + way_back, lambda: told(response))

        def told(response: httpx.Response) -> None:
            if not answer.done() and not process.is_dead:
                answer.set_result(response)

        # It travels on, whatever becomes of who sent it.
        world.at(world.time + way_there, arrived)
        return await answer


class _Worker:
    """Asks the store as a thread would: one thing after the other; it takes a moment, and the answer may be lost."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._free_at = 0.0

    async def run(self, work: Callable[[], T], limit: float) -> T:
        process, world, chance = self._process, self._process.world, self._process.world.chance
        began = world.time
        seconds = chance.uniform(0.0, 0.02) if not world.store_delay else chance.uniform(0.0, world.store_delay)
        self._free_at = max(self._free_at, began) + seconds
        in_line = self._free_at - seconds - began
        if in_line >= limit:
            self._free_at -= seconds
            await asyncio.sleep(limit)
            raise TimeoutError
        await asyncio.sleep(in_line + seconds / 2)
        if process.is_cut_off or world.is_store_down:
            if chance.random() < 0.3:
                self._free_at = max(self._free_at, began + limit)
                await asyncio.sleep(limit - in_line)
                raise TimeoutError
            raise StoreUnavailable("gone")
        result = work()
        if in_line + seconds > limit:
            await asyncio.sleep(limit - in_line - seconds / 2)
            raise TimeoutError
        await asyncio.sleep(seconds / 2)
        return result

    def close(self) -> None:
        pass


class Process:
    """One process with some pollers."""

    def __init__(self, world: World, questions: Sequence[str], interval: float) -> None:
        self.world = world
        self.loop = ProcessLoop(world)
        self.is_stopped = False
        self.is_dead = False
        self.is_cut_off = False
        self.is_off_cloud = False
        self.began_at = world.time
        self.seen: dict[str, list[int]] = {name: [] for name in questions}
        self.view = ServerView(world.server)
        self.link = StoreLink(self.view, world, world.chance, hold=5.0, worker=_Worker(self))
        self.pollers: dict[str, Poller] = {}
        self.sharings: dict[str, SharedPolling] = {}
        self._begin(self.link.run())
        for name in questions:
            ask = Ask("http://plane", name, (world.plane.budget,))
            poller = Poller(name, ask, quick(interval=interval, timeout=3.0), world, world.chance)
            poller.link = self.link
            poller.add_listener(self._listener(name))
            self.pollers[name] = poller
            sharing = SharedPolling(poller, self.link, f"question/{name}", None, world.chance)
            self.sharings[name] = sharing
            asker = Asker(ask.identity, _TLS, sharing.keeper, LocalRunner(), 3.0)
            asker._usual = _Wire(self)  # type: ignore[assignment]
            self._begin(sharing.run(asker))

    def _begin(self, work: object) -> None:
        asyncio._set_running_loop(self.loop)
        try:
            self.loop.create_task(work)  # type: ignore[arg-type]
        finally:
            asyncio._set_running_loop(None)

    def _listener(self, name: str) -> Callable[[Belief], None]:
        def listen(belief: Belief) -> None:
            _, _, high, low = belief.endpoints[0].host.split(".")
            self.seen[name].append(int(high) * 250 + int(low) - 1)

        return listen

    def version(self, name: str) -> int:
        """What this process believes."""
        return self.seen[name][-1] if self.seen[name] else 0

    @property
    def is_up_to_date(self) -> bool:
        """Whether it knows the newest list of each question."""
        return all(self.version(name) == self.world.plane.version for name in self.seen)

    def leads(self, name: str) -> bool:
        """Whether it is the one who asks, as it knows."""
        return self.sharings[name].question.lease is not None

    def end(self) -> None:
        """Take everything down, without a word to anybody."""
        self.is_cut_off = True
        asyncio._set_running_loop(self.loop)
        try:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
        finally:
            asyncio._set_running_loop(None)
        for _ in range(200):
            if not asyncio.all_tasks(self.loop):
                break
            self.loop.step()
            self.world.time += 0.1
        self.loop.close()


class World:
    """All processes, the store and the control plane, on one time. Also a clock for all of them."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.time = 1000.0
        self.server = Server(self)
        self._is_store_down = False
        self.store_back_at = -math.inf
        """When the store answered again after it had been down."""
        self.store_delay = 0.0
        """Seconds that one answer of the store may take; 0 for a usual one."""
        self.plane = Plane(self)
        self.processes: list[Process] = []
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._number = 0

    @property
    def is_store_down(self) -> bool:
        return self._is_store_down

    @is_store_down.setter
    def is_store_down(self, is_down: bool) -> None:
        if self._is_store_down and not is_down:
            self.store_back_at = self.time
        self._is_store_down = is_down

    # a clock for pollers, and for the store
    def monotonic(self) -> float:
        return self.time

    def unix(self) -> float:
        return self.time

    def now(self) -> float:
        return self.time

    def boot(self) -> str:
        return "boot"

    def at(self, when: float, what: Callable[[], object]) -> None:
        self._number += 1
        heapq.heappush(self._events, (when, self._number, what))

    def start(self, questions: Sequence[str], interval: float = 5.0) -> Process:
        process = Process(self, questions, interval)
        self.processes.append(process)
        return process

    @property
    def living(self) -> list[Process]:
        return [process for process in self.processes if not process.is_dead]

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        ends_at = self.time + seconds
        moving = [process for process in self.living if not process.is_stopped]
        while True:
            due, has_moved = self._events[0][0] if self._events else math.inf, False
            for process in moving:
                next_at = process.loop.next_at
                if next_at <= self.time:
                    process.loop.step()
                    has_moved = True
                elif next_at < due:
                    due = next_at
            if has_moved:
                continue
            if due > ends_at:
                self.time = ends_at
                return
            self.time = max(self.time, due)
            while self._events and self._events[0][0] <= self.time:
                heapq.heappop(self._events)[2]()
                moving = [process for process in self.living if not process.is_stopped]

    def until(self, true: Callable[[], bool], limit: float) -> float:
        """Let time pass until something is true; how much it took."""
        began = self.time
        while not true():
            assert self.time - began < limit, "it did not come true"
            self.run(0.1)
        return self.time - began

    def close(self) -> None:
        for process in self.processes:
            process.end()
            assert process.loop.failures == []


def most_in_a_window(arrivals: Sequence[Arrival], window: float = USER.window) -> int:
    """The most queries that any window of the limit held at the control plane."""
    moments = sorted(arrival.at for arrival in arrivals)
    most = first = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - window + 1e-6:
            first += 1
        most = max(most, last - first + 1)
    return most
