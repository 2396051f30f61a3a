"""The settings of the wire as its channels get them."""

from __future__ import annotations

from dataclasses import dataclass

from ..tls import TlsContexts

__all__ = ["WireOptions"]


@dataclass(frozen=True, slots=True)
class WireOptions:
    """See `WireTransport`, whose fields these are."""

    keepalive: float
    max_age: float
    max_idle: int
    max_connections: int | None
    max_head: int
    max_body: int | None
    unix_socket: str | None
    tcp_keepalive: float
    tls: TlsContexts | None
