"""Tasks that are cancelled while they wait for a slot, and slots that a reload changes."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from client_lab import Fleet

from directlane import AsyncClient, load_data

pytestmark = pytest.mark.anyio


async def test_a_cancelled_task_leaves_the_queue_and_the_slot_goes_to_the_next(single: Fleet) -> None:
    async with AsyncClient.from_data(single.data(slots={"per_endpoint": 1})) as client:
        service = client.service("svc")
        done: list[str] = []

        async def call(name: str, timeout: float) -> None:
            await service.send(b"x", timeout=timeout)
            done.append(name)

        async def waiting() -> int:
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            queue = service.queue
            assert queue is not None
            return queue.waiting

        async with anyio.create_task_group() as group, service.lease(), anyio.create_task_group() as cancelled:
            group.start_soon(call, "following", 60)
            cancelled.start_soon(call, "cancelled", 30)
            while await waiting() < 2:
                pass
            cancelled.cancel_scope.cancel()
        assert done == ["following"]
        queue = service.queue
        assert queue is not None
        assert (queue.waiting, queue.used) == (0, 0)


async def test_a_reload_with_more_slots_lets_in_who_waits(single: Fleet) -> None:
    async with AsyncClient.from_data(single.data(slots={"per_endpoint": 1})) as client:
        service = client.service("svc")
        done: list[int] = []

        async def call() -> None:
            done.append((await service.send(b"x", timeout=60)).status)

        async with service.lease(), anyio.create_task_group() as group:
            group.start_soon(call)
            queue = service.queue
            while queue is None or not queue.waiting:
                await anyio.lowlevel.checkpoint()
                queue = service.queue
            await client.reload(load_data(single.data(slots={"per_endpoint": 2}), source="a test", environment={}))
        assert done == [200]
