"""A client, real instances, and a real name server on loopback, over UDP and TCP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from client_lab import soon

from directlane import AsyncClient, Client, NoEndpointError
from directlane.core.emulation import LoopbackServer, ThreadInstance, json_reply
from directlane.core.interfaces import ControlFault
from directlane.providers.dns.emulator import DnsEmulator
from directlane.providers.dns.name_server import NameServer

FAULTS = [fault for fault in ControlFault if fault is not ControlFault.NONE]
NAME = "chat.models.test."


@pytest.fixture
def cloud() -> Iterator[DnsEmulator]:
    with DnsEmulator(2) as emulator:
        yield emulator


def configuration(route: Any, **discovery: object) -> dict[str, Any]:
    settings = {"interval": "100ms", "start_timeout": "20s", "timeout": "20s", **discovery}
    service = {"routes": [dict(route)], "repeatable": True, "timeout": "60s", "connect_timeout": "20s"}
    return {"services": {"svc": {**service, "discovery": settings}}}


def client_of(cloud: DnsEmulator) -> Client:
    return Client.from_data(configuration(cloud.route()), environment=cloud.environment)


def places(service: Any) -> set[tuple[str, int]]:
    """Of those on the list: who has left it may be there until its last call is forgotten."""
    views = [view for view in service.endpoints() if view.state in ("ready", "warming", "draining")]
    return {(view.endpoint.host, view.endpoint.port) for view in views}


def place(instance: Any) -> tuple[str, int]:
    return instance.host, instance.port


def test_calls_reach_the_instances_with_the_token(cloud: DnsEmulator) -> None:
    with client_of(cloud) as client:
        names = {client.service("svc").send(b"{}").json()["instance"] for _ in range(10)}
    assert names == {"dns-1", "dns-2"}


def test_async_client_learns_the_same_list(cloud: DnsEmulator) -> None:
    async def names() -> set[str]:
        data = configuration(cloud.route())
        async with AsyncClient.from_data(data, environment=cloud.environment) as client:
            service = client.service("svc")
            return {(await service.send(b"{}")).json()["instance"] for _ in range(10)}

    assert asyncio.run(names()) == {"dns-1", "dns-2"}


def test_list_follows_the_records(cloud: DnsEmulator) -> None:
    with client_of(cloud) as client:
        service = client.service("svc")
        assert service.send(b"{}").ok
        added = cloud.add_instance(weight=30)
        assert soon(lambda: place(added) in places(service))
        assert {view.endpoint.weight for view in service.endpoints()} == {10, 30}
        gone = cloud.instances[0]
        cloud.remove_instance(gone)
        assert soon(lambda: place(gone) not in places(service))
        gone.kill()
        assert {service.send(b"{}").json()["instance"] for _ in range(12)} == {"dns-2", "dns-3"}


def test_killed_instance_that_stays_listed_is_not_noticed(cloud: DnsEmulator) -> None:
    with client_of(cloud) as client:
        service = client.service("svc")
        assert service.send(b"{}").ok
        cloud.instances[0].kill()
        assert {service.send(b"{}").json()["instance"] for _ in range(10)} == {"dns-2"}


@pytest.mark.parametrize("fault", FAULTS)
def test_calls_go_on_while_the_name_server_fails(cloud: DnsEmulator, fault: ControlFault) -> None:
    with client_of(cloud) as client:
        service = client.service("svc")
        assert service.send(b"{}").ok
        [route] = service.routes
        known = places(service)
        cloud.break_control_plane(fault)
        assert soon(lambda: route.belief.failures_in_row >= 1 or route.belief.is_empty)
        assert route.belief.is_empty is (fault in (ControlFault.EMPTY, ControlFault.NOT_FOUND))
        assert {service.send(b"{}").json()["instance"] for _ in range(6)} == {"dns-1", "dns-2"}
        assert places(service) == known
        cloud.break_control_plane(ControlFault.NONE)
        assert soon(lambda: route.belief.error is None and not route.belief.is_empty)


def test_answers_that_do_not_fit_come_over_tcp(cloud: DnsEmulator) -> None:
    cloud.server.limit = 100
    with client_of(cloud) as client:
        assert client.service("svc").send(b"{}").ok
    assert (cloud.name, "SRV", True) in cloud.server.asked


def test_name_that_does_not_exist_is_told_to_the_caller(cloud: DnsEmulator) -> None:
    route = {**cloud.route(), "domain": "_http._tcp.typo.test"}
    data = configuration(route, start_timeout="300ms")
    with (
        Client.from_data(data, environment=cloud.environment) as client,
        pytest.raises(NoEndpointError, match=r"the name _http\._tcp\.typo\.test does not exist \(NXDOMAIN\)"),
    ):
        client.service("svc").send(b"{}")


def test_public_addresses_are_not_called() -> None:
    """A poisoned answer must not send a token to a stranger."""
    with NameServer({(NAME, "A"): ["203.0.113.7"]}) as server:
        route = {"provider": "dns", "domain": NAME, "port": 80, "nameservers": [server.address]}
        with (
            Client.from_data(configuration(route, start_timeout="300ms")) as client,
            pytest.raises(NoEndpointError, match=r"outside the allowed networks"),
        ):
            client.service("svc").send(b"{}")


def test_addresses_share_one_port() -> None:
    with ExitStack() as stack:
        first = stack.enter_context(LoopbackServer(lambda _: json_reply({"name": "one"}), "127.0.0.1"))
        stack.enter_context(LoopbackServer(lambda _: json_reply({"name": "two"}), "127.0.0.2", first.port))
        server = stack.enter_context(NameServer({(NAME, "A"): ["127.0.0.1", "127.0.0.2"]}))
        route = {
            "provider": "dns",
            "domain": NAME,
            "port": first.port,
            "nameservers": [server.address],
            "ttl_min": "0.1s",
        }
        service = stack.enter_context(Client.from_data(configuration(route))).service("svc")
        assert {service.send(b"{}").json()["name"] for _ in range(10)} == {"one", "two"}
        server.records[NAME, "A"] = ["127.0.0.2"]
        assert soon(lambda: places(service) == {("127.0.0.2", first.port)})


def test_second_name_server_is_asked_when_the_first_is_silent() -> None:
    with ThreadInstance("one") as one, NameServer() as silent, NameServer({(NAME, "A"): ["127.0.0.1"]}) as server:
        silent.misbehave = lambda query, over_tcp: b""
        route = {
            "provider": "dns",
            "domain": NAME,
            "port": one.port,
            "timeout": "0.2s",
            "nameservers": [silent.address, server.address],
        }
        with Client.from_data(configuration(route)) as client:
            assert client.service("svc").send(b"{}").json()["instance"] == "one"
