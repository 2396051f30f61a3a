"""A secret that was put into the configuration is seen by nobody but the one it is for.

Each case runs good calls, failing calls and failing discovery with every logger at DEBUG, and then searches log lines,
reprs, errors and their causes. (What a control plane answers is another matter: `httpcore` logs answer headers at
DEBUG, and an IAM token stands in one. The guide on secrets says so.)
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

import pytest

from directlane import Client, ConfigError, DirectlaneError, load_data
from directlane.core.interfaces import ControlFault, Emulator
from directlane.providers.alibaba_eas.emulator import EasEmulator
from directlane.providers.huawei_modelarts.emulator import ModelArtsEmulator
from directlane.providers.static.emulator import StaticEmulator

SECRET = "s3cr3t-Zq7-do-not-show"


def eas(scheme: str) -> tuple[Emulator, dict[str, Any]]:
    cloud = EasEmulator(2, token=SECRET)
    return cloud, {"auth": scheme}


def modelarts(credential: Any) -> tuple[Emulator, dict[str, Any]]:
    return ModelArtsEmulator(2, credential=credential, user_limit=(10_000, 60)), {}


CASES: dict[str, Any] = {
    "eas plain": lambda: eas("plain"),
    "eas signed": lambda: eas("signed"),
    "modelarts password": lambda: modelarts("password"),
    "modelarts aksk": lambda: modelarts("aksk"),
    "modelarts token": lambda: modelarts("token"),
    "static": lambda: (StaticEmulator(2, token=SECRET), {"auth": "bearer"}),
}


def resolved(value: Any, environment: Mapping[str, str]) -> Any:
    """The settings with each reference replaced by its value: the secret written in clear, the worst case."""
    if isinstance(value, dict):
        table = cast("dict[str, Any]", value)
        return {key: resolved(item, environment) for key, item in table.items()}
    if isinstance(value, str):
        for name, content in environment.items():
            value = value.replace(f"${{{name}}}", content)
    return value


def everything_about(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))


@pytest.mark.parametrize("case", list(CASES))
@pytest.mark.parametrize("in_clear", [False, True], ids=["by reference", "in clear"])
def test_no_secret_is_seen(case: str, in_clear: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    cloud, extra = CASES[case]()
    with cloud:
        secrets = {value for value in cloud.environment.values() if value}
        assert secrets
        route = {**cloud.route(), **extra}
        if in_clear:
            route = resolved(route, cloud.environment)
        discovery = {"interval": "50ms", "timeout": "300ms"}
        data: dict[str, Any] = {"services": {"svc": {"routes": [route], "discovery": discovery, "attempts": 2}}}
        seen: list[str] = []
        with Client.from_data(data, environment=cloud.environment) as client:
            service = client.service("svc")
            reply = service.send(b"{}")
            assert reply.ok, reply.text
            with client.http("svc") as http:
                assert http.post("/", json={}).status_code == 200
            cloud.break_control_plane(ControlFault.HTML)
            for instance in cloud.instances:
                instance.kill()
            for _ in range(3):
                with pytest.raises(DirectlaneError) as caught:
                    service.send(b"{}")
                seen.append(everything_about(caught.value))
            plan = client.config.services["svc"]
            objects = [client, client.config, service, plan, plan.routes[0].provider, reply, reply.headers]
            objects += [service.endpoints(), *service.routes]
            seen += [text for thing in objects for text in (repr(thing), str(thing))]
            provider = plan.routes[0].provider
            seen += [repr(provider.model_dump()), provider.model_dump_json(), repr(provider.discovery().identity)]
            members = [member for live in service.routes for member in live.pool.members()]
            wires = [provider.wire(member.endpoint) for member in members]
            seen += [repr(wires), repr(provider.discovery())]
            seen += [str(problem) for problem in client.config.warnings]
            assert bool(client.config.warnings) is in_clear
        seen += [
            record.getMessage() + repr(record.args) for record in caplog.records if record.name != "httpcore.http11"
        ]
        for secret in secrets:
            assert [text for text in seen if secret in text] == []


@pytest.mark.parametrize("case", list(CASES))
def test_no_secret_in_the_errors_of_a_wrong_configuration(case: str) -> None:
    cloud, extra = CASES[case]()
    route = {**cloud.route(), **extra} if case == "static" else None
    if route is None:
        with suppress(DirectlaneError), cloud:
            route = {**cloud.route(), **extra}
    assert route is not None
    environment = dict(cloud.environment)
    secrets = {value for value in environment.values() if value}
    for name in list(resolved(route, environment)):
        wrong = {**resolved(route, environment), name: ["wrong", *secrets], f"{name}x": 1}
        with pytest.raises(ConfigError) as caught:
            load_data({"services": {"svc": {"routes": [wrong]}}}, source="test", environment=environment)
        text = everything_about(caught.value)
        assert not any(secret in text for secret in secrets), name
