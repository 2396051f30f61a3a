"""Identity providers and the identity of a pod: tokens of somebody else for a temporary key. No socket."""

from __future__ import annotations

import json
from typing import Any

import pytest
from modelarts_lab import GATEWAY, LIST, NOON, Talk, login, refusal, route, talk, temporary_key

from directlane.core.endpoint import Endpoint
from directlane.core.errors import CredentialError, DiscoveryError, DiscoveryThrottled, Phase, TransportError
from directlane.core.message import Reply, Request, header

IDP = {"type": "identity_provider", "idp_id": "cluster", "id_token_file": "/token"}
POD = {"type": "pod_identity"}
FILE = {"/token": b"eyJhidden"}
VARIABLES = {"HC_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/v1/credentials?x=1"}
VARIABLES["HC_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = "/token"
EXCHANGED = login("MIIunscoped", life=600)
AWAY = TransportError("no answer", phase=Phase.WAIT)


def signed_with(told: Talk) -> str:
    return (header(told.queries[-1].headers, "Authorization") or "").partition("Access=")[2].partition(",")[0]


def test_an_id_token_becomes_a_token_and_that_a_key() -> None:
    told = talk(route(credential=IDP).discovery(), [EXCHANGED, temporary_key(), LIST], files=FILE)
    first, second, listed = told.queries
    assert (first.method, first.url) == (
        "POST",
        "https://iam.cn-north-4.myhuaweicloud.com/v3.0/OS-AUTH/id-token/tokens",
    )
    assert header(first.headers, "X-Idp-Id") == "cluster"
    assert json.loads(first.content) == {"auth": {"id_token": {"id": "eyJhidden"}}}
    assert second.url == "https://iam.cn-north-4.myhuaweicloud.com/v3.0/OS-CREDENTIAL/securitytokens"
    asked = json.loads(second.content)["auth"]["identity"]
    assert asked == {"methods": ["token"], "token": {"id": "MIIunscoped", "duration_seconds": 21_600}}
    assert header(second.headers, "X-Auth-Token") is None
    assert signed_with(told) == "AKone"
    assert header(listed.headers, "X-Security-Token") == "STonehidden"
    assert header(listed.headers, "X-Project-Id") == "p"


def test_the_file_is_read_again_for_each_key() -> None:
    discovery = route(credential={**IDP, "duration": "1h"}).discovery()
    talk(discovery, [EXCHANGED, temporary_key(), LIST], files=FILE)
    later = talk(
        discovery,
        [EXCHANGED, temporary_key("two", at=NOON + 1801), LIST],
        at=NOON + 1801,
        files={"/token": b"\xef\xbb\xbf eyJnext\r\n"},
    )
    assert json.loads(later.queries[0].content)["auth"]["id_token"]["id"] == "eyJnext"
    assert signed_with(later) == "AKtwo"


def test_while_the_file_is_gone_the_key_serves_to_its_end() -> None:
    discovery = route(credential={**IDP, "duration": "1h"}).discovery()
    talk(discovery, [EXCHANGED, temporary_key(), LIST], files=FILE)
    told = talk(discovery, [LIST], at=NOON + 1801)
    assert signed_with(told) == "AKone"
    assert told.snapshot is not None
    (warning,) = told.snapshot.warnings
    assert warning.startswith(
        "identity provider 'cluster' cannot be renewed, and is used until it ends: the file /token"
    )
    assert isinstance(talk(discovery, [], at=NOON + 3601).error, CredentialError)
    back = talk(discovery, [EXCHANGED, temporary_key("two", at=NOON + 3700), LIST], at=NOON + 3700, files=FILE)
    assert back.snapshot is not None
    assert back.snapshot.warnings == ()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"eyJhidden two", "more than one word"),
        (b"eyJ\xc3\xa9hidden", "ASCII"),
    ],
)
def test_a_file_without_a_token_is_named_and_nothing_is_sent(content: bytes, text: str) -> None:
    for credential, environment in ((IDP, {}), (POD, VARIABLES)):
        error = talk(
            route(credential=credential).discovery(), [], files={"/token": content}, environment=environment
        ).error
        assert isinstance(error, CredentialError)
        assert not error.permanent
        assert "/token" in str(error)
        assert text in str(error)
        assert "hidden" not in str(error)


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ([refusal(401, "IAM.0001", "eyJhidden is wrong")], "IAM refused the id token of identity provider 'cluster'"),
        ([refusal(404, "IAM.0004")], "check idp_id"),
        ([Reply(201)], "no usable X-Subject-Token"),
        ([EXCHANGED, refusal(403, "IAM.0003", "MIIunscoped")], "identity conversion rules"),
        ([EXCHANGED, Reply(201, content=b"{}")], "no usable key"),
        ([EXCHANGED, AWAY], "no answer"),
        ([Reply(302, (("Location", "http://elsewhere"),))], "status 302"),
    ],
)
def test_what_iam_says_is_told_and_it_is_asked_again(answers: list[Any], text: str) -> None:
    discovery = route(credential=IDP).discovery()
    error = talk(discovery, answers, files=FILE).error
    assert text in str(error)
    assert "hidden" not in str(error)
    assert "unscoped" not in str(error)
    # It locks nobody, so it is tried again.
    assert talk(discovery, [EXCHANGED, temporary_key(), LIST], files=FILE).snapshot is not None


def test_throttling_is_known_as_such() -> None:
    assert isinstance(talk(route(credential=IDP).discovery(), [Reply(429)], files=FILE).error, DiscoveryThrottled)
    pod = talk(route(credential=POD).discovery(), [Reply(429)], files=FILE, environment=VARIABLES)
    assert isinstance(pod.error, DiscoveryThrottled)


@pytest.mark.parametrize("form", ["environment", "profile"])
def test_the_sources_of_the_sdks_name_an_identity_provider_too(form: str) -> None:
    environment = {
        "HUAWEICLOUD_SDK_IDP_ID": "cluster",
        "HUAWEICLOUD_SDK_ID_TOKEN_FILE": "/token",
        "HUAWEICLOUD_SDK_PROJECT_ID": "penv",
        "HUAWEICLOUD_SDK_AK": "AKenv",
        "HUAWEICLOUD_SDK_SK": "SKhidden",
    }
    profile = (
        b"[basic]\nidp_id = cluster\nid_token_file = /token\nproject_id = penv\niam_endpoint = https://iam.example\n"
    )
    credential = {"type": "environment"} if form == "environment" else {"type": "profile", "file": "/profile"}
    discovery = route({"service_id": "s", "endpoint": "http://127.0.0.1:9"}, credential=credential).discovery()
    told = talk(
        discovery,
        [EXCHANGED, temporary_key(life=21_600), LIST],
        environment=environment,
        files={**FILE, "/profile": profile},
    )
    place = "https://iam.myhuaweicloud.com" if form == "environment" else "https://iam.example"
    assert [query.url.removeprefix(place)[:6] for query in told.queries[:2]] == ["/v3.0/", "/v3.0/"]
    assert signed_with(told) == "AKone"
    assert "/v1/penv/services/" in told.queries[-1].url
    # Its limit is that of the identity provider, whatever key it has now.
    assert told.queries[-1].budgets[0].name.endswith("/user/idp/cluster")


def test_a_source_goes_from_an_identity_provider_to_a_key() -> None:
    discovery = route(credential={"type": "profile", "file": "/profile"}).discovery()
    provider = {"/profile": b"[basic]\nidp_id = cluster\nid_token_file = /token\n"}
    talk(discovery, [EXCHANGED, temporary_key(), LIST], files=FILE | provider)
    told = talk(discovery, [refusal(401, "APIG.0301"), LIST], files={"/profile": b"[basic]\nak = AKfile\nsk = x\n"})
    assert signed_with(told) == "AKfile"


# --- pods -------------------------------------------------------------------------------------------------------------


def test_a_pods_agent_is_asked_where_the_variables_say() -> None:
    key = {"accessKeyId": "AKpod", "secretAccessKey": "SKhidden", "securityToken": "SThidden"}
    key["expiration"] = "2027-01-15T09:00:00Z"
    answer = Reply(200, content=json.dumps({"audience": "a", "credentials": key}).encode())
    told = talk(route(credential=POD).discovery(), [answer, LIST], environment=VARIABLES, files=FILE)
    asked = told.queries[0]
    assert (asked.method, asked.url, asked.content) == ("POST", "http://127.0.0.1:1/v1/credentials?x=1", b"{}")
    assert header(asked.headers, "Authorization") == "eyJhidden"
    assert signed_with(told) == "AKpod"
    assert header(told.queries[-1].headers, "X-Security-Token") == "SThidden"


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({}, "HC_CONTAINER_CREDENTIALS_FULL_URI and HC_CONTAINER_AUTHORIZATION_TOKEN_FILE are not set"),
        ({**VARIABLES, "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE": ""}, "AUTHORIZATION_TOKEN_FILE is not set"),
        ({**VARIABLES, "HC_CONTAINER_CREDENTIALS_FULL_URI": "ftp://hidden"}, "does not hold a URL"),
        ({**VARIABLES, "HC_CONTAINER_CREDENTIALS_FULL_URI": "http://u:hidden@h"}, "does not hold a URL"),
        ({**VARIABLES, "HC_CONTAINER_CREDENTIALS_FULL_URI": "http://h/?a b"}, "does not hold a URL"),
    ],
)
def test_what_is_wrong_with_the_variables_of_a_pod_is_named(environment: dict[str, str], text: str) -> None:
    error = talk(route(credential=POD).discovery(), [], environment=environment, files=FILE).error
    assert isinstance(error, CredentialError)
    assert text in str(error)
    assert "hidden" not in str(error)


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 500])
def test_an_agent_that_refuses_is_an_agreed_error(status: int) -> None:
    answer = Reply(status, content=b'{"error_msg": "eyJhidden"}')
    error = talk(route(credential=POD).discovery(), [answer], environment=VARIABLES, files=FILE).error
    assert isinstance(error, DiscoveryError)
    assert f"status {status}" in str(error)
    assert "hidden" not in str(error)


@pytest.mark.parametrize("credential", [IDP, POD])
def test_calls_through_the_gateway_are_signed_with_the_key(credential: dict[str, str]) -> None:
    provider = route(GATEWAY, credential=credential)
    sign = provider.wire(Endpoint("infer.example.com", 443, scheme="https")).sign
    assert sign is not None
    answers = [EXCHANGED, temporary_key()] if credential is IDP else [temporary_key()]
    talk(provider.upkeep(), answers, environment=VARIABLES, files=FILE)
    assert header(sign(Request("POST", "/x"), NOON), "X-Security-Token") == "STonehidden"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({**IDP, "idp_id": "hunter2 x"}, "idp_id"),
        ({**IDP, "id_token_file": ""}, "id_token_file"),
        ({**IDP, "duration": "1m"}, "15 minutes to 24 hours"),
        ({**POD, "file": "hunter2"}, "file"),
    ],
)
def test_mistakes_in_the_settings_are_named_and_values_are_not_shown(settings: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named) as caught:
        route(credential=settings)
    assert "hunter2" not in str(caught.value)


def test_an_identity_provider_needs_to_know_where_iam_is() -> None:
    with pytest.raises(ValueError, match="needs region"):
        route({"service_id": "s", "project_id": "p", "endpoint": "http://127.0.0.1:9"}, credential=IDP)
