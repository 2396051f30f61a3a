"""What may come onto the list: the addresses of an answer are checked before anybody sends them a token.

Pure decisions: a snapshot and the rules go in, a checked snapshot comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from ..endpoint import Endpoint, Snapshot
from ..interfaces.discovery import AddressSource

__all__ = ["Network", "admit"]

Network = IPv4Network | IPv6Network


def admit(snapshot: Snapshot, source: AddressSource, networks: Sequence[Network]) -> Snapshot:
    """The snapshot with only those endpoints that may be called.

    Duplicates are folded (the first entry stays). Learned addresses must be IP addresses in one of `networks`;
    `LEARNED_NAMES` also takes host names; `CONFIGURED` addresses are taken as they are. Everything that is left out
    gets a sentence in `rejected`.
    """
    kept: dict[str, Endpoint] = {}
    rejected = list(snapshot.rejected)
    for endpoint in snapshot.endpoints:
        reason = _reason_against(endpoint, source, networks)
        if reason is None and endpoint.id in kept:
            reason = "it is listed more than once"
        if reason is None:
            kept[endpoint.id] = endpoint
        else:
            rejected.append(f"{endpoint.url} is left out: {reason}")
    if len(kept) == len(snapshot.endpoints):
        return snapshot
    return replace(snapshot, endpoints=tuple(kept.values()), rejected=tuple(rejected))


def _reason_against(endpoint: Endpoint, source: AddressSource, networks: Sequence[Network]) -> str | None:
    if source is AddressSource.CONFIGURED:
        return None
    ip = endpoint.ip
    if ip is None:
        return None if source is AddressSource.LEARNED_NAMES else "it is a host name where an IP address must stand"
    if not _is_allowed(ip, networks):
        return f"{ip} is outside the allowed networks (setting `discovery.allow_networks`)"
    return None


def _is_allowed(ip: IPv4Address | IPv6Address, networks: Sequence[Network]) -> bool:
    # ::ffff:10.0.0.1 reaches 10.0.0.1, so it is judged as that.
    plain = ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip
    return any(plain.version == network.version and plain in network for network in networks)
