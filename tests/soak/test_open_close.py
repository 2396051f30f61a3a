"""Clients that are opened, used and closed, 200 of each colour, leave nothing behind.

Tolerance: 1,000 blocks of Python's allocator, five for each client. The emulator's control server, which lives in this
process, keeps one for each question of a client; reading the installed packages anew moves some hundred in the caches
of the interpreter. One object of a client that stayed would keep thousands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from soak_lab import Footprint, needs_proc

import directlane
from directlane.core.discovery.hub import process_hub
from directlane.providers.alibaba_eas.emulator import EasEmulator

pytestmark = [pytest.mark.soak, needs_proc]

BODY = b'[{"money_credit": 3000000}]'
WARM_UP, CLIENTS = 30, 100


def test_clients_leave_nothing(fleet: EasEmulator, configuration: Mapping[str, object]) -> None:
    def open_and_close(clients: int) -> None:
        for _ in range(clients):
            with directlane.Client.from_data(configuration, environment=fleet.environment) as client:
                client.service("soak").send(BODY).raise_for_status()

    open_and_close(WARM_UP)
    warm = Footprint.now()
    open_and_close(CLIENTS)
    end = Footprint.now()
    assert end == warm
    end.assert_memory_flat(warm, blocks=1_000, megabytes=8)
    assert process_hub().pollers == 0


def test_async_clients_leave_nothing(fleet: EasEmulator, configuration: Mapping[str, object]) -> None:
    async def open_and_close(clients: int) -> None:
        for _ in range(clients):
            async with directlane.AsyncClient.from_data(configuration, environment=fleet.environment) as client:
                (await client.service("soak").send(BODY)).raise_for_status()

    async def main() -> None:
        await open_and_close(WARM_UP)
        await asyncio.sleep(0)
        warm = Footprint.now()
        await open_and_close(CLIENTS)
        await asyncio.sleep(0)
        end = Footprint.now()
        assert len(asyncio.all_tasks()) == 1
        assert end == warm
        end.assert_memory_flat(warm, blocks=1_000, megabytes=8)

    start = Footprint.now()
    asyncio.run(main())
    assert Footprint.now() == start
    assert process_hub().pollers == 0


def test_closing_with_open_streams_leaves_nothing(fleet: EasEmulator, configuration: Mapping[str, object]) -> None:
    def open_and_close(clients: int) -> None:
        for _ in range(clients):
            with directlane.Client.from_data(configuration, environment=fleet.environment) as client:
                reply = client.service("soak").open_stream(BODY)
            reply.close()

    open_and_close(WARM_UP)
    warm = Footprint.now()
    open_and_close(CLIENTS)
    assert Footprint.now() == warm
