"""A hedge runs beside a slow attempt, at another instance, and the loser is really ended. For async code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import stamina
from client_lab import Fleet, served, soon

from directlane import AsyncClient, AsyncService, AttemptsError, DeadlineError
from directlane.core.emulation.server import Ending, ServerReply, ServerRequest

pytestmark = pytest.mark.anyio

HEDGE = {"hedge": {"after": "50ms"}, "repeatable": True}
HANGING = ServerReply(ending=Ending.HANG)
EVENTS = (("content-type", "text/event-stream"),)


def hanging_for(count: int, then: ServerReply) -> Callable[[ServerRequest], ServerReply]:
    """Never answer the first requests."""
    left = [None] * count

    def answer(_: ServerRequest) -> ServerReply:
        if left:
            left.pop()
            return HANGING
        return then

    return answer


def open_calls(service: AsyncService) -> int:
    return sum(view.open_calls for view in service.endpoints())


async def test_a_hanging_instance_is_not_noticed(fleet: Fleet) -> None:
    fleet.servers[0].behaviour = lambda _: HANGING
    async with AsyncClient.from_data(fleet.data(**HEDGE)) as client:
        service = client.service("svc")
        replies = [await service.send(b"x") for _ in range(6)]
        assert all(reply.ok for reply in replies)
        assert sorted({reply.attempts for reply in replies}) == [1, 2]
        assert open_calls(service) == 0
    assert len(fleet.servers[0].seen) >= 1


async def test_the_connection_of_the_loser_is_closed_and_never_used_again(
    fleet: Fleet, anyio_backend_name: str
) -> None:
    first = fleet.servers[0]
    first.behaviour = hanging_for(1, ServerReply(content=b"late"))
    async with AsyncClient.from_data(fleet.data(**HEDGE)) as client:
        service = client.service("svc")
        while not first.seen:
            assert (await service.send(b"x")).content != b"late"
        # More calls: each gets the answer that is its own, whatever became of the connection of the loser.
        for _ in range(9):
            reply = await service.send(b"y")
            assert reply.endpoint is not None
            assert (reply.content == b"late") == (reply.endpoint.url == first.server.url)
        assert soon(lambda: first.server.open_connections <= 1), "the one that hangs is gone"
        assert open_calls(service) == 0


async def test_the_loser_is_ended_when_it_was_waited_for_long(fleet: Fleet) -> None:
    """The instance hangs for ever, the deadline is far: the loser ends because it is ended, not by its time limit."""
    fleet.servers[0].behaviour = lambda _: HANGING
    async with AsyncClient.from_data(fleet.data(**HEDGE, timeout="10m", attempt_timeout="10m")) as client:
        service = client.service("svc")
        while not fleet.servers[0].seen:
            await service.send(b"x")
        await service.send(b"x")  # gives the event loop its turn
        assert soon(lambda: fleet.servers[0].server.open_connections <= 1)


async def test_what_must_not_be_repeated_has_no_hedge(fleet: Fleet) -> None:
    for server in fleet.servers:
        server.behaviour = lambda _: HANGING
    async with AsyncClient.from_data(fleet.data(hedge={"after": "10ms"})) as client:
        service = client.service("svc")
        with pytest.raises(DeadlineError):
            await service.send(b"x", timeout=0.2)
        assert len(fleet.seen()) == 1
        with pytest.raises(DeadlineError) as caught:
            await service.send(b"x", timeout=0.2, repeatable=True)
        assert len(fleet.seen()) == 3
        assert open_calls(service) == 0
    assert {record.is_hedge for record in caught.value.attempts} == {False, True}


async def test_both_are_gone_and_a_third_answers(fleet: Fleet) -> None:
    for server in fleet.servers[:2]:
        server.behaviour = lambda _: ServerReply(ending=Ending.RESET)
    async with AsyncClient.from_data(fleet.data(**HEDGE)) as client:
        service = client.service("svc")
        assert all([(await service.send(b"x")).ok for _ in range(6)])
        assert open_calls(service) == 0


async def test_streams_race_to_their_first_event(fleet: Fleet) -> None:
    fleet.servers[0].behaviour = lambda _: ServerReply(headers=EVENTS, content=served(), ending=Ending.HANG)
    for server in fleet.servers[1:]:
        server.behaviour = lambda _: ServerReply(headers=EVENTS, content=served(b"data: 1\n\n", b"data: 2\n\n"))
    async with AsyncClient.from_data(fleet.data(**HEDGE)) as client:
        service = client.service("svc")
        for _ in range(6):
            async with service.stream(b"x") as reply:
                assert open_calls(service) == 1, "the winner's alone"
                assert await reply.aread() == b"data: 1\n\ndata: 2\n\n"
        assert open_calls(service) == 0
    assert len(fleet.servers[0].seen) >= 1


async def test_a_stream_that_begins_with_an_error_loses_its_race(fleet: Fleet) -> None:
    """The first attempt is silent, its hedge says that it failed: the call ends by the rules for errors in streams."""
    for server in fleet.servers:
        server.behaviour = lambda _: ServerReply(headers=EVENTS, content=served(b"event: error\ndata: 1\n\n"))
    async with AsyncClient.from_data(fleet.data(**HEDGE)) as client:
        service = client.service("svc")
        async with service.stream(b"x") as reply:
            assert await reply.aread() == b"event: error\ndata: 1\n\n"
        assert open_calls(service) == 0


async def test_wrong_requests_raise_what_they_raise_without_hedges(fleet: Fleet, anyio_backend_name: str) -> None:
    """No group of exceptions, no error of a thread pool."""
    for server in fleet.servers:
        server.behaviour = lambda _: ServerReply(ending=Ending.RESET)
    async with AsyncClient.from_data(fleet.data(**HEDGE)) as client:
        service = client.service("svc")
        with pytest.raises(AttemptsError):
            await service.send(b"x")
        if anyio_backend_name != "trio":  # there httpx takes the field, and leaves an iterator behind
            with pytest.raises(ValueError, match="Content-Length"):
                await service.send(b"x", headers={"Content-Length": "many"})
        assert open_calls(service) == 0


async def test_stamina_switched_off_means_no_hedge(fleet: Fleet) -> None:
    for server in fleet.servers:
        server.behaviour = lambda _: HANGING
    async with AsyncClient.from_data(fleet.data(**HEDGE)) as client:
        service = client.service("svc")
        await service.wait_ready()
        stamina.set_active(False)
        try:
            with pytest.raises(DeadlineError):
                await service.send(b"x", timeout=0.2)
        finally:
            stamina.set_active(True)
    assert len(fleet.seen()) == 1


async def test_hedges_that_come_at_any_moment_lose_nothing(fleet: Fleet, anyio_backend_name: str) -> None:
    """In sync code a loser may still hold its thread: then a call runs without a hedge, and waits for no thread."""
    # On trio, httpx leaves an iterator behind if it is cancelled while it sends.
    after = "5s" if anyio_backend_name == "trio" else "1ms"
    async with AsyncClient.from_data(fleet.data(repeatable=True, hedge={"after": after, "threads": 2})) as client:
        service = client.service("svc")
        replies = [await service.send(b"x") for _ in range(40)]
        assert all(reply.ok for reply in replies)
        assert open_calls(service) == 0
