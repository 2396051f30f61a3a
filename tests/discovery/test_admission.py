"""What may come onto the list."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directlane import AddressSource, Endpoint, Snapshot
from directlane.core.config.model import DiscoverySettings
from directlane.core.discovery.admission import admit

PRIVATE = DiscoverySettings().allow_networks
LEARNED, NAMES, CONFIGURED = AddressSource.LEARNED, AddressSource.LEARNED_NAMES, AddressSource.CONFIGURED


def hosts(snapshot: Snapshot) -> list[str]:
    return [endpoint.host for endpoint in snapshot.endpoints]


def listed(*names: str) -> Snapshot:
    return Snapshot(tuple(Endpoint(name, 80) for name in names))


@pytest.mark.parametrize(
    "host",
    ["10.0.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "127.0.0.1", "fd00::1", "::1", "::ffff:10.0.0.1"],
)
def test_private_addresses_are_kept(host: str) -> None:
    assert len(admit(listed(host), LEARNED, PRIVATE).endpoints) == 1


@pytest.mark.parametrize(
    "host", ["8.8.8.8", "169.254.169.254", "0.0.0.0", "172.32.0.0", "2001:db8::1", "fe80::1", "::ffff:8.8.8.8", "::"]
)
def test_other_addresses_are_left_out_and_the_reason_names_the_setting(host: str) -> None:
    checked = admit(listed("10.0.0.1", host), LEARNED, PRIVATE)
    assert hosts(checked) == ["10.0.0.1"]
    assert "allow_networks" in checked.rejected[0]


def test_mapped_address_is_not_let_in_by_an_ipv6_network() -> None:
    assert not admit(listed("::ffff:8.8.8.8"), LEARNED, [ip_network("::/0")]).endpoints
    assert admit(listed("::ffff:8.8.8.8"), LEARNED, [ip_network("8.0.0.0/8")]).endpoints


def test_host_names_only_from_sources_that_may_name_hosts() -> None:
    assert hosts(admit(listed("node.internal"), LEARNED, PRIVATE)) == []
    assert hosts(admit(listed("node.internal", "8.8.8.8"), NAMES, PRIVATE)) == ["node.internal"]


def test_configured_addresses_are_taken_as_they_are() -> None:
    snapshot = listed("8.8.8.8", "example.com", "2001:db8::1")
    assert admit(snapshot, CONFIGURED, ()) is snapshot


def test_duplicates_are_folded_and_the_first_stays() -> None:
    first, again, other = (Endpoint("10.0.0.1", 80, weight=weight) for weight in (1, 2, 3))
    checked = admit(Snapshot((first, again, other), ("told before",)), LEARNED, PRIVATE)
    assert checked.endpoints == (first,)
    assert checked.rejected[0] == "told before"
    assert len(checked.rejected) == 3


def test_same_address_on_another_port_is_no_duplicate() -> None:
    snapshot = Snapshot((Endpoint("10.0.0.1", 80), Endpoint("10.0.0.1", 81)))
    assert admit(snapshot, LEARNED, PRIVATE) is snapshot


ADDRESSES = st.ip_addresses() | st.ip_addresses(v=4).map(lambda ip: IPv6Address(f"::ffff:{ip}"))
NETWORKS = st.lists(
    st.one_of(
        st.tuples(st.ip_addresses(v=4), st.integers(0, 32)),
        st.tuples(st.ip_addresses(v=6), st.integers(0, 128)),
    ).map(lambda pair: ip_network(f"{pair[0]}/{pair[1]}", strict=False)),
    max_size=4,
)


def plain(host: str) -> IPv4Address | IPv6Address:
    """The address that a connection to this host reaches."""
    mapped = IPv6Address(host).ipv4_mapped if ":" in host else None
    return mapped or (IPv6Address(host) if ":" in host else IPv4Address(host))


@settings(deadline=None)
@given(st.lists(ADDRESSES, max_size=6), NETWORKS)
def test_nothing_outside_the_allowed_networks_is_ever_kept(
    addresses: list[IPv4Address | IPv6Address], networks: list[object]
) -> None:
    allowed = [ip_network(str(network)) for network in networks]
    snapshot = listed(*map(str, addresses))
    checked = admit(snapshot, LEARNED, allowed)
    kept = hosts(checked)
    assert all(any(plain(host) in network for network in allowed) for host in kept)
    assert len(set(kept)) == len(kept)
    assert len(kept) + len(checked.rejected) == len(addresses), "who is left out is told"
    wanted = {host for host in hosts(snapshot) if any(plain(host) in network for network in allowed)}
    assert set(kept) == wanted, "nobody is left out without a reason"
