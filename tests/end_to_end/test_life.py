"""Cancelled callers, forks, and programs that end without closing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from directlane import AsyncClient, Client, load_data
from directlane.core.discovery.hub import DiscoveryHub
from directlane.core.emulation import HANG, NONE, ThreadInstance
from directlane.providers.alibaba_eas.emulator import EasEmulator


def data_of(cloud: EasEmulator) -> dict[str, object]:
    return {"services": {"svc": {"routes": [dict(cloud.route())], "repeatable": True}}}


def test_cancelled_calls_leave_nothing_behind() -> None:
    with EasEmulator(2) as cloud:

        async def main() -> None:
            async with AsyncClient.from_data(data_of(cloud), environment=cloud.environment) as client:
                service = client.service("svc")
                assert (await service.send(b"{}")).ok
                for instance in cloud.instances:
                    assert isinstance(instance, ThreadInstance)
                    instance.set_fault(HANG)
                tasks = [asyncio.create_task(service.send(b"{}")) for _ in range(20)]
                while sum(view.open_calls for view in service.endpoints()) < 20:
                    await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
                assert all(isinstance(result, asyncio.CancelledError) for result in ended)
                assert all(view.open_calls == 0 for view in service.endpoints())
                for instance in cloud.instances:
                    assert isinstance(instance, ThreadInstance)
                    instance.set_fault(NONE)
                replies = await asyncio.gather(*(service.send(str(n)) for n in range(20)))
                assert all(reply.ok for reply in replies), "no half-used connection went back to the pool"

        asyncio.run(main())


def test_cancelled_stream_gives_its_lease_back() -> None:
    with EasEmulator(1) as cloud:

        async def main() -> None:
            async with AsyncClient.from_data(data_of(cloud), environment=cloud.environment) as client:
                service = client.service("svc")

                async def read() -> None:
                    async with service.stream(b'{"stream": true}'):
                        await asyncio.Event().wait()

                task = asyncio.create_task(read())
                while not any(view.open_calls for view in service.endpoints()):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert service.endpoints()[0].open_calls == 0
                assert (await service.send(b"{}")).ok

        asyncio.run(main())


FORK = """
    import os, sys, directlane
    data = {"services": {"svc": {"routes": [%(route)r], "repeatable": True}}}
    client = directlane.Client.from_data(data, environment=%(environment)r)
    service = client.service("svc")
    assert service.send(b"{}").ok
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            replies = [service.send(b"{}") for _ in range(10)]   # the object from before the fork
            assert all(reply.ok for reply in replies)
            assert all(view.open_calls == 0 for view in service.endpoints())
            assert sum(view.attempts for view in service.endpoints()) == 10, "statistics begin anew"
            client.close()
            os._exit(0)
        children.append(pid)
    assert all(service.send(b"{}").ok for _ in range(10))        # the parent goes on
    statuses = [os.waitpid(pid, 0)[1] for pid in children]
    assert statuses == [0, 0, 0, 0], statuses
    assert service.send(b"{}").ok
    client.close()
    print("fine")
"""

NO_CLOSE = """
    import directlane
    data = {"services": {"svc": {"routes": [%(route)r], "discovery": {"interval": "20ms"}}}}
    client = directlane.Client.from_data(data, environment=%(environment)r)
    assert client.service("svc").send(b"{}").ok
    print("fine")
"""


@pytest.mark.parametrize("program", [FORK, NO_CLOSE], ids=["fork", "no close"])
def test_programs(program: str) -> None:
    with EasEmulator(2) as cloud:
        text = textwrap.dedent(program) % {"route": dict(cloud.route()), "environment": dict(cloud.environment)}
        ran = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout.strip()) == (0, "fine"), ran.stderr
    assert ran.stderr == ""


def test_service_that_many_threads_ask_for_at_once_is_opened_once() -> None:
    """A race needs many tries: 40 clients, 16 threads each, that all begin in the same moment."""
    hub = DiscoveryHub()
    with EasEmulator(1) as cloud:
        config = load_data(data_of(cloud), source="test", environment=cloud.environment)
        for _ in range(40):
            with Client(config, hub=hub) as client, ThreadPoolExecutor(16) as threads:
                together = threading.Barrier(16)

                def ask(client: Client = client, together: threading.Barrier = together) -> object:
                    together.wait()
                    return client.service("svc").routes[0]

                routes = [asked.result() for asked in [threads.submit(ask) for _ in range(16)]]
                assert len({id(route) for route in routes}) == 1
            assert hub.pollers == 0, "a poller was left behind"


def test_closing_leaves_no_thread() -> None:
    with EasEmulator(2) as cloud:
        before = set(threading.enumerate())
        with Client.from_data(data_of(cloud), environment=cloud.environment) as client:
            assert client.service("svc").send(b"{}").ok
            assert len(set(threading.enumerate()) - before) == 1
        assert set(threading.enumerate()) == before
