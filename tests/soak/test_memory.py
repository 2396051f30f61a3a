"""100,000 calls by 64 threads, and 100,000 by 1,000 tasks, leave nothing behind.

In memory, so that the calls are many enough to show one lost object in a hundred of them, and threads meet in our code
instead of waiting for the kernel. `test_sockets.py` has the same with real instances.

Tolerances, after a warm-up of the same shape: 1,000 blocks of Python's allocator and 8 MB. Healthy runs move by up to
some hundred blocks (caches of the interpreter, free lists) and by less than 1 MB; one object lost per call would be
20,000 blocks in the shortest run here and 100,000 in the longest, and one kilobyte lost per call 20 MB to 100 MB.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

import pytest
from soak_lab import Footprint, MemoryFleet, assert_at_rest, by_threads, frequent_switches, needs_proc

import directlane

pytestmark = [pytest.mark.soak, needs_proc]

THREADS, TASKS = 64, 1_000
WARM_UP, CALLS = 16_000, 56_000
"""Both can be shared out evenly among the threads and among the tasks; the calls that count are above 100,000."""
BLOCKS, MEGABYTES = 1_000, 8


def test_threads_leave_nothing() -> None:
    start = Footprint.now()
    with directlane.Client(MemoryFleet().config) as client, frequent_switches():
        service = client.service("soak")
        by_threads(THREADS, WARM_UP, lambda: service.send(b"[1]"))
        warm = Footprint.now()
        by_threads(THREADS, CALLS, lambda: service.send(b"[1]"))
        end = Footprint.now()
        assert_at_rest(service.endpoints(), WARM_UP + CALLS)
    assert end == warm
    end.assert_memory_flat(warm, blocks=BLOCKS, megabytes=MEGABYTES)
    assert Footprint.now() == start


def test_tasks_leave_nothing() -> None:
    start = Footprint.now()

    async def main() -> None:
        async with directlane.AsyncClient(MemoryFleet().config) as client:
            service = client.service("soak")

            async def work(calls: int) -> None:
                for _ in range(calls):
                    await service.send(b"[1]")

            async def together(calls: int) -> None:
                await asyncio.gather(*[work(calls // TASKS) for _ in range(TASKS)])

            await together(WARM_UP)
            warm = Footprint.now()
            await together(CALLS)
            end = Footprint.now()
            assert len(asyncio.all_tasks()) == 1
            assert_at_rest(service.endpoints(), WARM_UP + CALLS)
        assert end == warm
        end.assert_memory_flat(warm, blocks=BLOCKS, megabytes=MEGABYTES)

    asyncio.run(main())
    assert Footprint.now() == start


def test_failover_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # The records of what stamina logs would be kept by pytest, and look like a leak.
    monkeypatch.setattr(logging.getLogger("stamina"), "disabled", True)
    attempts: Counter[int] = Counter()
    with directlane.Client(MemoryFleet(refuse_every=5).config) as client:
        service = client.service("soak")

        def call() -> None:
            attempts[service.send(b"[1]").attempts] += 1

        by_threads(1, 2_000, call)
        warm = Footprint.now()
        by_threads(1, 20_000, call)
        end = Footprint.now()
        views = service.endpoints()
    assert end == warm
    end.assert_memory_flat(warm, blocks=BLOCKS, megabytes=MEGABYTES)
    assert [view.open_calls for view in views] == [0, 0, 0]
    assert set(attempts) == {1, 2}
    assert sum(view.attempts for view in views) == attempts[1] + 2 * attempts[2]
    assert sum(view.errors for view in views) == attempts[2]


def test_cancelled_calls_leave_nothing() -> None:
    async def main() -> None:
        async with directlane.AsyncClient(MemoryFleet().config) as client:
            service = client.service("soak")

            async def cancelled(calls: int) -> None:
                for _ in range(calls // 100):
                    tasks = [asyncio.create_task(service.send(b"[1]")) for _ in range(100)]
                    await asyncio.sleep(0)  # each is now waiting for its answer
                    assert sum(view.open_calls for view in service.endpoints()) == 100
                    for task in tasks:
                        task.cancel()
                    for ended in await asyncio.gather(*tasks, return_exceptions=True):
                        assert isinstance(ended, asyncio.CancelledError)

            await service.send(b"[1]")
            await cancelled(2_000)
            warm = Footprint.now()
            await cancelled(20_000)
            end = Footprint.now()
            assert_at_rest(service.endpoints(), 1)
        assert end == warm
        end.assert_memory_flat(warm, blocks=BLOCKS, megabytes=MEGABYTES)

    asyncio.run(main())
