"""A client, real instances, and a real file that changes under it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from client_lab import soon

from directlane import AsyncClient, Client, NoEndpointError
from directlane.core.emulation import ThreadInstance
from directlane.core.interfaces import ControlFault
from directlane.providers.file.emulator import FileEmulator

FAULTS = [fault for fault in ControlFault if fault is not ControlFault.NONE]


@pytest.fixture
def cloud() -> Iterator[FileEmulator]:
    with FileEmulator(2) as emulator:
        yield emulator


def configuration(route: Any, **discovery: object) -> dict[str, Any]:
    settings = {"interval": "100ms", "start_timeout": "20s", "timeout": "20s", **discovery}
    service = {"routes": [dict(route)], "repeatable": True, "timeout": "60s", "connect_timeout": "20s"}
    return {"services": {"svc": {**service, "discovery": settings}}}


def client_of(cloud: FileEmulator) -> Client:
    return Client.from_data(configuration(cloud.route()), environment=cloud.environment)


def ports(service: Any) -> set[int]:
    """Of those on the list: who has left it may be there until its last call is forgotten."""
    return {view.endpoint.port for view in service.endpoints() if view.state in ("ready", "warming", "draining")}


def test_calls_reach_the_listed_instances_with_the_token(cloud: FileEmulator) -> None:
    with client_of(cloud) as client:
        names = {client.service("svc").send(b"{}").json()["instance"] for _ in range(10)}
    assert names == {"file-1", "file-2"}


async def in_async(cloud: FileEmulator) -> set[str]:
    data = configuration(cloud.route())
    async with AsyncClient.from_data(data, environment=cloud.environment) as client:
        service = client.service("svc")
        return {(await service.send(b"{}")).json()["instance"] for _ in range(10)}


def test_async_client_reads_the_same_list(cloud: FileEmulator) -> None:
    assert asyncio.run(in_async(cloud)) == {"file-1", "file-2"}


def test_list_follows_the_file(cloud: FileEmulator) -> None:
    with client_of(cloud) as client:
        service = client.service("svc")
        assert service.send(b"{}").ok
        added = cloud.add_instance(weight=0)
        assert soon(lambda: added.port in ports(service))
        gone = cloud.instances[0]
        cloud.remove_instance(gone)
        assert soon(lambda: gone.port not in ports(service))
        gone.kill()
        replies = [service.send(b"{}") for _ in range(10)]
        assert {reply.endpoint.port for reply in replies if reply.endpoint} == {cloud.instances[0].port}, (
            "weight 0 gets no call"
        )


def test_killed_instance_that_stays_listed_is_not_noticed(cloud: FileEmulator) -> None:
    with client_of(cloud) as client:
        service = client.service("svc")
        assert service.send(b"{}").ok
        cloud.instances[0].kill()
        assert {service.send(b"{}").json()["instance"] for _ in range(10)} == {"file-2"}


@pytest.mark.parametrize("fault", FAULTS)
def test_spoiled_file_keeps_the_last_list_and_says_so(
    cloud: FileEmulator, fault: ControlFault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "directlane")
    with client_of(cloud) as client:
        service = client.service("svc")
        assert service.send(b"{}").ok
        [route] = service.routes
        known = ports(service)
        cloud.break_control_plane(fault)
        assert soon(lambda: route.belief.failures_in_row >= 2 or route.belief.is_empty)
        assert {service.send(b"{}").json()["instance"] for _ in range(6)} == {"file-1", "file-2"}
        assert ports(service) == known
        said = (
            "nobody serves; 2 known endpoints stay" if fault is ControlFault.EMPTY else "2 known endpoints stay in use"
        )
        assert said in caplog.text
        cloud.break_control_plane(ControlFault.NONE)
        assert soon(lambda: route.belief.error is None and not route.belief.is_empty)
        added = cloud.add_instance()
        assert soon(lambda: added.port in ports(service))


def test_program_may_start_before_its_file(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    with ThreadInstance("one") as one:
        data = configuration({"provider": "file", "path": str(path)}, start_timeout="200ms")
        with Client.from_data(data) as client:
            service = client.service("svc")
            with pytest.raises(NoEndpointError, match="No such file or directory"):
                service.send(b"{}")
            path.write_text(f"- {one.host}:{one.port}\n")
            assert soon(lambda: bool(service.endpoints()))
            assert service.send(b"{}").json()["instance"] == "one"


def test_list_follows_a_turned_link(tmp_path: Path) -> None:
    """As the kubelet updates a mounted ConfigMap."""
    with ThreadInstance("one") as one, ThreadInstance("two") as two:
        for folder, instance in (("v1", one), ("v2", two)):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "list.toml").write_text(f'endpoints = ["{instance.host}:{instance.port}"]')
        (tmp_path / "..data").symlink_to("v1")
        (tmp_path / "list.toml").symlink_to("..data/list.toml")
        route = {"provider": "file", "path": str(tmp_path / "list.toml"), "check_every": "100ms"}
        with Client.from_data(configuration(route)) as client:
            service = client.service("svc")
            assert service.send(b"{}").json()["instance"] == "one"
            (tmp_path / "..new").symlink_to("v2")
            (tmp_path / "..new").replace(tmp_path / "..data")
            assert soon(lambda: ports(service) == {two.port})
            assert service.send(b"{}").json()["instance"] == "two"
