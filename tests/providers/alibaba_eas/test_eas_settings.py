"""The settings: what they default to, what they refuse and what they say then."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from directlane.core.endpoint import Endpoint
from directlane.core.errors import Phase
from directlane.core.interfaces import Provider
from directlane.core.message import Reply, Request
from directlane.core.outcome import Action, Outcome
from directlane.core.plugins.hooks import ProviderPlugin
from directlane.providers.alibaba_eas import AlibabaEasProvider, plugin
from directlane.providers.alibaba_eas.emulator import EasEmulator

INSTANCE = Endpoint("10.0.0.1", 50000)
SECRET = "kangaroo-4711"


def provider(**settings: object) -> AlibabaEasProvider:
    return AlibabaEasProvider.model_validate({"service": "svc", "region": "cn-hangzhou", **settings})


def test_defaults() -> None:
    made = provider()
    assert (made.access, made.discovery_path, made.internal, made.auth) == ("direct", "auto", False, "plain")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"region": None}, "needs `region`"),
        ({"access": "vpc_gateway"}, 'access = "vpc_gateway" needs `uid`, or `gateway_host`'),
        ({"access": "public_gateway", "region": None}, "needs `region` and `uid`, or `gateway_host`"),
        ({"https": True}, "`https` is for gateways"),
        ({"auth": "signed"}, 'auth = "signed" needs a `token`'),
        ({"auth": "none", "token": SECRET}, "is never sent"),
        ({"service": ""}, "is not a service name"),
        ({"service": "a b"}, "is not a service name"),
        ({"service": "/svc"}, "is not a service name"),
        ({"service": "svc/"}, "is not a service name"),
        ({"service": "svc?x"}, "is not a service name"),
        ({"region": "Hangzhou"}, "is not a region id such as 'cn-hangzhou'"),
        ({"uid": "me"}, "the account id has digits only"),
        ({"discovery_host": "https://d.example"}, "is not a host"),
        ({"discovery_host": "d.example/path"}, "is not a host"),
        ({"discovery_host": "d.example:99999"}, "port 99999"),
        ({"gateway_host": f"user:{SECRET}@gw.example"}, "'gw.example' is not a host"),
        ({"request_path": "v1"}, "it starts with '/'"),
        ({"request_path": "/v1?x"}, "it starts with '/'"),
        ({"request_path": "/ü"}, "written as %XX"),
        ({"access": "sideways"}, "'direct', 'vpc_gateway' or 'public_gateway'"),
    ],
)
def test_what_is_refused_and_why(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        provider(**settings)
    assert message in str(caught.value)
    assert SECRET not in str(caught.value)


def test_every_setting_says_what_it_is() -> None:
    for name, field in AlibabaEasProvider.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


@pytest.mark.parametrize(
    ("settings", "prefix"),
    [
        ({}, "/api/predict/svc"),
        ({"service": "group.svc/v1"}, "/api/predict/group.svc/v1"),
        ({"request_path": "/v1/"}, "/api/predict/svc/v1"),
        ({"service": "svc/a-b.c~d/%C3%BC", "request_path": "/x:y"}, "/api/predict/svc/a-b.c~d/%C3%BC/x:y"),
    ],
)
def test_prefix_of_every_call(settings: dict[str, object], prefix: str) -> None:
    assert provider(**settings).wire(INSTANCE).prefix == prefix


def test_wire_of_each_scheme() -> None:
    assert provider(token="t").wire(INSTANCE).headers == (("Authorization", "t"),)
    assert provider(token="t", auth="bearer").wire(INSTANCE).headers == (("Authorization", "Bearer t"),)
    assert provider().wire(INSTANCE).headers == ()
    signed = provider(token="t", auth="signed").wire(INSTANCE)
    assert signed.headers == ()
    assert signed.sign is not None


def test_token_stands_in_no_text() -> None:
    for scheme in ("plain", "signed", "bearer"):
        made = provider(token=SECRET, auth=scheme)
        wire = made.wire(INSTANCE)
        request = Request("POST", wire.prefix, wire.headers, b"{}")
        texts = [repr(made), str(made), made.model_dump_json(), repr(wire), repr(request), repr(wire.sign)]
        texts += [repr(made.discovery()), repr(made.discovery().identity), str(made.model_dump())]
        if wire.sign is not None:
            texts += [repr(wire.sign(request, 0.0))]
        assert not [text for text in texts if SECRET in text]


def test_wrong_type_of_token_is_not_shown() -> None:
    with pytest.raises(ValidationError) as caught:
        provider(token=[SECRET])
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "action", "may_have_run"),
    [
        (200, Action.OK, True),
        (204, Action.OK, True),
        (304, Action.OK, True),
        (400, Action.FAIL, True),
        (401, Action.FAIL, True),
        (404, Action.FAIL, True),
        (405, Action.FAIL, True),
        (408, Action.RETRY_ELSEWHERE, True),
        (429, Action.BACK_OFF, False),
        (450, Action.RETRY_ELSEWHERE, False),
        (500, Action.RETRY_ELSEWHERE, True),
        (501, Action.FAIL, True),
        (502, Action.RETRY_ELSEWHERE, True),
        (503, Action.RETRY_ELSEWHERE, True),
        (504, Action.RETRY_ELSEWHERE, True),
        (505, Action.FAIL, True),
    ],
)
def test_what_each_status_means(status: int, action: Action, may_have_run: bool) -> None:
    verdict = provider().classify(Outcome(Phase.DONE, 0.1, reply=Reply(status)))
    assert verdict.action is action
    if action is not Action.OK and action is not Action.FAIL:
        assert verdict.may_have_run is may_have_run


@pytest.mark.parametrize("status", [429, 503])
def test_delay_that_the_answer_asks_for(status: int) -> None:
    verdict = provider().classify(Outcome(Phase.DONE, 0.1, reply=Reply(status, (("Retry-After", "3"),))))
    assert (verdict.action, verdict.delay) == (Action.BACK_OFF, 3.0)


def test_plugin_brings_the_provider_and_its_emulator() -> None:
    (brought,) = plugin.directlane_providers()
    assert isinstance(brought, ProviderPlugin)
    assert issubclass(brought.model, Provider)
    assert brought.model.kind == "alibaba_eas"
    assert brought.emulator is not None
    assert isinstance(brought.emulator(1), EasEmulator)
