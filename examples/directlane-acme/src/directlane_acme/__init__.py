"""A balancer and a transport for directlane."""

from .http_client import HttpClientTransport
from .zone_first import ZoneFirst

__all__ = ["HttpClientTransport", "ZoneFirst"]
