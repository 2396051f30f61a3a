"""The far side of the benchmark of calls: answers every request with the same bytes, as fast as it can.

    python benchmarks/upstream.py          prints {"ports": [...]} and serves until its standard input closes

It listens on many loopback ports, as instances of one service. Each of them also plays the discovery server of PAI-EAS,
on both of its paths: asked for `bench-16`, it names sixteen of them. It checks nothing: what it costs must not depend
on who calls. It runs on uvloop if that is there. To each line on its standard input it answers with the CPU seconds
that it has used, so that the benchmark can tell whether it was the bottleneck.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import ClassVar, cast

from loads import EVENT, EVENTS, LARGE, SMALL_ANSWER, STREAM_END

INSTANCES = 256
DISCOVERY = (b"GET /exported/apis/eas.alibaba-inc.k8s.io/v1/upstreams/", b"GET /api/v1/servicediscovery/upstreams/")
FIELDS = b"HTTP/1.1 200 OK\r\nserver: bench\r\nx-request-id: 0123456789abcdef\r\ncontent-type: application/json\r\n"


def reply(body: bytes) -> bytes:
    """A whole answer."""
    return FIELDS + b"content-length: %d\r\n\r\n%b" % (len(body), body)


SMALL_REPLY = reply(SMALL_ANSWER)
LARGE_REPLY = reply(LARGE)
STREAM_HEAD = FIELDS + b"transfer-encoding: chunked\r\n\r\n"
STREAM_PIECE = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)


class Connection(asyncio.Protocol):
    """One connection: requests of any cut, one after the other."""

    ports: ClassVar[list[int]] = []
    """Where all instances listen; set once, before the first request can come."""

    def __init__(self) -> None:
        self._head = b""
        self._missing = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass

    def data_received(self, data: bytes) -> None:
        # Every caller waits for its answer before it asks again: what comes is one request, or a part of one.
        if self._missing:
            self._missing -= len(data)
            if not self._missing:
                self._answer(self._head)
            return
        data = self._head + data if self._head else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._head = data
            return
        self._missing = end + 4 + content_length(data[:end]) - len(data)
        if self._missing:
            self._head = data[:end]
        else:
            self._answer(data)

    def _answer(self, data: bytes) -> None:
        assert self._transport is not None
        self._head = b""
        line = data[: data.find(b"\r\n")]
        path = line[: line.rfind(b" ")]
        if path.endswith(b"/large"):
            self._transport.write(LARGE_REPLY)
        elif path.endswith(b"/stream"):
            self._transport.write(STREAM_HEAD)
            asyncio.get_running_loop().call_soon(self._stream, EVENTS)
        elif data.startswith(DISCOVERY):
            self._transport.write(found(path.partition(b"?")[0], self.ports))
        else:
            self._transport.write(SMALL_REPLY)

    def _stream(self, left: int) -> None:
        """One event in each turn of the loop: they travel one by one, as those of a language model do."""
        assert self._transport is not None
        if left:
            self._transport.write(STREAM_PIECE)
            asyncio.get_running_loop().call_soon(self._stream, left - 1)
        else:
            self._transport.write(STREAM_END)


def content_length(head: bytes) -> int:
    """How many bytes follow the head."""
    place = head.lower().find(b"\r\ncontent-length:")
    return int(head[place + 17 :].partition(b"\r\n")[0]) if place >= 0 else 0


def found(path: bytes, ports: list[int]) -> bytes:
    """The discovery answer for the service at the end of the path; the number in its name says how many instances."""
    count = path.rpartition(b"-")[2]
    items = [
        {"app": "bench", "ip": "127.0.0.1", "port": port, "weight": 100}
        for port in ports[: int(count) if count.isdigit() else 3]
    ]
    return reply(json.dumps({"correlative": ["bench"], "endpoints": {"items": items}}).encode())


async def main() -> None:
    """Serve until standard input closes: so it cannot outlive who started it."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Connection, "127.0.0.1", 0, backlog=1024) for _ in range(INSTANCES)]
    Connection.ports = [server.sockets[0].getsockname()[1] for server in servers]
    print(json.dumps({"ports": Connection.ports, "loop": type(loop).__module__}), flush=True)

    def answer_lines() -> None:
        for _ in sys.stdin:
            print(json.dumps({"cpu": time.process_time()}), flush=True)

    await loop.run_in_executor(None, answer_lines)
    for server in servers:
        server.close()


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
