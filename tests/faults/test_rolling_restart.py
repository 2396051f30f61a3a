"""Every instance is replaced, one after the other, under load: told in time, told late, and never told."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from fault_lab import PATIENCE, views_by_port

from directlane import AsyncClient, CallError, Client, Phase, Service
from directlane.core.emulation import ProcessInstance, start_together
from directlane.providers.alibaba_eas.emulator import EasEmulator

CALLERS = 4
COUNT = 2
PAUSE = 0.005
"""Between two calls of a caller: processes that start need the processor too."""
QUICK = {"base_time": "0.1s", "max_time": "0.3s"}


class Load:
    """Callers that call until the block is over."""

    def __init__(self) -> None:
        self.answered: list[int] = []
        self.failed: list[CallError] = []

    def count(self, status: int) -> None:
        self.answered.append(status)

    def wait_for(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so, while calls go on."""
        ends_at = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < ends_at, "it never comes"
            time.sleep(0.005)

    def go_on(self) -> None:
        """Let a few calls come through."""
        ended = len(self.answered) + len(self.failed) + 2 * CALLERS
        self.wait_for(lambda: len(self.answered) + len(self.failed) >= ended)


@contextmanager
def threads(data: dict[str, Any], environment: Mapping[str, str]) -> Generator[tuple[Load, Callable[[], Any]]]:
    """Calls by threads. Gives the load, and the service."""
    load, over = Load(), threading.Event()
    with Client.from_data(data, environment=environment) as client, ThreadPoolExecutor(CALLERS) as pool:
        service = client.service("svc")

        def caller() -> None:
            while not over.is_set():
                try:
                    load.count(service.send(b"{}").status)
                except CallError as error:
                    load.failed.append(error)
                time.sleep(PAUSE)

        callers = [pool.submit(caller) for _ in range(CALLERS)]
        try:
            load.go_on()
            yield load, lambda: service
        finally:
            over.set()
            for ended in callers:
                ended.result()
        assert all(view.open_calls == 0 for view in service.endpoints())


@contextmanager
def tasks(data: dict[str, Any], environment: Mapping[str, str]) -> Generator[tuple[Load, Callable[[], Any]]]:
    """Calls by tasks of a loop that runs in a thread of its own."""
    load, over = Load(), threading.Event()
    services: list[Any] = []

    async def main() -> None:
        async with AsyncClient.from_data(data, environment=environment) as client:
            service = client.service("svc")
            services.append(service)

            async def caller() -> None:
                while not over.is_set():
                    try:
                        load.count((await service.send(b"{}")).status)
                    except CallError as error:
                        load.failed.append(error)
                    await asyncio.sleep(PAUSE)

            await asyncio.gather(*(caller() for _ in range(CALLERS)))
            assert all(view.open_calls == 0 for view in service.endpoints())

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(asyncio.run, main())
        try:
            load.go_on()
            yield load, lambda: services[0]
        finally:
            over.set()
            running.result()


COLOURS = pytest.mark.parametrize("calling", [threads, tasks], ids=["sync", "async"])


def service_of(route: dict[str, object], **more: object) -> dict[str, Any]:
    calls: dict[str, object] = {
        "timeout": "60s",
        "connect_timeout": "20s",
        "slow_start": 0,
        "discovery": {"interval": "50ms", "start_timeout": "30s"},
        "ejection": QUICK,
        "attempts": 5,
    }
    return {"services": {"svc": {"routes": [route], **calls, **more}}}


def listed(service: Service) -> dict[int, str]:
    return {port: view.state for port, view in views_by_port(service).items() if view.state != "leaving"}


@COLOURS
def test_told_in_time_no_call_fails_not_even_one_that_must_not_repeat(calling: Any) -> None:
    """A new instance is listed, the old one drains at weight 0, and ends when its calls have."""
    with (
        EasEmulator(COUNT, processes=True) as cloud,
        calling(service_of(dict(cloud.route())), cloud.environment) as (load, service),
    ):
        for old in list(cloud.instances):
            new = cloud.add_instance()
            load.wait_for(lambda new=new: listed(service()).get(new.port) == "ready")
            cloud.set_weight(old, 0)
            load.wait_for(
                lambda old=old: (
                    (view := views_by_port(service())[old.port]).state == "draining" and view.open_calls == 0
                )
            )
            load.go_on()  # a caller may have chosen it a moment before
            old.kill()
            cloud.remove_instance(old)
        load.go_on()
        new_ports = {instance.port for instance in cloud.instances}
        load.wait_for(lambda: set(listed(service())) == new_ports)
    assert load.failed == []
    assert set(load.answered) == {200}


@COLOURS
def test_told_late_calls_that_may_repeat_do_not_notice(calling: Any) -> None:
    """The instance dies first, and the list says so a while later."""
    with (
        EasEmulator(COUNT, processes=True) as cloud,
        calling(service_of(dict(cloud.route()), repeatable=True), cloud.environment) as (load, service),
    ):
        for old in list(cloud.instances):
            old.kill()
            load.go_on()
            new = cloud.add_instance()
            cloud.remove_instance(old)
            load.wait_for(lambda new=new: listed(service()).get(new.port) == "ready")
        load.go_on()
    assert load.failed == []
    assert set(load.answered) == {200}


@pytest.mark.parametrize(
    ("calling", "repeatable"),
    [(threads, True), (tasks, True), (threads, False)],
    ids=["sync", "async", "sync, must not repeat"],
)
def test_never_told_at_the_same_addresses(calling: Any, repeatable: bool) -> None:
    """A list that nobody corrects: each instance is killed, and another process comes at its port."""
    everyone = [ProcessInstance(f"old-{number}") for number in range(COUNT)]
    try:
        start_together(everyone)
        places = [(instance.host, instance.port) for instance in everyone]
        route: dict[str, object] = {"provider": "static", "addresses": [instance.url for instance in everyone]}
        with calling(service_of(route, repeatable=repeatable), {}) as (load, service):
            for number, (host, port) in enumerate(places):
                everyone[number].kill()
                load.wait_for(lambda port=port: views_by_port(service())[port].state != "ready")
                new = ProcessInstance(f"new-{number}", host=host, port=port)
                everyone.append(new)
                new.start()
                load.wait_for(lambda port=port: views_by_port(service())[port].state == "ready")
            load.go_on()
    finally:
        for instance in everyone:
            instance.stop()
    assert set(load.answered) == {200}
    if repeatable:
        assert load.failed == []
    # What was open at the kill, and a caller may get one more connection from a process that is half gone.
    assert len(load.failed) <= COUNT * 2 * CALLERS
    assert {error.attempts[-1].phase for error in load.failed} <= {Phase.SEND, Phase.WAIT, Phase.STREAM}
