"""The settings: what they default to, what they refuse and what they say then."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from directlane import load_file
from directlane.core.endpoint import Endpoint
from directlane.core.errors import Phase
from directlane.core.interfaces import PollContext, Provider, Query
from directlane.core.message import Reply, Request
from directlane.core.outcome import Action, Outcome
from directlane.core.plugins.hooks import ProviderPlugin
from directlane.providers.alibaba_eas import AlibabaEasProvider, plugin
from directlane.providers.alibaba_eas.emulator import EasEmulator
from directlane.providers.alibaba_eas.provider import ControlPlaneSettings
from directlane.providers.alibaba_eas.token import FetchedToken, TokenFile, TokenVariable

INSTANCE = Endpoint("10.0.0.1", 50000)
SECRET = "kangaroo-4711"
KEY = {"type": "access_key", "access_key_id": "LTAI", "access_key_secret": SECRET}
GATEWAY = {"access": "vpc_gateway", "uid": "1"}


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
        ({"token": SECRET, "token_file": "/x"}, "both give the token"),
        ({"auth": "none", "token_file": "/x"}, "is never sent"),
        ({"token_file": "/x", "token_env": "X"}, "`token_file` and `token_env` both give the token"),
        ({"token_env": "1 X"}, "token_env"),
        ({"auth": "none", "token_env": "X"}, "is never sent"),
        ({"token_file": ""}, "write the path of a file"),
        ({"token_file": "a\0b"}, "write the path of a file"),
        ({"control_plane": {}}, "control_plane.credential"),
        ({"control_plane": {"credential": {"type": "magic"}}}, "'chain'"),
        ({"control_plane": {"credential": KEY, "endpoint": f"https://user:{SECRET}@host"}}, "write a URL such as"),
        ({"control_plane": {"credential": KEY, "endpoint": "ftp://host"}}, "write a URL such as"),
        ({"control_plane": {"credential": KEY, "endpoint": "https://host/path"}}, "write a URL such as"),
        ({"control_plane": {"credential": KEY, "refresh": "5s"}}, "60"),
        ({"control_plane": {"credential": KEY}, "region": None, "discovery_host": "d"}, "needs `region`, or both"),
        ({"control_plane": {"credential": KEY, "instances": False}, "token": SECRET}, "would never be asked"),
        ({"control_plane": {"credential": KEY}, **GATEWAY, "token": SECRET}, "would never be asked"),
        ({"control_plane": {"credential": {**KEY, "access_key_secret": f"{SECRET} x"}}}, "it has a space"),
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


def test_every_setting_of_the_control_plane_says_what_it_is() -> None:
    for name, field in ControlPlaneSettings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, None),
        ({"token": "t"}, None),
        ({"token_file": "/x"}, TokenFile),
        ({"token_env": "X"}, TokenVariable),
        ({"control_plane": {"credential": KEY}}, FetchedToken),
        ({"control_plane": {"credential": KEY}, **GATEWAY}, FetchedToken),
        ({"control_plane": {"credential": KEY}, "token_file": "/x"}, TokenFile),
        ({"control_plane": {"credential": KEY}, "token": "t"}, None),
        ({"control_plane": {"credential": KEY}, "auth": "none"}, None),
    ],
)
def test_who_keeps_the_token_fresh(settings: dict[str, object], kind: type[object] | None) -> None:
    made = provider(**settings)
    upkeep = made.upkeep()
    assert (None if upkeep is None else type(upkeep)) is kind
    verdict = made.classify(Outcome(Phase.DONE, 0.1, reply=Reply(401)))
    assert verdict.action is (Action.FAIL if kind is None else Action.REAUTHENTICATE)


def test_a_401_was_not_run() -> None:
    verdict = provider(token_file="/x").classify(Outcome(Phase.DONE, 0.1, reply=Reply(401)))
    assert not verdict.may_have_run


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "https://pai-eas.cn-hangzhou.aliyuncs.com/api/v2/services/cn-hangzhou/svc"),
        ({"service": "group.svc/v1"}, "https://pai-eas.cn-hangzhou.aliyuncs.com/api/v2/services/cn-hangzhou/svc"),
        (
            {"control_plane": {"service": "g.s"}},
            "https://pai-eas.cn-hangzhou.aliyuncs.com/api/v2/services/cn-hangzhou/g.s",
        ),
        (
            {"control_plane": {"endpoint": "http://api:8080/", "cluster": "c"}, "region": None, "discovery_host": "d"},
            "http://api:8080/api/v2/services/c/svc",
        ),
    ],
)
def test_where_the_control_plane_is_asked(settings: dict[str, dict[str, object]], url: str) -> None:
    table = {"credential": KEY, **settings.get("control_plane", {})}
    upkeep = provider(**{**settings, "control_plane": table}).upkeep()
    assert upkeep is not None
    query = next(upkeep.poll(PollContext(0.0)))
    assert isinstance(query, Query)
    assert query.url == url


def test_a_relative_token_file_begins_at_the_configuration_file(tmp_path: Path) -> None:
    file = tmp_path / "directlane.toml"
    file.write_text(
        "[services.s]\n[[services.s.routes]]\n"
        'provider = "alibaba_eas"\nservice = "svc"\nregion = "cn-hangzhou"\ntoken_file = "secrets/token"\n'
    )
    made = load_file(file, environment={}).services["s"].routes[0].provider
    assert isinstance(made, AlibabaEasProvider)
    assert made.token_file == str(tmp_path / "secrets" / "token")


def test_budgets_are_our_own_and_named() -> None:
    made = provider(control_plane={"credential": KEY})
    assert [(budget.name.split("/")[1], budget.limit, budget.window) for budget in made.budgets()] == [
        ("control plane", 60, 60.0),
    ]
    assert all("our own limit" in line for line in made.facts.budgets)


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
