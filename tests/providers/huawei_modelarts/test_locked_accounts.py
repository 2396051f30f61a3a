"""Huawei locks accounts after wrong passwords: how many logins a wrong one costs, over real sockets."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import directlane
from directlane.providers.huawei_modelarts.emulator import Access, ModelArtsEmulator


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


def many(cloud: ModelArtsEmulator, access: Access) -> dict[str, Any]:
    discovery = {"interval": "100ms", "start_timeout": "30s"}
    routes = {f"s{number}": cloud.settings(access, "password", name) for number, name in enumerate(cloud.service_ids)}
    services = {name: {"routes": [route], "discovery": discovery} for name, route in routes.items()}
    return {"services": services}


def refused(cloud: ModelArtsEmulator) -> int:
    return [login.status for login in cloud.logins].count(401)


@pytest.mark.parametrize("store", [False, True])
@pytest.mark.parametrize("access", ["direct", "gateway"])
def test_a_wrong_password_is_sent_once_by_all_services_of_a_process(
    access: Access, store: bool, tmp_path: Path
) -> None:
    with ModelArtsEmulator(1, services=6) as cloud:
        data = many(cloud, access) | ({"store": f"sqlite:{tmp_path}/store.db"} if store else {})
        wrong = dict.fromkeys(cloud.environment, "wrong")
        with directlane.Client.from_data(data, environment=wrong) as client:
            services = [client.service(name) for name in data["services"]]
            for service in services:
                with pytest.raises(directlane.NoEndpointError, match="not tried again"):
                    service.send(b"x")
        assert refused(cloud) == len(cloud.logins) == 1


def test_a_password_that_is_changed_is_sent_once_by_all_services_of_a_process() -> None:
    with ModelArtsEmulator(1, services=6) as cloud:
        data = many(cloud, "direct")
        with directlane.Client.from_data(data, environment=cloud.environment) as client:
            services = [client.service(name) for name in data["services"]]
            for service in services:
                assert service.send(b"x").status == 200
            cloud.users[0].password = "another"
            cloud.revoke_tokens()
            until(lambda: all(service.routes[0].is_hopeless for service in services))
            for service in services:
                assert service.send(b"x").status == 200
        assert refused(cloud) == 1
