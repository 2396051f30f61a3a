"""A TCP service of three processes: balanced by lease, with failover when one is killed under load."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from lease_lab import Instances

from directlane import AsyncClient, AttemptsError, CallError, Client, EndpointLease, Phase

CALLERS = 16
BEFORE_THE_KILL = 100
CALLS = 600


def asked(lease: EndpointLease, line: str) -> str:
    """Ask an instance, on a connection of its own."""
    with lease.connecting():
        connection = socket.create_connection(lease.address, timeout=lease.connect_timeout)
    with connection, connection.makefile("rb") as answers:
        connection.settimeout(lease.remaining)
        connection.sendall(f"{line}\n".encode())
        answer = answers.readline()
    if not answer.endswith(b"\n"):
        raise EOFError
    return answer.decode().split()[0]


async def asked_async(lease: EndpointLease, line: str) -> str:
    with lease.connecting():
        reader, writer = await asyncio.open_connection(*lease.address)
    try:
        writer.write(f"{line}\n".encode())
        return (await reader.readuntil()).decode().split()[0]
    finally:
        writer.close()
        # A connection that broke tells so once more when it is closed.
        await asyncio.wait([asyncio.ensure_future(writer.wait_closed())])


def test_shares_are_even(echoes: Instances) -> None:
    with Client.from_data(echoes.data()) as client:
        service = client.service("svc")
        answers = Counter(service.run(lambda lease: asked(lease, "x")) for _ in range(30))
        with service.lease() as lease:
            assert asked(lease, "y") in answers
    assert sorted(answers.values()) == [10, 10, 10]


def run_sync(echoes: Instances, *, repeatable: bool) -> tuple[list[str], list[tuple[str, CallError]]]:
    answered: list[str] = []
    failed: list[tuple[str, CallError]] = []
    is_time = threading.Event()
    with Client.from_data(echoes.data(repeatable=repeatable, timeout="30s")) as client:
        service = client.service("svc")

        def call(number: int) -> None:
            line = f"call-{number}"
            try:
                service.run(lambda lease: asked(lease, line))
            except CallError as error:
                failed.append((line, error))
            else:
                answered.append(line)
            if len(answered) >= BEFORE_THE_KILL:
                is_time.set()

        with ThreadPoolExecutor(CALLERS) as pool:
            calls = [pool.submit(call, number) for number in range(CALLS)]
            assert is_time.wait(60)
            echoes[1].kill()
            for ended in calls:
                ended.result()
        assert [view.open_calls for view in service.endpoints()] == [0, 0, 0]
    return answered, failed


def run_async(echoes: Instances, *, repeatable: bool) -> tuple[list[str], list[tuple[str, CallError]]]:
    answered: list[str] = []
    failed: list[tuple[str, CallError]] = []

    async def main() -> None:
        is_time = asyncio.Event()
        async with AsyncClient.from_data(echoes.data(repeatable=repeatable, timeout="30s")) as client:
            service = client.service("svc")
            numbers = iter(range(CALLS))

            async def caller() -> None:
                for number in numbers:
                    line = f"call-{number}"

                    async def attempt(lease: EndpointLease, line: str = line) -> str:
                        return await asked_async(lease, line)

                    try:
                        await service.run(attempt)
                    except CallError as error:
                        failed.append((line, error))
                    else:
                        answered.append(line)
                    if len(answered) >= BEFORE_THE_KILL:
                        is_time.set()

            async def killer() -> None:
                await is_time.wait()
                await asyncio.to_thread(echoes[1].kill)

            await asyncio.gather(killer(), *(caller() for _ in range(CALLERS)))
            assert [view.open_calls for view in service.endpoints()] == [0, 0, 0]

    asyncio.run(main())
    return answered, failed


Run = Callable[..., tuple[list[str], list[tuple[str, CallError]]]]
RUNNERS = pytest.mark.parametrize("run", [run_sync, run_async])


@RUNNERS
def test_repeatable_calls_do_not_notice_a_kill(echoes: Instances, run: Run) -> None:
    answered, failed = run(echoes, repeatable=True)
    assert failed == []
    assert len(answered) == CALLS


@RUNNERS
def test_calls_that_must_not_repeat_are_never_run_twice(echoes: Instances, run: Run) -> None:
    answered, failed = run(echoes, repeatable=False)
    assert max(echoes.runs().values()) == 1
    assert len(answered) + len(failed) == CALLS
    assert len(failed) <= CALLERS, "no more than what was open at the kill"
    for _, error in failed:
        assert isinstance(error, AttemptsError)
        assert error.phase is Phase.WAIT
        assert error.attempts[-1].endpoint.port == echoes[1].port
