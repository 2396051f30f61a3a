# Made by tools/unasync.py from tests/client/_async/test_warming.py. Change that file, then run the tool.
"""Connections to new instances, opened ahead of the calls. For sync code."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from client_lab import soon
from wire_answers import FITTING
from wire_lab import RawServer, read_request

from directlane import Client
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


def test_new_instance_is_connected_to_before_the_first_call(tmp_path: Path, instances: list[Instance]) -> None:
    first, second = instances
    path = tmp_path / "list.json"
    written(path, first)
    with Client.from_data(data(path, warm=2)) as client:
        service = client.service("svc")
        assert service.wait_ready()
        assert soon(lambda: first.accepted == 2)
        written(path, first, second)
        assert soon(lambda: second.accepted == 2)
        assert (first.requests, second.requests) == (0, 0)
        for _ in range(20):
            assert (service.send(b"x")).ok
        assert (first.accepted, second.accepted) == (2, 2), "calls use what was opened"
        assert second.requests > 0


def test_reload_can_turn_it_on(tmp_path: Path, instances: list[Instance]) -> None:
    path = tmp_path / "list.json"
    written(path, instances[0])
    with Client.from_data(data(path)) as client:
        assert client.service("svc").wait_ready()
        assert instances[0].accepted == 0
        client.reload(load_data(data(path, warm=1), source="test", environment={}))
        assert soon(lambda: instances[0].accepted == 1)
