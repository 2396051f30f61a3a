"""One service on PAI-EAS, ModelArts and an address of its own: the first cloud dies, then the second, and come back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from directlane import Client, Service
from directlane.core.emulation import ThreadInstance
from directlane.providers.alibaba_eas.emulator import EasEmulator
from directlane.providers.huawei_modelarts.emulator import ModelArtsEmulator

PATIENCE = 60.0


@pytest.fixture
def clouds() -> Iterator[tuple[EasEmulator, ModelArtsEmulator, ThreadInstance]]:
    with ExitStack() as stack:
        eas = stack.enter_context(EasEmulator(2))
        modelarts = stack.enter_context(ModelArtsEmulator(2))
        own = stack.enter_context(ThreadInstance("own"))
        yield eas, modelarts, own


def call_until(service: Service, is_so: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + PATIENCE
    while not is_so():
        assert service.send(b"{}").ok
        assert time.monotonic() < ends_at


def loads(service: Service) -> list[int]:
    return [tier.load for tier in service.tiers()]


def route_of(service: Service) -> str:
    endpoint = service.send(b"{}").endpoint
    return next(view.route for view in service.endpoints() if view.endpoint == endpoint)


def test_no_call_fails_while_clouds_die_and_come_back(
    clouds: tuple[EasEmulator, ModelArtsEmulator, ThreadInstance],
) -> None:
    eas, modelarts, own = clouds
    data: dict[str, Any] = {
        "services": {
            "svc": {
                "discovery": {"interval": "0.1s", "start_timeout": "30s"},
                "ejection": {"base_time": "0.2s", "max_time": "0.5s"},
                "slow_start": 0,
                "timeout": "30s",
                "attempts": 4,
                "repeatable": True,
                "retry_budget": {"share": 1},
                "routes": [
                    {**eas.route(), "name": "eas"},
                    {**modelarts.route(), "name": "modelarts", "tier": 1},
                    {"provider": "static", "addresses": [own.url], "name": "own", "tier": 2},
                ],
            }
        }
    }
    environment = {**eas.environment, **modelarts.environment}
    with Client.from_data(data, environment=environment) as client:
        service = client.service("svc")
        assert [route_of(service) for _ in range(10)] == ["eas"] * 10
        assert loads(service) == [100, 0, 0]

        dead = list(eas.instances)
        for instance in dead:
            instance.kill()
        call_until(service, lambda: loads(service) == [0, 100, 0])
        for instance in modelarts.instances:
            instance.kill()
        call_until(service, lambda: loads(service) == [0, 0, 100])

        for _ in dead:
            eas.add_instance()
        for instance in dead:
            eas.remove_instance(instance)
        call_until(service, lambda: loads(service) == [100, 0, 0])
        assert [route_of(service) for _ in range(10)] == ["eas"] * 10


def test_direct_then_vpc_gateway_then_public_gateway() -> None:
    """An emulator for each way, so that each can fail alone."""
    with EasEmulator(2) as direct, EasEmulator(1) as vpc, EasEmulator(1) as public:
        routes: list[dict[str, object]] = [
            {**direct.route(), "name": "direct"},
            {**vpc.gateway_route(), "name": "vpc", "tier": 1},
            {**public.gateway_route(), "access": "public_gateway", "https": False, "name": "public", "tier": 2},
        ]
        data: dict[str, Any] = {"services": {"svc": {"repeatable": True, "routes": routes}}}
        with Client.from_data(data, environment=direct.environment) as client:
            service = client.service("svc")
            assert route_of(service) == "direct"
            for instance in direct.instances:
                instance.kill()
            reply = service.send(b"{}")
            assert (reply.attempts, vpc.gateway_requests) == (2, 1), "one closed door is enough"

            vpc.instances[0].kill()  # the gateway answers 503 now
            reply = service.send(b"{}")
            assert reply.ok
            assert reply.endpoint is not None
            assert reply.endpoint.labels["access"] == "public_gateway"
