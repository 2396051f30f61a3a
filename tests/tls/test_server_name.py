"""https to an address whose certificate has a name: it is checked, it is sent, and names are kept apart."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from tls_lab import Authority, Way

from directlane import AsyncClient, AttemptsError, Client, Endpoint, Phase, TransportError
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.clock import SYSTEM_CLOCK
from directlane.core.config.load import load_data
from directlane.core.pool.pool import Pool

NAME = "chat.example.com"


def at(port: int, name: str | None) -> Endpoint:
    return Endpoint("127.0.0.1", port, "https", server_name=name)


def test_certificate_is_checked_against_the_name_which_is_sent_as_sni_and_host(way: Way, authority: Authority) -> None:
    with authority.instance(NAME) as instance:
        (reply,) = way.send(way.kind(ca_file=authority.file), at(instance.port, NAME))
    assert reply.content == b"hello"
    assert instance.names == [NAME]
    assert instance.hosts == [f"{NAME}:{instance.port}"]


def test_certificate_without_the_name_is_refused_before_anything_is_sent(way: Way, authority: Authority) -> None:
    with (
        authority.instance("127.0.0.1", "other.example.com") as instance,
        pytest.raises(TransportError, match=rf"not valid for '{NAME}'") as caught,
    ):
        way.send(way.kind(ca_file=authority.file), at(instance.port, NAME))
    assert caught.value.phase is Phase.CONNECT
    assert instance.hosts == []


def test_without_a_name_the_address_is_what_counts(way: Way, authority: Authority) -> None:
    with authority.instance("127.0.0.1") as instance:
        way.send(way.kind(ca_file=authority.file), at(instance.port, None))
    assert instance.names == [None], "an address is no SNI"
    assert instance.hosts == [f"127.0.0.1:{instance.port}"]


def test_two_names_at_one_address_share_no_connection(way: Way, authority: Authority) -> None:
    other = "embed.example.com"
    with authority.instance(NAME, other) as instance:
        way.send(way.kind(ca_file=authority.file), at(instance.port, NAME), at(instance.port, other))
    assert instance.names == [NAME, other]


def service(port: int, authority: Authority, **more: object) -> dict[str, Any]:
    route = {"provider": "static", "addresses": [f"https://127.0.0.1:{port}"], **more}
    transport = {"kind": "wire", "ca_file": str(authority.file)}
    return {"services": {"chat": {"routes": [route], "transport": transport, "connect_timeout": "20s"}}}


def test_service_at_an_address_with_a_name(authority: Authority) -> None:
    with (
        authority.instance(NAME) as instance,
        Client.from_data(service(instance.port, authority, server_name=NAME)) as client,
    ):
        assert client.service("chat").send(b"one").content == b"one"
        with client.http("chat") as http:
            assert http.post("/", content=b"two").content == b"two"
    assert instance.names == [NAME]
    assert instance.hosts == [f"{NAME}:{instance.port}"] * 2


@pytest.mark.anyio
async def test_async_service_at_an_address_with_a_name(authority: Authority) -> None:
    with authority.instance(NAME) as instance:
        async with AsyncClient.from_data(service(instance.port, authority, server_name=NAME)) as client:
            assert (await client.service("chat").send(b"one")).content == b"one"
    assert instance.names == [NAME]


def test_name_that_changes_makes_new_connections(authority: Authority) -> None:
    with (
        authority.instance(NAME, "other.example.com") as instance,
        Client.from_data(service(instance.port, authority, server_name=NAME)) as client,
    ):
        chat = client.service("chat")
        chat.send(b"")
        after = service(instance.port, authority, server_name="other.example.com")
        client.reload(load_data(after, source="test", environment={}))
        chat.send(b"")
    assert instance.names == [NAME, "other.example.com"]


def test_lease_tells_the_name_to_protocols_of_ones_own(authority: Authority) -> None:
    with Client.from_data(service(1, authority, server_name=NAME)) as client, client.service("chat").lease() as lease:
        assert lease.endpoint.tls_name == NAME
        assert lease.address == ("127.0.0.1", 1)


def test_same_id_with_another_name_gets_a_channel_of_its_own() -> None:
    pool: Pool[object] = Pool(WeightedRoundRobin(), lambda endpoint: object(), SYSTEM_CLOCK, Random(1))
    pool.update([Endpoint("10.0.0.1", 443, "https", id="pod-1", server_name="a.example.com")])
    (before,) = pool.members()
    pool.update([Endpoint("10.0.0.1", 443, "https", id="pod-1", server_name="b.example.com")])
    after, leaving = pool.members()
    assert after.load is before.load, "it is the same instance"
    assert leaving.lane is before.lane
    assert after.lane is not before.lane, "connections hang on the lane"


def test_names_of_the_domain_name_system(authority: Authority) -> None:
    pytest.importorskip("dns", reason="pip install 'directlane[dns]'")
    from directlane.providers.dns.name_server import NameServer

    with (
        authority.instance(NAME) as instance,
        NameServer({(f"{NAME}.", "A"): ["127.0.0.1"]}) as server,
    ):
        route = {"provider": "dns", "domain": NAME, "port": instance.port, "nameservers": [server.address]}
        data = service(instance.port, authority)
        data["services"]["chat"]["routes"] = [{**route, "scheme": "https"}]
        with Client.from_data(data) as client:
            assert client.service("chat").send(b"one").content == b"one"
    assert instance.hosts == [f"{NAME}:{instance.port}"]


@pytest.mark.parametrize("kind", ["wire", "httpx"])
def test_error_says_why_and_who_knows_more(authority: Authority, kind: str) -> None:
    with authority.instance(NAME) as instance:
        data = service(instance.port, authority)
        data["services"]["chat"]["transport"] = {"kind": kind, "ca_file": str(authority.file)}
        with Client.from_data(data) as client, pytest.raises(AttemptsError) as caught:
            client.service("chat").send(b"")
    assert "its certificate is not accepted: IP address mismatch" in str(caught.value)
    assert "Next: see `directlane doctor -c FILE chat`" in str(caught.value)
