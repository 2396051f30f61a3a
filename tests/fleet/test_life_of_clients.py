"""Clients with a store in programs of all shapes: threads, event loops, processes that are forked or started anew."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from discovery_lab import hub_threads

from directlane import AsyncClient, Client, load_data
from directlane.core.config.model import Config
from directlane.core.discovery.hub import DiscoveryHub
from directlane.providers.alibaba_eas.emulator import EasEmulator

SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture
def cloud() -> Iterator[EasEmulator]:
    with EasEmulator(2) as emulator:
        yield emulator


@pytest.fixture
def data(cloud: EasEmulator, store: str) -> dict[str, object]:
    service = {"routes": [dict(cloud.route())], "repeatable": True, "discovery": {"start_timeout": "30s"}}
    return {"store": store, "services": {"svc": service}}


@pytest.fixture
def config(cloud: EasEmulator, data: dict[str, object]) -> Config:
    return load_data(data, source="test", environment=cloud.environment)


def run(words: list[str], data: dict[str, object], cloud: EasEmulator) -> str:
    """What a program prints; it must end with status 0 and without a complaint."""
    environment = {**os.environ, **cloud.environment, "LANE": json.dumps(data)}
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def names_in_the_store(hub: DiscoveryHub) -> list[str]:
    return [link.holder for link in hub._links.values()]  # pyright: ignore[reportPrivateUsage]  # a store tells none


async def called(client: AsyncClient, times: int = 3) -> bool:
    replies = await asyncio.gather(*(client.service("svc").send(b"{}") for _ in range(times)))
    return all(reply.ok for reply in replies)


# What was open when an event loop ended is collected as garbage, and Python says so: nobody closed the client there.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_async_client_serves_one_event_loop_after_another_with_one_poller(config: Config) -> None:
    hub = DiscoveryHub()
    client = AsyncClient(config, hub=hub)
    for _ in range(3):
        assert asyncio.run(called(client))
        assert hub.pollers == 1
        assert "directlane-store" in hub_threads()
    asyncio.run(client.aclose())
    assert hub.pollers == 0
    assert hub_threads() == []
    gc.collect()


def test_clients_in_event_loops_side_by_side_share_one_poller_and_one_name_in_the_store(config: Config) -> None:
    hub, together = DiscoveryHub(), threading.Barrier(3)

    async def main() -> list[str]:
        async with AsyncClient(config, hub=hub) as client:
            together.wait(60)
            assert await called(client)
            together.wait(60)
            holders = names_in_the_store(hub)
            assert hub.pollers == 1
            together.wait(60)
            return holders

    with ThreadPoolExecutor(3) as threads:
        holders = [asked.result() for asked in [threads.submit(asyncio.run, main()) for _ in range(3)]]
    assert holders[0] == holders[1] == holders[2]
    assert len(holders[0]) == 1
    assert hub.pollers == 0
    assert hub_threads() == []


def test_threads_share_a_client_and_one_of_them_closes_it(config: Config) -> None:
    hub, together = DiscoveryHub(), threading.Barrier(8)
    client = Client(config, hub=hub)

    def work() -> bool:
        together.wait(60)
        return all(client.service("svc").send(b"{}").ok for _ in range(5))

    with ThreadPoolExecutor(8) as threads:
        assert all(asked.result() for asked in [threads.submit(work) for _ in range(8)])
        assert hub.pollers == len(names_in_the_store(hub)) == 1
        threads.submit(client.close).result()
    assert hub.pollers == 0
    assert hub_threads() == []


FORKS = """
    import json, os, sys, threading
    import directlane
    client = directlane.Client.from_data(json.loads(os.environ["LANE"]))
    service = client.service("svc")
    assert service.send(b"{}").ok
    is_over = threading.Event()

    def work():
        while not is_over.is_set():
            assert service.send(b"{}").ok

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    children = []
    for _ in range(2):  # while two threads call, and two more work for discovery and for the store
        child = os.fork()
        if child == 0:
            assert service.send(b"{}").ok
            sys.exit(0)  # without `close`
        children.append(child)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    is_over.set()
    assert statuses == [0] * 2, statuses
    assert service.send(b"{}").ok
"""


def test_children_of_a_fork_amid_the_work_call_and_end_without_close(
    data: dict[str, object], cloud: EasEmulator
) -> None:
    assert run(["-c", textwrap.dedent(FORKS)], data, cloud) == ""


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_process_that_is_started_anew_is_somebody_else_in_the_store(
    data: dict[str, object], cloud: EasEmulator
) -> None:
    told = json.loads(run([str(SUPPORT / "spawning_program.py")], data, cloud))
    assert [(how, is_ok) for how, is_ok, _ in told] == [("global 0", True), ("global 1", True), ("handed over", True)]
    (parent,), (child,), (again,) = (names for _, _, names in told)
    assert child != parent
    assert again == child, "two clients of one process are one in the store"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_client_cannot_be_handed_to_another_process_and_says_what_can(kind: type[Client | AsyncClient]) -> None:
    client = kind.from_data({"services": {"s": {"routes": [{"provider": "static", "addresses": ["http://10.0.0.1"]}]}}})
    with pytest.raises(TypeError, match=r"Client cannot be pickled.*\nNext: hand over what it is made from"):
        pickle.dumps(client)
