"""Who takes part in the benchmark of calls, sync code: for each, how one call is made.

Each contender runs in a process of its own (`worker.py`), one of them with another interpreter, so libraries are
imported only when a contender is made, and nothing here needs more than the standard library before that.

All of them POST the same body to the same instances, one after the other in turn; the SDK and directlane find
them by themselves. Each is used as its manual says: one client for all threads, connections kept. No proxy is looked
for.
"""

from __future__ import annotations

import http.client
import importlib
import itertools
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from loads import PREDICT, SERVICE, STREAM_END, TOKEN, TYPE, Load

__all__ = ["SYNC", "Call", "Site", "configuration"]

Call = Callable[[], object]

READ = 262144
"""Bytes that one `recv` may bring."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where calls go, and which ones.

    Args:
        ports: Loopback ports of the instances.
        load: The kind of call.
    """

    ports: Sequence[int]
    load: Load

    @property
    def urls(self) -> list[str]:
        """The whole address of each instance."""
        return [f"http://127.0.0.1:{port}{self.load.target}" for port in self.ports]

    @property
    def headers(self) -> dict[str, str]:
        """What every call sends."""
        return {"authorization": TOKEN, "content-type": TYPE}

    def request(self, port: int) -> bytes:
        """The whole request as bytes."""
        head = (
            f"POST {self.load.target} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: {TOKEN}\r\n"
            f"content-type: {TYPE}\r\ncontent-length: {len(self.load.body)}\r\n\r\n"
        )
        return head.encode() + self.load.body


def raw_socket(site: Site, stack: ExitStack) -> Call:
    """`sendall` and `recv`, nothing else: what the kernel and the interpreter take by themselves."""
    idle: dict[int, list[socket.socket]] = {port: [] for port in site.ports}
    turns = itertools.cycle([(idle[port], port, site.request(port)) for port in site.ports])
    is_streamed, size = site.load.is_streamed, site.load.size

    def connect(port: int) -> socket.socket:
        connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def call() -> None:
        resting, port, request = next(turns)
        try:
            connection = resting.pop()
        except IndexError:
            connection = connect(port)
        connection.sendall(request)
        data = connection.recv(READ)
        assert data.startswith(b"HTTP/1.1 200")
        if is_streamed:
            while not data.endswith(STREAM_END):
                data = connection.recv(READ)
        else:
            missing = data.find(b"\r\n\r\n") + 4 + size - len(data)
            while missing:
                missing -= len(connection.recv(READ))
        resting.append(connection)

    return call


def http_client(site: Site, stack: ExitStack) -> Call:
    """`http.client` of the standard library, one connection per thread and instance: it has no pool."""
    del stack
    local = threading.local()
    headers, body, target = site.headers, site.load.body, site.load.target
    turns = itertools.cycle(site.ports)

    def call() -> None:
        port = next(turns)
        connections: dict[int, http.client.HTTPConnection] = local.__dict__
        connection = connections.get(port)
        if connection is None:
            connection = connections[port] = http.client.HTTPConnection("127.0.0.1", port)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.request("POST", target, body, headers)
        assert connection.getresponse().read()

    return call


def urllib3_pool(site: Site, stack: ExitStack) -> Call:
    """`urllib3.PoolManager`, one for all threads."""
    urllib3: Any = importlib.import_module("urllib3")
    manager = stack.enter_context(urllib3.PoolManager(num_pools=300, maxsize=256))
    headers, body, is_streamed = site.headers, site.load.body, site.load.is_streamed
    turns = itertools.cycle(site.urls)

    def call() -> None:
        response = manager.request("POST", next(turns), body=body, headers=headers, preload_content=not is_streamed)
        if is_streamed:
            for _ in response.stream():
                pass
            response.release_conn()
        assert response.status == 200

    return call


def httpx_client(library: str) -> Callable[[Site, ExitStack], Call]:
    """The client of httpx (or httpx2), one for all threads."""

    def make(site: Site, stack: ExitStack) -> Call:
        httpx: Any = importlib.import_module(library)
        client = stack.enter_context(
            httpx.Client(trust_env=False, limits=httpx.Limits(keepalive_expiry=None), timeout=60)
        )
        return httpx_call(client, site, site.urls, site.headers)

    return make


def httpx_call(client: Any, site: Site, urls: Sequence[str], headers: Mapping[str, str]) -> Call:
    """One call with a client of httpx, whatever is below it."""
    turns, body = itertools.cycle(urls), site.load.body

    def call() -> None:
        assert client.post(next(turns), content=body, headers=headers).content

    def stream() -> None:
        with client.stream("POST", next(turns), content=body, headers=headers) as response:
            for _ in response.iter_bytes():
                pass

    return stream if site.load.is_streamed else call


def configuration(site: Site, kind: str, transport: str) -> Mapping[str, object]:
    """What stands in the file of a user, for `static`, `plain` or `signed`."""
    route: dict[str, object]
    if kind == "static":
        addresses = [f"http://127.0.0.1:{port}{PREDICT}" for port in site.ports]
        route = {"provider": "static", "addresses": addresses, "token": "${TOKEN}"}
    else:
        route = {
            "provider": "alibaba_eas",
            "service": f"{SERVICE}-{len(site.ports)}",
            "discovery_host": f"127.0.0.1:{site.ports[0]}",
            "token": "${TOKEN}",
            "auth": kind,
        }
    return {"services": {SERVICE: {"routes": [route], "transport": transport, "timeout": "60s"}}}


def directlane_send(kind: str, transport: str = "wire") -> Callable[[Site, ExitStack], Call]:
    """The lean door: the whole framework, with discovery, balancing, statistics and a deadline."""

    def make(site: Site, stack: ExitStack) -> Call:
        import directlane

        data = configuration(site, kind, transport)
        service = stack.enter_context(directlane.Client.from_data(data, environment={"TOKEN": TOKEN})).service(SERVICE)
        headers, body, path = (("content-type", TYPE),), site.load.body, site.load.path

        def call() -> None:
            assert service.send(body, path=path, headers=headers).status == 200

        def stream() -> None:
            with service.stream(body, path=path, headers=headers) as reply:
                for _ in reply.iter_bytes():
                    pass

        return stream if site.load.is_streamed else call

    return make


def directlane_channel(site: Site, stack: ExitStack) -> Call:
    """The wire without the framework above it: what is missing to the whole is the framework's share."""
    from directlane.core.endpoint import Endpoint
    from directlane.core.interfaces import Timeouts
    from directlane.core.message import Request
    from directlane.core.transports.wire_transport import WireTransport

    transport = WireTransport()
    channels = [transport.open(Endpoint("127.0.0.1", port)) for port in site.ports]
    for channel in channels:
        stack.callback(channel.close)
    turns = itertools.cycle(channels)
    request = Request("POST", site.load.target, tuple(site.headers.items()), site.load.body)

    def call() -> None:
        assert next(turns).send(request, Timeouts(1.0, 60.0)).status == 200

    return call


def directlane_door(transport: str) -> Callable[[Site, ExitStack], Call]:
    """The httpx door: httpx on top, our dispatch in the middle, this transport below."""

    def make(site: Site, stack: ExitStack) -> Call:
        import directlane

        data = configuration(site, "plain", transport)
        client = stack.enter_context(directlane.Client.from_data(data, environment={"TOKEN": TOKEN}))
        http = stack.enter_context(client.http(SERVICE))
        return httpx_call(http, site, [site.load.path or "/"], {"content-type": TYPE})

    return make


def vendor_sdk(kind: str) -> Callable[[Site, ExitStack], Call]:
    """`eas-prediction` in DIRECT mode. Given the token, it signs; given a header, it sends that."""

    def make(site: Site, stack: ExitStack) -> Call:
        sdk: Any = importlib.import_module("eas_prediction")  # it has no types
        # The number in the name says how many instances the upstream names (three without one); the SDK keeps
        # connections for ten hosts.
        client = sdk.PredictClient(f"http://127.0.0.1:{site.ports[0]}", f"{SERVICE}-{len(site.ports)}{site.load.path}")
        client.set_endpoint_type("DIRECT")
        client.set_content_type(TYPE)
        if kind == "signed":
            client.set_token(TOKEN)
        else:
            client.add_extra_headers({"Authorization": TOKEN, "Content-Type": TYPE})
        client.init()
        stack.callback(client.destroy)
        request = sdk.StringRequest(site.load.body.decode())

        def call() -> None:
            assert client.predict(request)

        return call

    return make


SYNC: Mapping[str, Callable[[Site, ExitStack], Call]] = {
    "raw socket loop": raw_socket,
    "http.client": http_client,
    "urllib3": urllib3_pool,
    "httpx.Client": httpx_client("httpx"),
    "httpx2.Client": httpx_client("httpx2"),
    "eas-prediction, plain": vendor_sdk("plain"),
    "eas-prediction, signed": vendor_sdk("signed"),
    "directlane": directlane_send("plain"),
    "directlane, signed": directlane_send("signed"),
    "directlane, httpx door": directlane_door("wire"),
    "directlane, over httpx": directlane_send("plain", "httpx"),
    "directlane, wire alone": directlane_channel,
}
