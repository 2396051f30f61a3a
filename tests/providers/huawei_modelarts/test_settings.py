"""The settings of a route: what is needed, what is refused, and what calls look like."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from directlane.core.endpoint import Endpoint
from directlane.core.errors import Phase
from directlane.core.interfaces import Provider
from directlane.core.message import Reply, Request, header
from directlane.core.outcome import FAIL, REAUTHENTICATE, Action, Outcome
from directlane.core.plugins.registry import Registered, Registry
from directlane.providers.huawei_modelarts import plugin
from directlane.providers.huawei_modelarts.provider import HuaweiModelArtsProvider
from directlane.providers.huawei_modelarts.signing import canonical_request, signature

TOKEN = {"type": "token", "token": "MIIready"}
PASSWORD = {"type": "password", "user": "alice", "password": "hunter2", "domain": "acme"}
AKSK = {"type": "aksk", "access_key": "AK", "secret_key": "SKhidden"}
DIRECT = {"service_id": "s", "project_id": "p", "region": "cn-north-4"}
GATEWAY = {"access": "gateway", "gateway_url": "https://infer.example.com/v1/infers/s"}
INSTANCE = Endpoint("10.0.0.1", 80)


def route(*parts: dict[str, Any], credential: object = TOKEN) -> HuaweiModelArtsProvider:
    settings: dict[str, Any] = {"credential": credential}
    for part in parts:
        settings |= part
    return HuaweiModelArtsProvider.model_validate(settings)


@pytest.mark.parametrize(
    ("settings", "credential", "named"),
    [
        ({}, TOKEN, "needs service_id, project_id, region"),
        ({"service_id": "s", "project_id": "p"}, TOKEN, "needs region"),
        ({"service_id": "s", "project_id": "p", "endpoint": "http://h"}, PASSWORD, "needs region"),
        ({"access": "gateway"}, TOKEN, "needs gateway_url"),
        (GATEWAY, PASSWORD, "needs project_id, region"),
        ({**DIRECT, "gateway_url": "https://h/v1"}, TOKEN, "gateway_url is used with"),
        ({**GATEWAY, "gateway_url": "h/v1"}, TOKEN, "write a URL"),
        ({**GATEWAY, "gateway_url": "https://u:hunter2@h/v1"}, TOKEN, "write a URL"),
        ({**GATEWAY, "gateway_url": "https://h:99999/v1"}, TOKEN, "write a URL"),
        ({**GATEWAY, "gateway_url": "https://10.0.0/v1"}, TOKEN, "gateway_url"),
        ({**GATEWAY, "gateway_url": "https://h/a b"}, TOKEN, "gateway_url"),
        ({**GATEWAY, "gateway_url": "https://[::1/v1"}, TOKEN, "gateway_url"),
        ({**DIRECT, "endpoint": "https://h o"}, TOKEN, "write a URL"),
        ({**DIRECT, "endpoint": "https://h:0"}, TOKEN, "write a URL"),
        ({**DIRECT, "endpoint": "https://h/path"}, TOKEN, "without a path"),
        ({**DIRECT, "service_id": "../x"}, TOKEN, "service_id"),
        ({**DIRECT, "region": "evil.example/"}, TOKEN, "region"),
        ({**DIRECT, "request_path": "v1"}, TOKEN, "starts with '/'"),
        ({**DIRECT, "parser": "no colon"}, TOKEN, "package.module:function"),
        ({**DIRECT, "headers": {"x-auth-TOKEN": "hunter2"}}, TOKEN, "an instance must never see it"),
        ({**DIRECT, "headers": {"a b": "hunter2"}}, TOKEN, "not the name of a header field"),
        ({**DIRECT, "headers": {"a": "hunter2\r\nb: c"}}, TOKEN, "line break"),
        ({**DIRECT, "headers": {"a": "hunter2é"}}, TOKEN, "cannot be sent"),
        ({**DIRECT, "unknown": 1}, TOKEN, "unknown"),
        (DIRECT, {"type": "token", "token": "hunter2 x"}, "cannot be sent"),
        (DIRECT, {"type": "token", "password": "hunter2"}, "token"),
        (DIRECT, {"type": "hunter", "token": "hunter2"}, "type"),
        (DIRECT, {**PASSWORD, "user": ""}, "user"),
        (DIRECT, {"type": "aksk", "access_key": "a,b", "secret_key": "hunter2"}, "access_key"),
        (DIRECT, "hunter2", "credential"),
    ],
)
def test_mistakes_are_named_and_values_are_not_shown(settings: dict[str, Any], credential: object, named: str) -> None:
    with pytest.raises(ValidationError) as caught:
        route(settings, credential=credential)
    assert named in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "credential"),
    [
        (DIRECT, TOKEN),
        (DIRECT, PASSWORD),
        (DIRECT, AKSK),
        ({"service_id": "s", "project_id": "p", "endpoint": "http://h:1", "iam_endpoint": "http://i:1"}, PASSWORD),
        (GATEWAY, TOKEN),
        (GATEWAY, AKSK),
        ({**GATEWAY, "project_id": "p", "region": "cn-north-4"}, PASSWORD),
    ],
)
def test_what_is_enough(settings: dict[str, Any], credential: object) -> None:
    route(settings, credential=credential).discovery()


def test_every_setting_is_described() -> None:
    schema = HuaweiModelArtsProvider.model_json_schema()
    for model in (schema, *schema["$defs"].values()):
        for name, entry in model["properties"].items():
            assert name == "type" or entry.get("description"), name


def test_the_plug_in_brings_the_provider() -> None:
    registry = Registry()
    registry.add(plugin, Registered("huawei_modelarts", "directlane"))
    assert registry.providers["huawei_modelarts"].model is HuaweiModelArtsProvider


# --- what calls look like ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("credential", [TOKEN, PASSWORD, AKSK])
def test_a_call_to_an_instance_carries_no_credential(credential: object) -> None:
    wire = route(DIRECT, credential=credential).wire(INSTANCE)
    assert wire.headers == ()
    assert wire.sign is None


def test_path_and_headers_of_ones_own_go_along() -> None:
    wire = route(DIRECT, {"request_path": "/v1/chat/", "headers": {"X-Key": "Bearer k"}}).wire(INSTANCE)
    assert wire.prefix == "/v1/chat"
    assert wire.headers == (("X-Key", "Bearer k"),)


def test_through_the_gateway_a_ready_token_is_a_fixed_header() -> None:
    wire = route(GATEWAY, {"headers": {"X-Key": "k"}}).wire(Endpoint("infer.example.com", 443, scheme="https"))
    assert wire.headers == (("X-Key", "k"), ("X-Auth-Token", "MIIready"))
    assert wire.sign is None


def test_through_the_gateway_a_key_signs_address_and_body() -> None:
    wire = route(GATEWAY, credential=AKSK).wire(Endpoint("infer.example.com", 443, scheme="https"))
    assert wire.sign is not None
    request = Request("POST", "/v1/infers/s/x?a=1", (("content-type", "application/json"), ("X-Other", "o")), b"{}")
    added = wire.sign(request, 0.0)
    fields = {"host": "infer.example.com", "content-type": "application/json", "x-sdk-date": "19700101T000000Z"}
    canonical = canonical_request("POST", "/v1/infers/s/x", [("a", "1")], fields, b"{}")
    expected = signature(canonical, "19700101T000000Z", "SKhidden")
    assert (header(added, "Authorization") or "").endswith(f"Signature={expected}")


def test_a_stream_cannot_be_signed() -> None:
    wire = route(GATEWAY, credential=AKSK).wire(Endpoint("infer.example.com", 443, scheme="https"))
    assert wire.sign is not None
    with pytest.raises(ValueError, match="pass bytes"):
        wire.sign(Request("POST", "/", content=iter([b"a"])), 0.0)


def test_before_the_first_login_a_call_goes_out_bare() -> None:
    provider = route(GATEWAY, {"project_id": "p", "region": "r"}, credential=PASSWORD)
    wire = provider.wire(Endpoint("infer.example.com", 443, scheme="https"))
    assert wire.sign is not None
    assert wire.sign(Request("POST", "/"), 0.0) == ()


def verdict(provider: Provider, status: int, content: bytes = b"") -> Action:
    return provider.classify(Outcome(Phase.DONE, 0.1, Reply(status, content=content))).action


def test_answers_are_judged_by_access_and_credential() -> None:
    stale = b'{"error_code": "APIG.0307", "error_msg": "The token must be updated"}'
    assert verdict(route(DIRECT, credential=PASSWORD), 401, stale) is FAIL.action
    assert verdict(route(GATEWAY), 401, stale) is FAIL.action
    renewing = route(GATEWAY, {"project_id": "p", "region": "r"}, credential=PASSWORD)
    assert verdict(renewing, 401, stale) is REAUTHENTICATE.action


def test_limits_belong_to_the_cloud_that_sets_them() -> None:
    assert route(GATEWAY).budgets() == ()
    public, private = route(DIRECT).budgets(), route(DIRECT, {"endpoint": "https://ma.example.com"}).budgets()
    assert {budget.name for budget in public}.isdisjoint(budget.name for budget in private)
