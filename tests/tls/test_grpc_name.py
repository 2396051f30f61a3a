"""gRPC over TLS to an address whose certificate has a name."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tls_lab import Authority

from directlane import AsyncClient, AsyncGrpcChannel, AttemptsError, Client, GrpcChannel

grpc: Any = pytest.importorskip("grpc", reason="needs grpcio: pip install 'directlane[grpc]'")

NAME = "chat.example.com"
METHOD = "/test.Instance/Authority"


@pytest.fixture(scope="module")
def port(authority: Authority) -> Iterator[int]:
    """A server that answers what `:authority` it was asked with."""

    def told(request: bytes, context: Any) -> bytes:
        host: bytes = context._rpc_event.call_details.host
        return host

    certificate, key = authority.server(NAME)
    methods = {"Authority": grpc.unary_unary_rpc_method_handler(told)}
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Instance", methods)])
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
    server.start()
    yield port
    server.stop(None)


def configuration(port: int, name: str | None) -> dict[str, Any]:
    route = {"provider": "static", "addresses": [f"https://127.0.0.1:{port}"]}
    if name is not None:
        route["server_name"] = name
    return {"services": {"svc": {"routes": [route], "connect_timeout": "20s", "timeout": "20s", "attempts": 1}}}


def credentials(authority: Authority) -> Any:
    return grpc.ssl_channel_credentials(authority.file.read_bytes())


def test_name_is_what_the_certificate_must_have_and_the_authority_of_calls(port: int, authority: Authority) -> None:
    with Client.from_data(configuration(port, NAME)) as client:
        channel = GrpcChannel(client.service("svc"), credentials=credentials(authority))
        assert channel.unary_unary(METHOD)(b"") == NAME.encode()


@pytest.mark.anyio
async def test_async_the_same(port: int, authority: Authority) -> None:
    async with AsyncClient.from_data(configuration(port, NAME)) as client:
        channel = AsyncGrpcChannel(client.service("svc"), credentials=credentials(authority))
        assert await channel.unary_unary(METHOD)(b"") == NAME.encode()


@pytest.mark.parametrize("name", [None, "other.example.com"])
def test_certificate_without_the_name_is_refused(port: int, authority: Authority, name: str | None) -> None:
    data = configuration(port, name)
    data["services"]["svc"]["connect_timeout"] = "1s"
    with Client.from_data(data) as client:
        channel = GrpcChannel(client.service("svc"), credentials=credentials(authority))
        with pytest.raises(AttemptsError, match="cannot connect"):
            channel.unary_unary(METHOD)(b"")
