"""A caller who gives up leaves nothing behind: async code, where a task can be cancelled at any moment."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from client_lab import Fleet, served, soon

from directlane import AsyncClient, AsyncService
from directlane.core.emulation.server import Ending, ServerReply

pytestmark = pytest.mark.anyio

HANGING = ServerReply(ending=Ending.HANG)
EVENTS = (("content-type", "text/event-stream"),)


def open_calls(service: AsyncService) -> int:
    return sum(view.open_calls for view in service.endpoints())


def cancelled(service: AsyncService) -> int:
    return sum(member.load.figures().cancelled for route in service.routes for member in route.pool.members())


@pytest.mark.parametrize("streams", [False, True])
async def test_both_attempts_of_a_race_end_with_their_caller(fleet: Fleet, streams: bool) -> None:
    for server in fleet.servers:
        server.behaviour = lambda _: HANGING
    async with AsyncClient.from_data(fleet.data(repeatable=True, hedge={"after": "5ms"})) as client:
        service = client.service("svc")
        await service.wait_ready()
        call = service.open_stream if streams else service.send
        async with anyio.create_task_group() as group:
            group.start_soon(call, b"")
            while len(fleet.seen()) < 2:
                await anyio.sleep(0.001)
            assert open_calls(service) == 2
            group.cancel_scope.cancel()
        assert (open_calls(service), cancelled(service)) == (0, 2)
    assert soon(lambda: sum(server.server.open_connections for server in fleet.servers) == 0)


async def test_who_waits_for_a_first_event_may_leave(fleet: Fleet) -> None:
    for server in fleet.servers:
        server.behaviour = lambda _: ServerReply(headers=EVENTS, content=served(b": wait\n\n"), ending=Ending.HANG)
    async with AsyncClient.from_data(fleet.data(repeatable=True)) as client:
        service = client.service("svc")
        await service.wait_ready()
        async with anyio.create_task_group() as group:
            group.start_soon(service.open_stream, b"")
            while not fleet.seen():
                await anyio.sleep(0.001)
            await anyio.sleep(0.02)  # so that it has begun to read, on most machines
            group.cancel_scope.cancel()
        assert (open_calls(service), cancelled(service)) == (0, 1)
    assert soon(lambda: sum(server.server.open_connections for server in fleet.servers) == 0)


async def test_asyncios_own_cancellation_is_the_callers(fleet: Fleet, anyio_backend_name: str) -> None:
    """No group of exceptions comes out of a race, only what the caller sent in."""
    if anyio_backend_name != "asyncio":
        return
    for server in fleet.servers:
        server.behaviour = lambda _: HANGING
    async with AsyncClient.from_data(fleet.data(repeatable=True, hedge={"after": "5ms"})) as client:
        service = client.service("svc")
        task = asyncio.ensure_future(service.send(b""))
        while len(fleet.seen()) < 2:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(service.send(b""), 0.05)
        assert open_calls(service) == 0
