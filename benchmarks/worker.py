"""One contender of the benchmark of calls, in a process of its own: so its CPU time is its own.

Told by JSON lines on standard input, it answers each with one JSON line. The first names the contender, the kind of
call, the ports and the event loop; each further one orders calls for so many seconds, made by so many threads (or
tasks) at once. CPU time is that of the whole process, user and system, background threads included. It ends when the
pipe closes.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from contenders import SYNC, Call, Site
from contenders_async import ASYNC, AsyncCall
from loads import LOADS

Burst = Callable[[float, int], list[float]]
"""Makes calls for so many seconds by so many callers; returns the seconds that each took."""


def threads_of(call: Call) -> Burst:
    """Calls by threads that begin together."""

    def burst(seconds: float, parallel: int) -> list[float]:
        errors: list[BaseException] = []
        times: list[float] = []
        ends_at = time.perf_counter() + seconds

        def work() -> None:
            own: list[float] = []
            clock = time.perf_counter
            now = clock()
            try:
                while now < ends_at:
                    call()
                    before, now = now, clock()
                    own.append(now - before)
            except BaseException as error:  # noqa: BLE001 - told to the parent
                errors.append(error)
            times.extend(own)

        if parallel == 1:
            work()
        else:
            threads = [threading.Thread(target=work) for _ in range(parallel)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if errors:
            raise errors[0]
        return times

    return burst


def tasks_of(call: AsyncCall, runner: asyncio.Runner) -> Burst:
    """Calls by tasks of one loop."""

    async def work(ends_at: float) -> list[float]:
        own: list[float] = []
        clock = time.perf_counter
        now = clock()
        while now < ends_at:
            await call()
            before, now = now, clock()
            own.append(now - before)
        return own

    async def together(seconds: float, parallel: int) -> list[float]:
        ends_at = time.perf_counter() + seconds
        parts = await asyncio.gather(*[work(ends_at) for _ in range(parallel)])
        return [each for part in parts for each in part]

    return lambda seconds, parallel: runner.run(together(seconds, parallel))


def resident() -> int:
    """Bytes of memory that the process has in use; 0 where that cannot be told."""
    path = Path("/proc/self/statm")
    return int(path.read_text().split()[1]) * 4096 if path.exists() else 0


def serve(burst: Burst) -> None:
    """Measure what is ordered."""
    say({"ready": True})
    for line in sys.stdin:
        order = json.loads(line)
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        times = burst(order["seconds"], order["parallel"])
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        say({"cpu": cpu, "wall": wall, "rss": resident(), "times_us": [round(each * 1e6, 1) for each in times]})


def settle_allocator() -> None:
    """Bring the C library's allocator into the state that it has in programs that run for a while.

    Until a process has once freed a large block, glibc maps and unmaps memory for each block of more than 128 KiB, and
    asyncio (and we) read into blocks of 256 KiB: 9 µs a call, or none, by the chance of what was imported.
    """
    del_me = bytes(16 << 20)
    del del_me


def say(message: object) -> None:
    """One answer."""
    print(json.dumps(message), flush=True)


def main() -> None:
    """Make the contender, make its first calls, then do as ordered."""
    first = json.loads(sys.stdin.readline())
    settle_allocator()
    name, site = first["contender"], Site(tuple(first["ports"]), LOADS[first["load"]])
    if name in SYNC:
        with ExitStack() as stack:
            call = SYNC[name](site, stack)
            for _ in site.ports:
                call()
            serve(threads_of(call))
        return
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    if first["loop"] == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:

        async def begin() -> tuple[AsyncCall, AsyncExitStack]:
            stack = AsyncExitStack()
            call = await ASYNC[name](site, stack)
            for _ in site.ports:
                await call()
            return call, stack

        async_call, async_stack = runner.run(begin())
        try:
            serve(tasks_of(async_call, runner))
        finally:
            runner.run(async_stack.aclose())


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # noqa: BLE001 - the parent shows it
        say({"error": f"{type(error).__name__}: {error}"})
        sys.exit(1)
