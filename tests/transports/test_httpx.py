"""What is special about the httpx transport: it runs on trio, which minds what is left open."""

from __future__ import annotations

import gc
import socket

import anyio
import pytest
from wire_lab import RawServer

from directlane import Request, Timeouts, TransportError
from directlane.core.transports.httpx_transport import HttpxTransport

BODY = bytes(8_000_000)


def _hangs_up(connection: socket.socket, number: int) -> None:
    connection.recv(1000)
    connection.close()


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_body_that_is_not_taken_to_its_end_is_closed(backend: str, *, streams: bool) -> None:
    async def main() -> None:
        channel = HttpxTransport().open_async(server.endpoint)
        with pytest.raises(TransportError):
            await (channel.stream if streams else channel.send)(Request("POST", "/", (), BODY), Timeouts(5, 10))
        gc.collect()  # trio would tell of it, and pytest fail
        await channel.aclose()

    with RawServer(_hangs_up) as server:
        anyio.run(main, backend=backend)
