"""What this package brings: the entry point in pyproject.toml names this module."""

from directlane import Balancer, Transport, hookimpl

from .http_client import HttpClientTransport
from .zone_first import ZoneFirst

__all__ = ["directlane_balancers", "directlane_transports"]


@hookimpl
def directlane_balancers() -> list[type[Balancer]]:
    """The balancer `zone_first`."""
    return [ZoneFirst]


@hookimpl
def directlane_transports() -> list[type[Transport]]:
    """The transport `http_client`."""
    return [HttpClientTransport]
