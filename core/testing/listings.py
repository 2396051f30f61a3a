"""What a control plane may list: good entries, hard ones, and entries that no client can use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from ..endpoint import MAX_WEIGHT, Snapshot

__all__ = [
    "BAD_ENTRIES",
    "HARD",
    "LARGE",
    "NO_LIST",
    "PLAIN",
    "WEIGHTED",
    "Listed",
    "addresses_listed",
    "addresses_of",
]


@dataclass(frozen=True, slots=True)
class Listed:
    """One instance, as a fake cloud is to list it. The values are of any type: a cloud sends what it sends.

    Args:
        host: Its address, as the cloud writes it.
        port: Its port.
        weight: Its weight; None if the cloud says none.
    """

    host: object
    port: object
    weight: object = None


PLAIN = (Listed("10.0.0.7", 8000), Listed("10.0.0.8", 8001), Listed("192.168.3.4", 65535))
"""Three instances, nothing special."""

HARD = (
    Listed("10.0.0.9", 1),
    Listed("fd00::7", 8000),
    Listed("fd00:0:0::8", 8000),
    Listed("10.0.0.9", 2),
    Listed("172.16.0.1", 80),
)
"""Unusual and right: IPv6, short and long; two instances on one address; the lowest port."""

WEIGHTED = (Listed("10.0.0.7", 8000, 0), Listed("10.0.0.8", 8000, 1), Listed("10.0.0.9", 8000, MAX_WEIGHT))
"""Weights at both ends: 0 means drain."""

LARGE = tuple(Listed(f"10.{place // 65536}.{place // 256 % 256}.{place % 256}", 8000) for place in range(1, 2001))
"""Two thousand instances."""

BAD_ENTRIES = (
    *(Listed("10.9.9.9", port) for port in (0, -1, 65536, 73536, 10**12, "http", None, True, 80.5, [80])),
    *(Listed(host, 80) for host in ("", "10.0.0.256", "0x7f.1", "fe80::1%eth0", "no host!", "a b", None, 7, 0.5)),
)
"""No client can call any of these."""

NO_LIST: tuple[bytes, ...] = (
    b"",
    b" ",
    b"<html><body>Please log in</body></html>",
    b'{"a": [{"ip": "10.9.9',
    b"null",
    b"17",
    b'"busy"',
    b"\xff\xfe\x00",
    b'{"error": "busy", "message": "try again"}',
    b"[" * 5000,
)
"""Bodies that are no list on any cloud."""


def addresses_listed(listed: Sequence[Listed]) -> frozenset[tuple[str, int]]:
    """Address and port of each entry, in the form that endpoints have."""
    return frozenset((str(ip_address(str(each.host))), int(str(each.port))) for each in listed)


def addresses_of(snapshot: Snapshot) -> frozenset[tuple[str, int]]:
    """Address and port of each endpoint."""
    return frozenset((endpoint.host, endpoint.port) for endpoint in snapshot.endpoints)
