"""Slots over sockets: instances that count how many calls they have at once."""

from __future__ import annotations

import pytest
from client_lab import Fleet
from counting_lab import counted, together_async

from directlane import AsyncClient, CallError, DeadlineError, EndpointLease, QueueFullError

pytestmark = pytest.mark.anyio


async def test_r8_no_instance_ever_has_more_calls_than_slots(fleet: Fleet) -> None:
    count = counted(fleet)
    data = fleet.data(slots={"per_endpoint": 2, "queue": 100})
    async with AsyncClient.from_data(data) as client:
        service = client.service("svc")

        async def call(_: int) -> bytes:
            return (await service.send(b"x", timeout=60)).content

        answers = await together_async(call, 40)
        queue = service.queue
        assert queue is not None
        assert (queue.waiting, queue.used, queue.refused, queue.late) == (0, 0, 0, 0)
        assert [view.slots for view in service.endpoints()] == [2, 2, 2]
    assert answers == [b"done"] * 40
    assert max(count.most.values()) <= 2


async def test_who_finds_the_queue_full_is_refused_and_the_others_are_served(single: Fleet) -> None:
    count = counted(single)
    count.is_open = False
    data = single.data(slots={"per_endpoint": 1, "queue": 1})
    async with AsyncClient.from_data(data) as client:
        service = client.service("svc")

        async def call(_: int) -> str:
            try:
                reply = await service.send(b"x", timeout=60)
            except QueueFullError:
                queue = service.queue
                assert queue is not None
                if queue.refused == 4:
                    count.is_open = True
                return "refused"
            return reply.content.decode()

        answers = await together_async(call, 6)
    assert sorted(answers) == ["done", "done", *["refused"] * 4]


async def test_a_deadline_passes_in_the_queue(single: Fleet) -> None:
    count = counted(single)
    async with AsyncClient.from_data(single.data(slots={"per_endpoint": 1})) as client:
        service = client.service("svc")
        async with service.lease():
            with pytest.raises(DeadlineError, match="no slot was free"):
                await service.send(b"x", timeout=0.05)
        assert (await service.send(b"x")).content == b"done"
    assert count.most["s1"] == 1


async def test_streams_leases_and_runs_take_slots(single: Fleet) -> None:
    counted(single)

    async def use(lease: EndpointLease) -> str:
        return lease.endpoint.id

    async with AsyncClient.from_data(single.data(slots={"per_endpoint": 1, "queue": 0})) as client:
        service = client.service("svc")
        async with service.stream(b"x") as reply:
            with pytest.raises(QueueFullError):
                await service.send(b"x")
            with pytest.raises(QueueFullError):
                await service.run(use)
            assert await reply.aread() == b"done"
        async with service.lease():
            with pytest.raises(CallError):
                async with service.lease():
                    pass
        assert await service.run(use)
        queue = service.queue
        assert queue is not None
        assert queue.used == 0
