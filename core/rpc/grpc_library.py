"""Where grpcio is met: imported when it is needed, its channels opened our way, its errors told in our words.

What an error means (`broken`), and why:

- A call is begun only on a connection that stands (see `readiness`). What fails before is phase CONNECT: there was no
  call, so nothing of it left.
- UNAVAILABLE after that is phase WAIT, which is repeated only if the call is repeatable. gRPC says of this status that
  there is no guarantee that the server has not seen anything (comment at GRPC_STATUS_UNAVAILABLE in grpc/status.h), and
  the library has by then repeated by itself what surely was not run (transparent retries, gRFC A6).
- DEADLINE_EXCEEDED is phase WAIT and late.
- Every other status is the answer of a server that does well: it is the caller's.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from ..errors import Phase, TransportError
from ..message import Headers

if TYPE_CHECKING:
    from types import ModuleType

    import grpc
    import grpc.aio

    from ..endpoint import Endpoint

__all__ = [
    "Metadata",
    "broken",
    "check_grpc",
    "is_rpc_error",
    "merged",
    "open_channel",
    "open_channel_async",
]

Metadata = Sequence[tuple[str, str | bytes]]
"""gRPC's header fields."""

_OPTIONS = (
    # The direct path goes straight to the instance, whatever proxy the environment names.
    ("grpc.enable_http_proxy", 0),
    # One connection for one channel: closing one endpoint's channel closes its connection.
    ("grpc.use_local_subchannel_pool", 1),
    # gRPC waits up to two minutes before it connects anew. We ask elsewhere meanwhile, so it may look more often.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)
_SECURE_SCHEMES = frozenset({"https", "grpcs"})
_NOT_METADATA = frozenset({"connection", "content-length", "content-type", "host", "te", "transfer-encoding"})


class _RpcError(Protocol):
    """What the errors of both colours have; grpc.RpcError itself declares nothing."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...


def check_grpc() -> None:
    """Import grpcio.

    Raises:
        ModuleNotFoundError: It is not installed; the text says what to install.
    """
    try:
        importlib.import_module("grpc")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "a gRPC channel needs the package grpcio\nNext: pip install 'directlane[grpc]'", name=error.name
        ) from error


def _grpc() -> ModuleType:
    import grpc

    return grpc


def open_channel(
    endpoint: Endpoint, options: Iterable[tuple[str, object]], credentials: grpc.ChannelCredentials | None
) -> grpc.Channel:
    """A channel to one endpoint. Does no I/O: it connects when it is needed."""
    import grpc

    every = [*_OPTIONS, *_name_option(endpoint), *options]
    if credentials is None and endpoint.scheme not in _SECURE_SCHEMES:
        return grpc.insecure_channel(_target(endpoint), every)
    return grpc.secure_channel(_target(endpoint), credentials or grpc.ssl_channel_credentials(), every)


def open_channel_async(
    endpoint: Endpoint, options: Iterable[tuple[str, object]], credentials: grpc.ChannelCredentials | None
) -> grpc.aio.Channel:
    """As `open_channel`, for asyncio.

    Raises:
        RuntimeError: The event loop is not asyncio's.
    """
    import grpc.aio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError("gRPC for async code runs on asyncio only\nNext: use asyncio, or a `GrpcChannel`.") from None
    every = [*_OPTIONS, *_name_option(endpoint), *options]
    if credentials is None and endpoint.scheme not in _SECURE_SCHEMES:
        return grpc.aio.insecure_channel(_target(endpoint), every)
    return grpc.aio.secure_channel(_target(endpoint), credentials or grpc.ssl_channel_credentials(), every)


def _target(endpoint: Endpoint) -> str:
    ip = endpoint.ip
    return f"dns:///{endpoint.authority}" if ip is None else f"ipv{ip.version}:{endpoint.authority}"


def _name_option(endpoint: Endpoint) -> list[tuple[str, object]]:
    """What the certificate must name, if it is not the address; gRPC sends it as `:authority` too."""
    name = endpoint.server_name
    return [] if name is None else [("grpc.ssl_target_name_override", name)]


def is_rpc_error(error: BaseException) -> bool:
    """Whether gRPC says so."""
    return isinstance(error, _grpc().RpcError)


def broken(error: _RpcError, phase: Phase) -> TransportError | None:
    """The failure of the wire that the error tells of; None if it is a server's answer."""
    codes = _grpc().StatusCode
    code = error.code()
    if code is not codes.UNAVAILABLE and code is not codes.DEADLINE_EXCEEDED:
        return None
    text = f"gRPC status {code.name}: {(error.details() or 'no details')[:200]}"
    return TransportError(text, phase=phase, timed_out=code is codes.DEADLINE_EXCEEDED)


def merged(headers: Headers, metadata: Metadata) -> list[tuple[str, str | bytes]]:
    """The caller's metadata and the provider's header fields, which win: they say who we are."""
    ours = {name.lower(): value for name, value in headers if name.lower() not in _NOT_METADATA}
    return [*((name, value) for name, value in metadata if name.lower() not in ours), *ours.items()]
