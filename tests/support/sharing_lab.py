"""Many processes in virtual time: each has an event loop of its own, and may be killed, stopped, or cut off the store.

The decisions are the real ones, and so is the code around them; only sockets, threads and time are made up. To stop a
process between two moments, as SIGSTOP does, its loop must be driven by hand: that is why this looks inside asyncio.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar, cast

import httpx
from discovery_lab import Ask, Told, quick

from directlane.core.discovery.asking import Asker
from directlane.core.discovery.link import StoreLink
from directlane.core.discovery.local import LocalRunner
from directlane.core.discovery.poller import Poller
from directlane.core.discovery.shared_polling import SharedPolling
from directlane.core.interfaces.discovery import RateBudget
from directlane.core.interfaces.store import Lease, Permit, Store, StoreUnavailable
from directlane.core.stores.memory_store import MemoryStore

__all__ = ["USER", "ForgetfulStore", "Plane", "Process", "World"]

T = TypeVar("T")

_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Never used: nothing is sent."""

USER = RateBudget("user", 10, 20.0)


class ForgetfulStore(MemoryStore):
    """A store that can lose its memory, and then lets no query go for one window, as a real one does."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._world = world
        self._lost_at = -math.inf
        self.fences: dict[str, int] = {}

    def lose_memory(self) -> None:
        MemoryStore.__init__(self, self._world)
        self._lost_at = self._world.time
        self.fences = {}

    def lease(self, name: str, holder: str, ttl: float) -> Lease | float:
        got = super().lease(name, holder, ttl)
        if isinstance(got, Lease):
            assert got.fence >= self.fences.get(name, 0), "fences only grow"
            self.fences[name] = got.fence
        return got

    def take(self, budgets: Sequence[RateBudget], hold: float) -> Permit | float:
        wait = max(self._lost_at + budget.window - self._world.time for budget in budgets)
        return wait if wait > 0 else super().take(budgets, hold)


class _NoSockets(selectors.SelectSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(0)


class ProcessLoop(asyncio.SelectorEventLoop):
    """The event loop of one process, on the world's time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.failures: list[str] = []
        super().__init__(_NoSockets())
        self.set_exception_handler(lambda _, context: self.failures.append(str(context)))

    def time(self) -> float:
        return self._world.time

    def step(self) -> None:
        """Run what is ready, once."""
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
        return min((timer.when() for timer in timers if not timer.cancelled()), default=math.inf)


@dataclass
class Plane:
    """A control plane that counts. Its list is one host, whose last number grows."""

    world: World
    budget: RateBudget = USER
    version: int = 1
    changed_at: float = 0.0
    arrivals: list[float] = field(default_factory=list[float])
    refused: int = 0
    slow: float = 0.1
    """How likely a query hangs."""

    def change(self) -> None:
        self.version += 1
        self.changed_at = self.world.time

    def arrive(self) -> httpx.Response:
        now = self.world.time
        self.arrivals.append(now)
        recent = [moment for moment in self.arrivals if moment > now - self.budget.window]
        if len(recent) > self.budget.limit:
            self.refused += 1
            return httpx.Response(429)
        return httpx.Response(200, json={"hosts": [f"10.0.{self.version // 250}.{self.version % 250 + 1}"]})


class _Wire(httpx.AsyncBaseTransport):
    def __init__(self, process: Process) -> None:
        self.process = process

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        world, chance = self.process.world, self.process.world.chance
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[httpx.Response] = loop.create_future()
        hangs = chance.random() < world.plane.slow
        way_there, way_back = chance.uniform(0.001, 2.9 if hangs else 0.2), chance.uniform(0.001, 0.2)

        def arrived() -> None:
            response = world.plane.arrive()
            if not hangs:
                world.at(world.time + way_back, lambda: told(response))

        def told(response: httpx.Response) -> None:
            if not answer.done():
                answer.set_result(response)

        # It travels on, whatever becomes of who sent it.
        world.at(world.time + way_there, arrived)
        return await answer


class _Worker:
    """Asks the store as a thread would: it takes a moment, and the answer may be lost."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def run(self, work: Callable[[], T], limit: float) -> T:
        process, chance = self._process, self._process.world.chance
        await asyncio.sleep(chance.uniform(0.0, 0.02))
        if process.is_cut_off or process.world.is_store_down:
            if chance.random() < 0.3:
                await asyncio.sleep(limit)
                raise TimeoutError
            raise StoreUnavailable("gone")
        result = work()
        await asyncio.sleep(chance.uniform(0.0, 0.02))
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
        self.seen: dict[str, list[int]] = {name: [] for name in questions}
        self.link = StoreLink(world.store, world, world.chance, hold=5.0, worker=_Worker(self))
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

    def _listener(self, name: str) -> Callable[[object], None]:
        told = Told()

        def listen(belief: object) -> None:
            told(belief)
            _, _, high, low = told.lists[-1][0].split(".")
            self.seen[name].append(int(high) * 250 + int(low) - 1)

        return listen

    def version(self, name: str) -> int:
        """What this process believes."""
        return self.seen[name][-1] if self.seen[name] else 0

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
        self.store: Store = ForgetfulStore(self)
        self.is_store_down = False
        self.allows_partitions = False
        self.plane = Plane(self)
        self.processes: list[Process] = []
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._number = 0

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
        self._events.append((when, self._number, what))

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
        while True:
            moving = [process for process in self.living if not process.is_stopped]
            ready = [process for process in moving if process.loop.next_at <= self.time]
            for process in ready:
                process.loop.step()
            if ready:
                continue
            self._events.sort()
            due = min([process.loop.next_at for process in moving] + [event[0] for event in self._events[:1]])
            if due > ends_at:
                self.time = ends_at
                return
            self.time = max(self.time, due)
            while self._events and self._events[0][0] <= self.time:
                self._events.pop(0)[2]()

    def until(self, true: Callable[[], bool], limit: float) -> float:
        """Let time pass until something is true; how much it took."""
        began = self.time
        while not true():
            assert self.time - began < limit, "it did not come true"
            self.run(0.1)
        return self.time - began

    def most_in_a_window(self) -> int:
        """The most queries that any window of the limit held at the control plane."""
        moments, window = self.plane.arrivals, self.plane.budget.window
        return max((sum(one <= moment < one + window - 1e-6 for moment in moments) for one in moments), default=0)

    def close(self) -> None:
        for process in self.processes:
            process.end()
            assert process.loop.failures == []
