"""The control plane fails in every way, and the calls go on with the last good list, whose age shows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from directlane import Client, NoEndpointError
from directlane.core.interfaces import ControlFault, Emulator
from directlane.providers.alibaba_eas.emulator import EasEmulator
from directlane.providers.huawei_modelarts.emulator import ModelArtsEmulator

CLOUDS: dict[str, Any] = {
    "alibaba_eas": lambda: EasEmulator(2),
    # The limit of the real one is its own test; here the questions come faster than it allows.
    "huawei_modelarts": lambda: ModelArtsEmulator(2, user_limit=(10_000, 60)),
}
DISCOVERY = {"interval": "100ms", "timeout": "200ms", "start_timeout": "5s"}


@pytest.fixture(params=list(CLOUDS))
def cloud(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    with ExitStack() as stack:
        yield stack.enter_context(CLOUDS[request.param]())


def client_of(cloud: Emulator) -> Client:
    route = dict(cloud.route())
    data = {"services": {"svc": {"routes": [route], "repeatable": True, "discovery": DISCOVERY}}}
    return Client.from_data(data, environment=cloud.environment)


def until(condition: Any, seconds: float = 10.0) -> None:
    ends_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_at, "it did not happen in time"
        time.sleep(0.005)


@pytest.mark.parametrize("fault", [fault for fault in ControlFault if fault is not ControlFault.NONE])
def test_calls_go_on_while_discovery_fails(cloud: Emulator, fault: ControlFault) -> None:
    with client_of(cloud) as client:
        service = client.service("svc")
        assert service.send(b"{}").ok
        [route] = service.routes
        known = {view.endpoint.id for view in service.endpoints()}
        cloud.break_control_plane(fault)
        # An empty answer of ModelArts is an answer ("nobody is ready"), not a failure; the list is kept all the same.
        until(lambda: route.belief.failures_in_row >= 2 or route.belief.is_empty)
        for _ in range(4):
            assert service.send(b"{}").ok
        assert {view.endpoint.id for view in service.endpoints()} == known
        age = service.endpoints()[0].list_age
        assert age is not None
        until(lambda: (service.endpoints()[0].list_age or 0) > age)

        cloud.break_control_plane(ControlFault.NONE)
        until(lambda: route.belief.failures_in_row == 0 and not route.belief.is_empty)
        until(lambda: (service.endpoints()[0].list_age or 99) < 0.5)
        assert service.send(b"{}").ok


def test_list_follows_the_fleet(cloud: Emulator) -> None:
    with client_of(cloud) as client:
        service = client.service("svc")
        assert service.send(b"{}").ok
        added = cloud.add_instance()
        until(lambda: len(service.endpoints()) == 3)
        gone = cloud.instances[0]
        cloud.remove_instance(gone)
        gone.kill()
        until(lambda: gone.port not in {view.endpoint.port for view in service.endpoints() if view.state == "ready"})
        replies = [service.send(b"{}") for _ in range(20)]
        assert all(reply.ok for reply in replies)
        ports = {reply.endpoint.port for reply in replies if reply.endpoint is not None}
        assert ports == {added.port, cloud.instances[0].port}
        states = [view.state for view in service.endpoints()]
        assert len(states) == 2, "what left is gone when it is idle"
        assert set(states) <= {"ready", "warming"}


def test_unreachable_discovery_at_start_is_one_clear_error(cloud: Emulator) -> None:
    cloud.break_control_plane(ControlFault.HANG)
    route = dict(cloud.route())
    data = {"services": {"svc": {"routes": [route], "discovery": {**DISCOVERY, "start_timeout": "600ms"}}}}
    with Client.from_data(data, environment=cloud.environment) as client:
        started = time.monotonic()
        with pytest.raises(NoEndpointError) as caught:
            client.service("svc").send(b"{}")
        assert time.monotonic() - started < 5
        text = str(caught.value)
        assert "discovery fails" in text
        assert "no answer from http://127.0.0.1" in text
        assert "Next:" in text
        assert "\n  File" not in text
