"""One of three instances, a real process, is killed (SIGKILL) under 32 concurrent callers.

What the instances ran is read from their ledgers, which survive the kill: one line for each request that was run.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from directlane import AsyncClient, CallError, Client, Phase
from directlane.providers.alibaba_eas.emulator import EasEmulator

CALLERS = 32
CALLS_BEFORE_THE_KILL = 300
CALLS_IN_ALL = 1500


@pytest.fixture
def cloud() -> Iterator[EasEmulator]:
    with EasEmulator(3, processes=True) as emulator:
        yield emulator


def configuration(cloud: EasEmulator, *, repeatable: bool) -> dict[str, Any]:
    # A second to connect is short on a busy machine; a port where nobody listens refuses at once all the same.
    service: dict[str, Any] = {"routes": [dict(cloud.route())], "timeout": "60s", "connect_timeout": "20s"}
    if repeatable:
        service["repeatable"] = True
    return {"services": {"svc": service}}


@dataclass
class Tally:
    """What the callers saw. Appending to a list is atomic."""

    answered: list[str] = field(default_factory=list[str])
    failed: list[tuple[str, CallError]] = field(default_factory=list[tuple[str, CallError]])
    statuses: list[int] = field(default_factory=list[int])
    ready_to_kill: threading.Event = field(default_factory=threading.Event)

    def count(self, request_id: str, status: int) -> None:
        self.answered.append(request_id)
        self.statuses.append(status)
        if len(self.answered) >= CALLS_BEFORE_THE_KILL:
            self.ready_to_kill.set()


def run_sync(cloud: EasEmulator, *, repeatable: bool) -> Tally:
    tally = Tally()
    with Client.from_data(configuration(cloud, repeatable=repeatable), environment=cloud.environment) as client:
        service = client.service("svc")

        def call(number: int) -> None:
            request_id = f"call-{number}"
            try:
                reply = service.send(b"{}", headers={"X-Request-Id": request_id})
            except CallError as error:
                tally.failed.append((request_id, error))
            else:
                tally.count(request_id, reply.status)

        with ThreadPoolExecutor(CALLERS) as pool:
            calls = [pool.submit(call, number) for number in range(CALLS_IN_ALL)]
            assert tally.ready_to_kill.wait(60)
            cloud.instances[1].kill()
            for ended in calls:
                ended.result()
        assert all(view.open_calls == 0 for view in service.endpoints())
    return tally


def run_async(cloud: EasEmulator, *, repeatable: bool) -> Tally:
    tally = Tally()

    async def main() -> None:
        data = configuration(cloud, repeatable=repeatable)
        async with AsyncClient.from_data(data, environment=cloud.environment) as client:
            service = client.service("svc")
            numbers = iter(range(CALLS_IN_ALL))

            async def caller() -> None:
                for number in numbers:
                    request_id = f"call-{number}"
                    try:
                        reply = await service.send(b"{}", headers={"X-Request-Id": request_id})
                    except CallError as error:
                        tally.failed.append((request_id, error))
                    else:
                        tally.count(request_id, reply.status)

            async def killer() -> None:
                assert await asyncio.to_thread(tally.ready_to_kill.wait, 60)
                await asyncio.to_thread(cloud.instances[1].kill)

            await asyncio.gather(killer(), *(caller() for _ in range(CALLERS)))
            assert all(view.open_calls == 0 for view in service.endpoints())

    asyncio.run(main())
    return tally


def runs(cloud: EasEmulator) -> Counter[str]:
    """How many times each request was run, over all instances, the dead one included."""
    return Counter(request_id for instance in cloud.instances for request_id in instance.ledger())


RUNNERS = pytest.mark.parametrize("run", [run_sync, run_async], ids=["sync", "async"])


@RUNNERS
def test_repeatable_calls_do_not_notice(cloud: EasEmulator, run: Any) -> None:
    tally = run(cloud, repeatable=True)
    assert tally.failed == []
    assert len(tally.answered) == CALLS_IN_ALL
    assert set(tally.statuses) == {200}


@RUNNERS
def test_of_calls_that_must_not_repeat_only_those_already_sent_to_the_dead_instance_fail(
    cloud: EasEmulator, run: Any
) -> None:
    dead = cloud.instances[1]
    tally = run(cloud, repeatable=False)
    ran = runs(cloud)
    assert max(ran.values()) == 1, "nothing was run twice"
    assert len(tally.answered) + len(tally.failed) == CALLS_IN_ALL
    assert set(tally.statuses) == {200}
    # What was open at the kill; and a caller may get one more connection from a process that is half gone.
    assert len(tally.failed) <= 2 * CALLERS
    for _, error in tally.failed:
        last = error.attempts[-1]
        assert last.endpoint.port == dead.port
        assert last.phase in (Phase.SEND, Phase.WAIT, Phase.STREAM), "connections that were refused go elsewhere"
        assert last.phase.value in str(error)
        assert error.may_have_run
    for request_id in tally.answered:
        assert ran[request_id] == 1
