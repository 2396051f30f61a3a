"""All hosts of the first cloud are gone: SYNs are dropped, so that nothing but the time tells. Then they come back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
from fault_lab import Wall, call_until

from directlane import AsyncClient, Client, Service
from directlane.core.emulation import LoopbackServer, ProcessInstance, ServerReply

HOSTS = ("127.0.0.11", "127.0.0.12", "127.0.0.13")


@pytest.fixture
def walls() -> Iterator[list[Wall]]:
    walls: list[Wall] = []
    try:
        walls += [Wall(host) for host in HOSTS]
        yield walls
    finally:
        for wall in walls:
            wall.close()


def data_of(walls: list[Wall], well: list[ProcessInstance], **service: object) -> dict[str, Any]:
    routes = [
        {"provider": "static", "name": "first", "addresses": [wall.url for wall in walls]},
        {"provider": "static", "name": "second", "tier": 1, "addresses": [instance.url for instance in well]},
    ]
    calls = {"timeout": "60s", "connect_timeout": "0.3s", "slow_start": 0, **service}
    return {"services": {"svc": {"routes": routes, **calls}}}


FOR_GOOD = {"base_time": "1h", "max_time": "1h"}


def test_a_call_costs_one_connect_timeout_at_most_and_soon_none(walls: list[Wall], well: list[ProcessInstance]) -> None:
    with Client.from_data(data_of(walls, well, ejection=FOR_GOOD)) as client:
        service = client.service("svc")
        attempts: list[int] = []
        while load_of_the_first(service) and len(attempts) < 1000:  # some calls overflow before the last host is known
            reply = service.send(b"{}")
            assert reply.ok, "nothing was sent, so any call may go elsewhere"
            attempts.append(reply.attempts)
        # One attempt at a host that is gone, and the next in the other cloud, not at a neighbour of the dead one.
        assert set(attempts) <= {1, 2}
        # Two connections say that a host is gone: so many calls pay, or one more while a thread makes the new picker.
        paid = dead_attempts(service)
        assert attempts.count(2) == paid <= 3 * len(walls)
        assert [service.send(b"{}").attempts for _ in range(20)] == [1] * 20, "and no other ever"
        assert dead_attempts(service) == paid
        assert [tier.load for tier in service.tiers()] == [0, 100]


def dead_attempts(service: Service) -> int:
    return sum(view.attempts for view in service.endpoints() if view.route == "first")


def test_many_at_a_time(walls: list[Wall], well: list[ProcessInstance]) -> None:
    callers = 16

    async def main() -> None:
        async with AsyncClient.from_data(data_of(walls, well, ejection=FOR_GOOD)) as client:
            service = client.service("svc")

            async def caller() -> list[int]:
                return [(await service.send(b"{}")).attempts for _ in range(6)]

            attempts = await asyncio.gather(*(caller() for _ in range(callers)))
            assert max(max(each) for each in attempts) == 2
            # Each caller runs into it while nobody knows; then all know.
            dead = sum(view.attempts for view in service.endpoints() if view.route == "first")
            assert dead <= callers + 2 * len(walls)

    asyncio.run(main())


def load_of_the_first(service: Service) -> int:
    return service.tiers()[0].load


def is_above(service: Service, load: int) -> bool:
    return load_of_the_first(service) > load


def test_they_come_back_and_the_traffic_returns_in_steps(walls: list[Wall], well: list[ProcessInstance]) -> None:
    seen: list[int] = []
    with ExitStack() as stack:
        client = stack.enter_context(
            Client.from_data(data_of(walls, well, ejection={"base_time": "0.2s", "max_time": "0.4s"}))
        )
        service = client.service("svc")
        call_until(service, lambda: load_of_the_first(service) == 0)
        for wall in walls:
            wall.close()
            stack.enter_context(LoopbackServer(lambda _: ServerReply(), wall.host, wall.port))
            call_until(service, partial(is_above, service, seen[-1] if seen else 0))
            seen.append(load_of_the_first(service))
        assert sum(service.send(b"{}").attempts for _ in range(20)) == 20
    assert len(seen) == len(walls)
    assert seen[-1] == 100
