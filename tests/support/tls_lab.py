"""Instances that speak https on loopback, with certificates of an authority that is made for the test."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import trustme
from wire_lab import RawServer, read_request

from directlane import Endpoint, Reply, Request, Timeouts
from directlane.core.transports.aiohttp_transport import AiohttpTransport
from directlane.core.transports.auto_transport import AutoTransport
from directlane.core.transports.httpx_transport import HttpxTransport
from directlane.core.transports.tls import TlsTransport
from directlane.core.transports.wire_transport import WireTransport

__all__ = ["WAYS", "Authority", "TlsInstance", "Way"]


@dataclass
class TlsInstance:
    """One server. Mutable state: what it has seen.

    Args:
        port: Where it listens, on 127.0.0.1.
        names: What each connection named as SNI; None for none.
        hosts: The `Host` of each request.
        clients: The common name in the certificate of each client; None for none.
    """

    port: int = 0
    names: list[str | None] = field(default_factory=list[str | None])
    hosts: list[str] = field(default_factory=list[str])
    clients: list[str | None] = field(default_factory=list[str | None])

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


class Authority:
    """An authority, and its file for `ca_file`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ca = trustme.CA()
        self.file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    @contextlib.contextmanager
    def instance(
        self, *names: str, wants_clients_of: Authority | None = None, ends: datetime | None = None
    ) -> Generator[TlsInstance]:
        """A server whose certificate has these names. It echoes bodies."""
        seen = TlsInstance()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*names, not_after=ends).configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
        context.set_servername_callback(lambda _, name, __: seen.names.append(name))
        if wants_clients_of is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(wants_clients_of.file)

        def script(plain: socket.socket, number: int) -> None:
            with contextlib.suppress(OSError), context.wrap_socket(plain.dup(), server_side=True) as connection:
                seen.clients.append(_common_name(connection.getpeercert()))
                while (got := read_request(connection)) is not None:
                    seen.hosts.append(dict(got[0].headers)[b"host"].decode())
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(got[1]), got[1]))

        with RawServer(script) as server:
            seen.port = server.endpoint.port
            yield seen

    def server(self, *names: str) -> tuple[bytes, bytes]:
        """The certificate of a server, and its key."""
        issued = self._ca.issue_cert(*names)
        return b"".join(blob.bytes() for blob in issued.cert_chain_pems), issued.private_key_pem.bytes()

    def client(self, name: str, stem: str = "client") -> tuple[Path, Path]:
        """The files of a certificate for a client, and of its key."""
        issued = self._ca.issue_cert(f"{name}@test", common_name=name)
        certificate, key = self._folder / f"{stem}.pem", self._folder / f"{stem}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        return certificate, key


def _common_name(certificate: Any) -> str | None:
    subject: Any = certificate.get("subject", ()) if certificate else ()
    names: dict[str, str] = dict(pair for part in subject for pair in part)
    return names.get("commonName")


_PATIENT = Timeouts(connect=20, total=30)


class Way:
    """A transport in one colour."""

    def __init__(self, kind: type[TlsTransport], backend: str | None) -> None:
        self.kind = kind
        self._backend = backend

    def send(self, transport: TlsTransport, *endpoints: Endpoint) -> list[Reply]:
        """One request to each, over a channel of its own. All are open at the same time."""
        if self._backend is None:
            channels = [transport.open(endpoint) for endpoint in endpoints]
            try:
                return [channel.send(_request(), _PATIENT) for channel in channels]
            finally:
                for channel in channels:
                    channel.close()
        return anyio.run(self._send, transport, endpoints, backend=self._backend)

    @staticmethod
    async def _send(transport: TlsTransport, endpoints: tuple[Endpoint, ...]) -> list[Reply]:
        channels = [transport.open_async(endpoint) for endpoint in endpoints]
        try:
            return [await channel.send(_request(), _PATIENT) for channel in channels]
        finally:
            for channel in channels:
                await channel.aclose()


def _request() -> Request:
    return Request("POST", "/", (("X-One", "1"),), b"hello")


WAYS = {
    "wire": Way(WireTransport, None),
    "wire-asyncio": Way(WireTransport, "asyncio"),
    "httpx": Way(HttpxTransport, None),
    "httpx-asyncio": Way(HttpxTransport, "asyncio"),
    "auto-trio": Way(AutoTransport, "trio"),
    "aiohttp": Way(AiohttpTransport, "asyncio"),
}
