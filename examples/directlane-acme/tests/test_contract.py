"""The rules that hold for every balancer and every transport, tried on these."""

from directlane import Balancer, Transport
from directlane.testing import AsyncTransportContract, BalancerContract, TransportContract

from directlane_acme import HttpClientTransport, ZoneFirst


class TestZoneFirstWithoutItsZone(BalancerContract):
    """Nobody is in its zone, so everybody is asked."""

    capabilities = frozenset({"weights"})  # with somebody in its zone, open calls count, too

    def balancer(self) -> Balancer:
        return ZoneFirst(zone="zone-a")


class TestHttpClient(TransportContract):
    def transport(self) -> Transport:
        return HttpClientTransport(keepalive=30)


class TestHttpClientAsync(AsyncTransportContract):
    def transport(self) -> Transport:
        return HttpClientTransport()
