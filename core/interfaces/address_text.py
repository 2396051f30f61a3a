"""The address of a server, as people write it: a URL."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from ..endpoint import Endpoint, InvalidEndpoint

__all__ = ["endpoint_at"]

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HELP = "write it like 'http://10.0.0.7:8000' or 'https://models.example.com/base'"


def endpoint_at(
    url: str,
    *,
    weight: int | None = None,
    zone: str | None = None,
    labels: Mapping[str, str] | None = None,
    server_name: str | None = None,
) -> Endpoint:
    """The endpoint at a URL. Without a port, it is the scheme's own (80, 443). `server_name` is for https only.

    Raises:
        ValueError: It is not the address of an HTTP server, or has parts that an address must not have.
    """
    if "@" in url:
        # The text is not shown: it holds a password.
        raise ValueError(f"an address must not hold a user name or password (use `token`); {_HELP}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{url!r} is not an address: {error}; {_HELP}") from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is not an address with http:// or https://; {_HELP}")
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise ValueError(f"address {url!r} must not have a query or a fragment: they belong to a call; {_HELP}")
    try:
        return Endpoint(
            host=parts.hostname,
            port=_DEFAULT_PORTS[parts.scheme] if port is None else port,
            scheme=parts.scheme,
            base_path=parts.path.rstrip("/"),
            weight=weight,
            zone=zone,
            labels=labels or {},
            server_name=server_name if parts.scheme == "https" else None,
        )
    except InvalidEndpoint as error:
        raise ValueError(f"{url!r} is not an address: {error}; {_HELP}") from None
