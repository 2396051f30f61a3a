"""What a long run may leave behind, and services that a long run can call at full speed.

Memory is measured in two ways, because each is blind to something. The number of blocks that Python's allocator has
given out is exact, and knows every object up to 512 bytes: one object left per call is one block per call. Resident
memory knows all sizes, but moves by itself in steps of whole arenas.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier
from typing import ClassVar

import pytest

from directlane import (
    AsyncChannel,
    AsyncStreamed,
    CallSettings,
    Channel,
    Config,
    Endpoint,
    EndpointView,
    Phase,
    Reply,
    Request,
    RoutePlan,
    ServicePlan,
    Timeouts,
    Transport,
    TransportError,
)
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.transports.memory import MemoryServer, Scripted
from directlane.core.transports.memory_transport import MemoryTransport
from directlane.providers.static import StaticProvider

__all__ = ["Footprint", "MemoryFleet", "assert_at_rest", "by_threads", "frequent_switches", "needs_proc"]

DESCRIPTORS = Path("/proc/self/fd")

needs_proc = pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="counts open sockets in /proc, which is not here")

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Footprint:
    """What this process holds.

    Args:
        threads: Names of the living threads.
        descriptors: Open files and sockets.
        blocks: Blocks of Python's allocator, after a full collection.
        resident: Bytes of resident memory.
    """

    threads: Sequence[str]
    descriptors: int
    blocks: int = field(compare=False)
    resident: int = field(compare=False)

    @classmethod
    def now(cls) -> Footprint:
        """Measure."""
        gc.collect()
        gc.collect()  # finalizers of the first round may have freed more
        threads = sorted(thread.name for thread in threading.enumerate())
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        blocks = sys.getallocatedblocks()
        return cls(threads, _descriptors(), blocks, pages * os.sysconf("SC_PAGE_SIZE"))

    def assert_memory_flat(self, before: Footprint, *, blocks: int, megabytes: float) -> None:
        """Not more than so many blocks, and so much resident memory, beyond `before`."""
        more = (self.blocks - before.blocks, (self.resident - before.resident) / MEGABYTE)
        assert more[0] <= blocks, f"{more[0]} blocks more, {more[1]:.1f} MB more"
        assert more[1] <= megabytes, f"{more[0]} blocks more, {more[1]:.1f} MB more"


def _descriptors() -> int:
    """The fewest of 0.2 s: the control server of an emulated cloud, which lives here too, closes its sides later."""
    counts: list[int] = []
    for _ in range(20):
        counts.append(len(list(DESCRIPTORS.iterdir())))
        time.sleep(0.01)
    return min(counts)


def assert_at_rest(views: Sequence[EndpointView], calls: int) -> None:
    """Nobody is calling, and a healthy fleet was asked exactly once per call."""
    assert [view.open_calls for view in views] == [0] * len(views)
    assert sum(view.attempts for view in views) == calls
    assert sum(view.errors + view.refusals for view in views) == 0


def by_threads(threads: int, calls: int, call: Callable[[], object]) -> None:
    """So many calls in all, by threads that begin together. An error of any call is raised here."""
    begin = Barrier(threads)

    def work() -> None:
        begin.wait()
        for _ in range(calls // threads):
            call()

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work) for _ in range(threads)]:
            done.result()


@contextmanager
def frequent_switches() -> Generator[None]:
    """Let threads take turns far more often than usual, so that they meet in the middle of things."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


class _Suspending(AsyncChannel):
    """Goes once around the event loop before each answer, as a socket does: so that tasks really overlap."""

    def __init__(self, channel: AsyncChannel) -> None:
        self._channel = channel

    async def send(self, request: Request, timeouts: Timeouts) -> Reply:
        await asyncio.sleep(0)
        return await self._channel.send(request, timeouts)

    async def stream(self, request: Request, timeouts: Timeouts) -> AsyncStreamed:
        await asyncio.sleep(0)
        return await self._channel.stream(request, timeouts)

    async def aclose(self) -> None:
        await self._channel.aclose()


class _Memory(Transport):
    kind: ClassVar[str] = "suspending_memory"

    inner: MemoryTransport

    def open(self, endpoint: Endpoint) -> Channel:
        return self.inner.open(endpoint)

    def open_async(self, endpoint: Endpoint) -> AsyncChannel:
        return _Suspending(self.inner.open_async(endpoint))


class MemoryFleet:
    """A service of three endpoints in memory.

    Args:
        refuse_every: The first endpoint refuses each n-th connection. Default: never.
    """

    def __init__(self, refuse_every: int | None = None) -> None:
        addresses = [f"10.0.0.{number}:80" for number in (1, 2, 3)]
        servers: Mapping[str, MemoryServer] = dict.fromkeys(addresses, _answer)
        if refuse_every is not None:
            servers = {**servers, addresses[0]: _Refusing(refuse_every)}
        provider = StaticProvider.model_validate({"addresses": [f"http://{address}" for address in addresses]})
        plan = ServicePlan(
            "soak",
            (RoutePlan("memory", provider),),
            WeightedRoundRobin(),
            _Memory(inner=MemoryTransport(servers=servers)),
            calls=CallSettings(repeatable=True),
        )
        self.config = Config("memory", {"soak": plan})


_ANSWER = Scripted(200, (("content-type", "application/json"),), (b'{"score": 1}',))


def _answer(request: Request, timeouts: Timeouts) -> Scripted:
    return _ANSWER


class _Refusing:
    """Answers, and refuses each n-th connection. Used by many threads: an approximate n is good enough."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._asked = 0

    def __call__(self, request: Request, timeouts: Timeouts) -> Scripted | TransportError:
        self._asked += 1
        if self._asked % self._every:
            return _ANSWER
        return TransportError("refused", phase=Phase.CONNECT)
