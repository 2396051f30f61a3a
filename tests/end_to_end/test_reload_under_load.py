"""A configuration file is changed again and again under load. No call may fail, and each change must be seen."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from directlane import AsyncClient, AsyncService, Client, Service
from directlane.core.emulation import ThreadInstance

CALLERS = 8
PATIENCE = 60.0


@pytest.fixture
def instances() -> Iterator[list[ThreadInstance]]:
    with ExitStack() as stack:
        yield [stack.enter_context(ThreadInstance(f"i{number}")) for number in range(3)]


class File:
    """The configuration file, and the versions that it goes through."""

    def __init__(self, folder: Path, instances: list[ThreadInstance]) -> None:
        self.path = folder / "directlane.json"
        self._instances = instances
        self.good = [
            self._text([0]),
            self._text([0], balancer="least_loaded"),
            self._text([0, 1], balancer="least_loaded"),
            self._text([1], balancer="least_loaded"),
            self._text([2, 1], timeout="29s"),
            self._text([2], transport="httpx"),
            self._text([0]),
        ]
        self.write(self.good[0])

    def _text(self, numbers: list[int], **service: object) -> str:
        routes = [
            {"provider": "static", "addresses": [self._instances[number].url], "name": f"r{number}", "tier": tier}
            for tier, number in enumerate(numbers)
        ]
        # No second attempt: a call that fails is seen.
        return json.dumps({"services": {"svc": {"routes": routes, "attempts": 1, "timeout": "30s", **service}}})

    def write(self, text: str) -> None:
        other = self.path.with_suffix(".new")
        other.write_text(text)
        other.replace(self.path)


def is_in_use(service: Service | AsyncService, text: str) -> bool:
    wanted: dict[str, Any] = json.loads(text)["services"]["svc"]
    return (
        [route["name"] for route in wanted["routes"]] == [route.name for route in service.routes]
        and service.plan.balancer.kind == wanted.get("balancer", "weighted_round_robin")
        and service.plan.transport.kind == wanted.get("transport", "auto")
    )


def test_threads_lose_no_call(instances: list[ThreadInstance], tmp_path: Path) -> None:
    file = File(tmp_path, instances)
    over = threading.Event()
    with Client.from_file(file.path, watch=0.02) as client:
        service = client.service("svc")

        def call() -> int:
            count = 0
            while not over.is_set():
                assert service.send(b"{}").ok
                count += 1
            return count

        with ThreadPoolExecutor(CALLERS) as pool:
            callers = [pool.submit(call) for _ in range(CALLERS)]
            try:
                for text in file.good[1:]:
                    ends_at = time.monotonic() + PATIENCE
                    file.write('{"services": {"svc": {"routes": 1}}}')
                    while client.reload_error is None and time.monotonic() < ends_at:
                        time.sleep(0.005)
                    assert client.reload_error is not None
                    file.write(text)
                    while not is_in_use(service, text) and time.monotonic() < ends_at:
                        time.sleep(0.005)
                    assert is_in_use(service, text)
            finally:
                over.set()
            assert sum(caller.result() for caller in callers) > len(file.good)
        service.send(b"{}")
        assert [(view.route, view.open_calls) for view in service.endpoints()] == [("r0", 0)]


def test_tasks_lose_no_call(instances: list[ThreadInstance], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = File(tmp_path, instances)
    caplog.set_level(logging.ERROR)

    async def main() -> None:
        over = asyncio.Event()
        async with AsyncClient.from_file(file.path, watch=0.02) as client:
            service = client.service("svc")

            async def call() -> int:
                count = 0
                while not over.is_set():
                    assert (await service.send(b"{}")).ok
                    count += 1
                return count

            callers = [asyncio.create_task(call()) for _ in range(CALLERS)]
            try:
                for text in file.good[1:]:
                    ends_at = time.monotonic() + PATIENCE
                    file.write(text)
                    while not is_in_use(service, text) and time.monotonic() < ends_at:
                        await asyncio.sleep(0.005)
                    assert is_in_use(service, text)
            finally:
                over.set()
            assert sum(await asyncio.gather(*callers)) > len(file.good)
            await service.send(b"{}")
            assert [(view.route, view.open_calls) for view in service.endpoints()] == [("r0", 0)]

    asyncio.run(main())
    assert caplog.text == ""
