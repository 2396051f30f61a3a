"""20,000 calls over real sockets to three real instances: 64 threads on one client, 1,000 tasks on one async client.

A call over sockets costs some hundred times what it costs in memory, so the number of calls here is a fifth of that in
`test_memory.py`, which has the 100,000. What only sockets show is here: connections, descriptors, and the instances'
own count of what they have run.

Connections are counted, not compared: how many a run needs depends on how its calls happen to overlap. Their number
has a bound, and after the client is closed nothing may be left at all. Memory gets an allowance for each connection
that came after the warm-up (200 blocks and 32 kB, twice what is usual), besides 2,000 blocks and 8 MB for everything
else.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator, Mapping

import pytest
from soak_lab import Footprint, assert_at_rest, by_threads, needs_proc

import directlane
from directlane.core.emulation import NONE, Slow
from directlane.providers.alibaba_eas.emulator import EasEmulator

pytestmark = [pytest.mark.soak, needs_proc]

BODY = b'[{"money_credit": 3000000}]'
INSTANCES = 3
THREADS, TASKS = 64, 1_000
THREAD_WARM_UP, THREAD_CALLS = 1_920, 6_400
TASK_WARM_UP, TASK_CALLS = 1_000, 4_000
KEPT = 256
"""Idle connections that the transport keeps for each endpoint."""
OTHERS = 10
"""Descriptors that are no connections to instances: those of event loops, and of discovery."""


def assert_memory_flat(warm: Footprint, end: Footprint) -> None:
    more = max(0, end.descriptors - warm.descriptors)
    end.assert_memory_flat(warm, blocks=2_000 + 200 * more, megabytes=8 + more / 32)


def has_run(fleet: EasEmulator) -> int:
    """What the instances' own ledgers say."""
    return sum(instance.requests for instance in fleet.instances)


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Room for a connection per task, if the limit can be raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * TASKS
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"needs {wanted} open files; the hard limit is {hard}")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_64_threads_on_one_client(fleet: EasEmulator, configuration: Mapping[str, object]) -> None:
    start, ran = Footprint.now(), has_run(fleet)
    with directlane.Client.from_data(configuration, environment=fleet.environment) as client:
        service = client.service("soak")

        def call() -> None:
            service.send(BODY).raise_for_status()

        by_threads(THREADS, THREAD_WARM_UP, call)
        warm = Footprint.now()
        by_threads(THREADS, THREAD_CALLS, call)
        end = Footprint.now()
        calls = THREAD_WARM_UP + THREAD_CALLS
        assert_at_rest(service.endpoints(), calls)
        assert has_run(fleet) - ran == calls
        assert end.threads == warm.threads
        assert end.descriptors - start.descriptors <= INSTANCES * THREADS + OTHERS
        assert_memory_flat(warm, end)
    assert Footprint.now() == start


@pytest.mark.usefixtures("many_descriptors")
def test_1000_tasks_on_one_async_client(fleet: EasEmulator, configuration: Mapping[str, object]) -> None:
    start, ran = Footprint.now(), has_run(fleet)

    async def main() -> None:
        async with directlane.AsyncClient.from_data(configuration, environment=fleet.environment) as client:
            service = client.service("soak")

            async def work(calls: int) -> None:
                for _ in range(calls):
                    (await service.send(BODY)).raise_for_status()

            async def together(calls: int) -> None:
                await asyncio.gather(*[work(calls // TASKS) for _ in range(TASKS)])

            await together(TASK_WARM_UP)
            warm = Footprint.now()
            await together(TASK_CALLS)
            end = Footprint.now()
            assert len(asyncio.all_tasks()) == 1
            assert_at_rest(service.endpoints(), TASK_WARM_UP + TASK_CALLS)
            assert has_run(fleet) - ran == TASK_WARM_UP + TASK_CALLS
            assert end.threads == warm.threads
            assert end.descriptors - start.descriptors <= INSTANCES * KEPT + OTHERS
            assert_memory_flat(warm, end)

    asyncio.run(main())
    assert Footprint.now() == start


@pytest.mark.usefixtures("many_descriptors")
def test_1000_calls_open_at_once(fleet: EasEmulator) -> None:
    # The tests above keep the caller busy, so few of its calls wait at the same moment. Here all of them do.
    calls = {"timeout": "15s", "connect_timeout": "15s"}
    configuration = {"services": {"soak": {"routes": [fleet.route()], **calls}}}

    async def main() -> None:
        async with directlane.AsyncClient.from_data(configuration, environment=fleet.environment) as client:
            service = client.service("soak")
            for _ in range(2):  # new connections, then used ones
                replies = await asyncio.gather(*[service.send(BODY) for _ in range(TASKS)])
                assert {reply.status for reply in replies} == {200}
            assert_at_rest(service.endpoints(), 2 * TASKS)

    start = Footprint.now()
    for instance in fleet.instances:
        instance.set_fault(Slow(0.5))
    try:
        asyncio.run(main())
    finally:
        for instance in fleet.instances:
            instance.set_fault(NONE)
    assert Footprint.now() == start
