"""A channel belongs to one event loop, and begins anew in the next when that one has ended."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading

import pytest
from wire_lab import GET, PATIENT, RawServer, read_request

from directlane import InvalidRequestError
from directlane.core.interfaces.transport import AsyncChannel
from directlane.core.transports.wire_transport import WireTransport

# What was open when an event loop ended is collected as garbage, and Python says so: nobody closed the channel there.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


def answers(connection: socket.socket, number: int) -> None:
    del number
    while read_request(connection) is not None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


async def begun(server: RawServer, limit: int | None) -> AsyncChannel:
    channel = WireTransport(max_connections=limit).open_async(server.endpoint)
    assert (await channel.send(GET, PATIENT)).ok
    return channel


@pytest.mark.parametrize("limit", [None, 1])
def test_channel_begins_anew_when_its_event_loop_has_ended(limit: int | None) -> None:
    with RawServer(answers) as server:
        channel = asyncio.run(begun(server, limit))

        async def go_on() -> None:
            assert all(reply.ok for reply in await asyncio.gather(*(channel.send(GET, PATIENT) for _ in range(3))))

        asyncio.run(go_on())
        assert asyncio.run(channel.warm(1, PATIENT)) == 1
        asyncio.run(channel.aclose())  # in another event loop than its connections
        gc.collect()


def test_channel_of_an_event_loop_that_lives_is_refused_in_another() -> None:
    async def main(server: RawServer) -> None:
        channel = await begun(server, None)
        refused: list[str] = []

        def elsewhere() -> None:
            with pytest.raises(InvalidRequestError) as caught:
                asyncio.run(channel.send(GET, PATIENT))
            refused.append(str(caught.value))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0.001)
        assert refused == [
            "this client belongs to another event loop, which is not closed\nNext: make a client for each event loop."
        ]
        assert (await channel.send(GET, PATIENT)).ok, "it goes on in its own"
        await channel.aclose()

    with RawServer(answers) as server:
        asyncio.run(main(server))
