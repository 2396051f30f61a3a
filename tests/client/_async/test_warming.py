"""Connections to new instances, opened ahead of the calls. For async code."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from client_lab import soon_async
from wire_answers import FITTING
from wire_lab import RawServer, read_request

from directlane import AsyncClient
from directlane.core.config.load import load_data

pytestmark = pytest.mark.anyio


class Instance(RawServer):
    """Counts requests."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.requests = 0

    def _answer(self, connection: socket.socket, number: int) -> None:
        while read_request(connection) is not None:
            self.requests += 1
            connection.sendall(FITTING)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # on trio calls go over httpx, which opens nothing ahead


@pytest.fixture
def instances() -> Iterator[list[Instance]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Instance()) for _ in range(2)]


def written(path: Path, *instances: Instance) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps([instance.endpoint.authority for instance in instances]))
    new.replace(path)


def data(path: Path, **service: object) -> dict[str, Any]:
    route = {"provider": "file", "path": str(path), "check_every": "100ms"}
    return {"services": {"svc": {"routes": [route], "connect_timeout": "20s", **service}}}


async def test_new_instance_is_connected_to_before_the_first_call(tmp_path: Path, instances: list[Instance]) -> None:
    first, second = instances
    path = tmp_path / "list.json"
    written(path, first)
    async with AsyncClient.from_data(data(path, warm=2)) as client:
        service = client.service("svc")
        assert await service.wait_ready()
        assert await soon_async(lambda: first.accepted == 2)
        written(path, first, second)
        assert await soon_async(lambda: second.accepted == 2)
        assert (first.requests, second.requests) == (0, 0)
        for _ in range(20):
            assert (await service.send(b"x")).ok
        assert (first.accepted, second.accepted) == (2, 2), "calls use what was opened"
        assert second.requests > 0


async def test_reload_can_turn_it_on(tmp_path: Path, instances: list[Instance]) -> None:
    path = tmp_path / "list.json"
    written(path, instances[0])
    async with AsyncClient.from_data(data(path)) as client:
        assert await client.service("svc").wait_ready()
        assert instances[0].accepted == 0
        await client.reload(load_data(data(path, warm=1), source="test", environment={}))
        assert await soon_async(lambda: instances[0].accepted == 1)
