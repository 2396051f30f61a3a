# Made by tools/unasync.py from tests/client/_async/test_mirror.py. Change that file, then run the tool.
"""Mirror routes get copies of calls. For sync code."""

from __future__ import annotations

import time
from typing import Any

import pytest
from client_lab import Fleet

from directlane import Client, Service
from directlane.core.emulation import HANG, ThreadInstance

pytestmark = pytest.mark.anyio

PATIENCE = 30.0


def data_of(fleet: Fleet, mirror: str, share: float = 1.0) -> dict[str, Any]:
    main = {"provider": "static", "addresses": [fleet.servers[0].server.url], "name": "main"}
    copies = {"provider": "static", "addresses": [mirror], "name": "copies", "mirror": share}
    return {"services": {"svc": {"routes": [main, copies]}}}


def ended(service: Service, attempts: int) -> None:
    """Goes on calling until the mirror has answered, or failed, so often."""
    ends_at = time.monotonic() + PATIENCE
    while next(view.attempts for view in service.endpoints() if view.route == "copies") < attempts:
        assert (service.send(b"more")).json()["server"] == "s1"
        assert time.monotonic() < ends_at


def test_a_mirror_gets_copies_and_nothing_else(fleet: Fleet) -> None:
    mirror = fleet.servers[1]
    with Client.from_data(data_of(fleet, mirror.server.url)) as client:
        service = client.service("svc")
        for number in range(10):
            reply = service.send(b"body", path=f"/v1/{number}", headers={"X-A": "1"})
            assert reply.json()["server"] == "s1"
        ended(service, 10)
        assert [view.state for view in service.endpoints()] == ["ready", "mirror"]
        assert [tier.size for tier in service.tiers()] == [1]
        assert service.mirrored[0] >= 10
    first = next(request for request in mirror.seen if request.target == "/v1/0")
    assert (first.method, first.content, first.header("x-a")) == ("POST", b"body", "1")


def test_share_of_the_calls(fleet: Fleet) -> None:
    """Of 200 calls a half; 5 standard deviations are 35."""
    data = data_of(fleet, fleet.servers[1].server.url, share=0.5)
    with Client.from_data(data) as client:
        service = client.service("svc")
        for _ in range(200):
            service.send()
        assert abs(sum(service.mirrored) - 100) < 36


def test_a_body_that_can_be_sent_once_only_is_not_copied(fleet: Fleet) -> None:
    with Client.from_data(data_of(fleet, fleet.servers[1].server.url)) as client:
        service = client.service("svc")
        assert (service.send([b"a", b"b"])).ok
        assert service.mirrored == (0, 0)


def test_a_mirror_that_fails_is_not_noticed(fleet: Fleet) -> None:
    with ThreadInstance("dead") as instance:
        instance.kill()
        with Client.from_data(data_of(fleet, instance.url)) as client:
            service = client.service("svc")
            ended(service, 2)
            assert all(view.attempts == view.errors for view in service.endpoints() if view.route == "copies")


def test_a_mirror_that_hangs_holds_up_nobody(fleet: Fleet) -> None:
    with ThreadInstance("slow") as instance:
        instance.set_fault(HANG)
        with Client.from_data(data_of(fleet, instance.url)) as client:
            service = client.service("svc")
            for _ in range(40):
                assert (service.send()).ok
            assert service.mirrored == (16, 24), "never more than 16 under way; the others are dropped and counted"
