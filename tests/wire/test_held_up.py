"""An event loop that was held up: what came meanwhile counts, though its timer rings in the same turn."""

from __future__ import annotations

import asyncio
import time

import pytest
from fault_lab import Wall
from wire_lab import GET, AsyncCaller

from directlane import AsyncChannel, Phase, Timeouts, TransportError
from directlane.core.emulation import LoopbackServer, ServerReply
from directlane.core.endpoint import Endpoint
from directlane.core.transports.wire_transport import WireTransport

SHORT = Timeouts(connect=0.02, total=60)


async def opened(channel: AsyncChannel) -> int:
    """The status of a call during whose connect the loop is held up, for longer than the limit."""
    call = asyncio.create_task(channel.send(GET, SHORT))
    await asyncio.sleep(0)  # the task has begun to connect
    time.sleep(0.1)  # noqa: ASYNC251 - this is the fault
    return (await call).status


def test_a_connection_that_stands_is_used(tasks: AsyncCaller) -> None:
    with LoopbackServer(lambda _: ServerReply()) as server:

        async def main() -> None:
            channel = WireTransport().open_async(Endpoint(server.host, server.port))
            assert await opened(channel) == 200
            await channel.aclose()

        tasks.run(main())


def test_one_that_does_not_is_late_all_the_same(tasks: AsyncCaller) -> None:
    wall = Wall()

    async def main() -> None:
        channel = WireTransport().open_async(Endpoint(wall.host, wall.port))
        with pytest.raises(TransportError, match="took longer than 20ms") as caught:
            await opened(channel)
        assert (caught.value.phase, caught.value.timed_out) == (Phase.CONNECT, True)
        await channel.aclose()

    try:
        tasks.run(main())
    finally:
        wall.close()
