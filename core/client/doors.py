"""The doors by library. httpx2 is an extra, so it is imported when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from ._async.httpx_door import AsyncHttpxTransport
from ._async.service import AsyncService
from ._sync.httpx_door import HttpxTransport
from ._sync.service import Service
from .httpx2_extra import needs_httpx2

if TYPE_CHECKING:
    from ._async.httpx2_door import AsyncHttpx2Transport
    from ._sync.httpx2_door import Httpx2Transport

__all__ = ["httpx2_transport", "httpx_transport"]


@overload
def httpx_transport(service: Service) -> HttpxTransport: ...
@overload
def httpx_transport(service: AsyncService) -> AsyncHttpxTransport: ...
def httpx_transport(service: Service | AsyncService) -> HttpxTransport | AsyncHttpxTransport:
    """A transport for an httpx client that you make yourself; its `base_url` is the client's `base_url`.

    Args:
        service: Where requests go. Its colour decides: a transport for `httpx.Client`, or for `httpx.AsyncClient`.
    """
    return AsyncHttpxTransport(service) if isinstance(service, AsyncService) else HttpxTransport(service)


@overload
def httpx2_transport(service: Service) -> Httpx2Transport: ...
@overload
def httpx2_transport(service: AsyncService) -> AsyncHttpx2Transport: ...
def httpx2_transport(service: Service | AsyncService) -> Httpx2Transport | AsyncHttpx2Transport:
    """A transport for an httpx2 client that you make yourself; its `base_url` is the client's `base_url`.

    Args:
        service: Where requests go. Its colour decides: a transport for `httpx2.Client`, or for `httpx2.AsyncClient`.

    Raises:
        ImportError: httpx2 is not installed; the text says how to get it.
    """
    with needs_httpx2():
        from ._async.httpx2_door import AsyncHttpx2Transport
        from ._sync.httpx2_door import Httpx2Transport
    return AsyncHttpx2Transport(service) if isinstance(service, AsyncService) else Httpx2Transport(service)
