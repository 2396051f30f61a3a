"""The sources of Huawei's own SDKs: environment, profile file, and the chain that asks one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from modelarts_lab import GATEWAY, LIST, NOON, PASSWORD, Talk, login, refusal, route, talk, temporary_key

from directlane.core.errors import CredentialError, DiscoveryError, Phase, TransportError
from directlane.core.message import Reply, header
from directlane.providers.huawei_modelarts.provider import HuaweiModelArtsProvider

VARIABLES = {"HUAWEICLOUD_SDK_AK": "AKenv", "HUAWEICLOUD_SDK_SK": "SKhidden", "HUAWEICLOUD_SDK_PROJECT_ID": "penv"}
PROFILE = b"[basic]\nak = AKfile\nsk = SKhidden\nproject_id = pfile\n"
USUAL = "/home/me/.huaweicloud/credentials"
HOME = {"HOME": "/home/me"}
NO_PROJECT = {"service_id": "s", "region": "cn-north-4"}
AWAY = TransportError("no answer", phase=Phase.WAIT)
OIDC = {
    "HUAWEICLOUD_OIDC_PROVIDER_URN": "urn:1",
    "HUAWEICLOUD_OIDC_AGENCY_URN": "urn:2",
    "HUAWEICLOUD_OIDC_ID_TOKEN": "SKhidden",
}
POD = {"HC_CONTAINER_CREDENTIALS_FULL_URI": "http://p", "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/t"}


def provider(kind: str, **more: Any) -> HuaweiModelArtsProvider:
    return route(NO_PROJECT, credential={"type": kind, **more})


def signed_with(told: Talk) -> str:
    query = told.queries[-1]
    return (header(query.headers, "Authorization") or "").partition("Access=")[2].partition(",")[0]


# --- environment ------------------------------------------------------------------------------------------------------


def test_key_and_project_come_from_the_environment() -> None:
    told = talk(provider("environment").discovery(), [LIST], environment=VARIABLES)
    assert signed_with(told) == "AKenv"
    assert header(told.queries[0].headers, "X-Project-Id") == "penv"
    assert "/v1/penv/services/s/" in told.queries[0].url
    assert header(told.queries[0].headers, "X-Security-Token") is None


def test_the_routes_project_wins_and_a_security_token_goes_along() -> None:
    settings = route(credential={"type": "environment"})
    told = talk(settings.discovery(), [LIST], environment={**VARIABLES, "HUAWEICLOUD_SDK_SECURITY_TOKEN": "STenv"})
    assert "/v1/p/services/" in told.queries[0].url
    assert header(told.queries[0].headers, "X-Security-Token") == "STenv"


def test_the_environment_is_read_once_and_again_after_a_refusal() -> None:
    discovery = provider("environment").discovery()
    talk(discovery, [LIST], environment=VARIABLES)
    assert signed_with(talk(discovery, [LIST], at=NOON + 9e6)) == "AKenv"
    changed = {**VARIABLES, "HUAWEICLOUD_SDK_AK": "AKnew"}
    told = talk(discovery, [refusal(403, "ModelArts.0206"), LIST], environment=changed)
    assert signed_with(told) == "AKnew"


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({}, "no HUAWEICLOUD_SDK_AK and no HUAWEICLOUD_SDK_SK"),
        ({"HUAWEICLOUD_SDK_AK": "AKenv"}, "the environment has no HUAWEICLOUD_SDK_SK."),
        ({**VARIABLES, "HUAWEICLOUD_SDK_AK": "a b"}, "cannot be sent"),
        ({**VARIABLES, "HUAWEICLOUD_SDK_SK": "SKhidden\udc80"}, "cannot be sent"),
        ({**VARIABLES, "HUAWEICLOUD_SDK_SECURITY_TOKEN": "SKhidden\nx"}, "cannot be sent"),
        ({**VARIABLES, "HUAWEICLOUD_SDK_PROJECT_ID": "../SKhidden"}, "HUAWEICLOUD_SDK_PROJECT_ID"),
        ({**VARIABLES, "HUAWEICLOUD_SDK_IDP_ID": "i", "HUAWEICLOUD_SDK_ID_TOKEN_FILE": "/f"}, "the file /f: No such"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named_and_not_shown(environment: Mapping[str, str], text: str) -> None:
    error = talk(provider("environment").discovery(), [], environment=environment).error
    assert isinstance(error, CredentialError)
    assert not error.permanent
    assert text in str(error)
    assert "Next: " in str(error)
    assert "SKhidden" not in str(error)


def test_without_any_project_the_error_says_where_to_set_it() -> None:
    environment = {name: value for name, value in VARIABLES.items() if not name.endswith("PROJECT_ID")}
    error = talk(provider("environment").discovery(), [], environment=environment).error
    assert "no project is known" in str(error)
    assert "set project_id" in str(error)


# --- the profile file -------------------------------------------------------------------------------------------------


def test_key_and_project_come_from_the_usual_file() -> None:
    told = talk(provider("profile").discovery(), [LIST], environment=HOME, files={USUAL: PROFILE})
    assert signed_with(told) == "AKfile"
    assert "/v1/pfile/services/" in told.queries[0].url


@pytest.mark.parametrize(
    ("more", "environment"),
    [({"file": "/etc/profile"}, {}), ({}, {"HUAWEICLOUD_SDK_CREDENTIALS_FILE": "/etc/profile"})],
)
def test_another_file_can_be_named(more: dict[str, str], environment: dict[str, str]) -> None:
    told = talk(
        provider("profile", **more).discovery(), [LIST], environment=environment, files={"/etc/profile": PROFILE}
    )
    assert signed_with(told) == "AKfile"


def test_a_file_that_was_replaced_is_read_again_after_a_refusal() -> None:
    discovery = provider("profile", file="/f").discovery()
    talk(discovery, [LIST], files={"/f": PROFILE})
    told = talk(discovery, [refusal(401, "APIG.0303"), LIST], files={"/f": PROFILE.replace(b"AKfile", b"AKnext")})
    assert signed_with(told) == "AKnext"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"[global]\nak = a\nsk = SKhidden\n", r"no section [basic]"),
        (b"SKhidden", "MissingSectionHeaderError"),
        (b"[basic]\nSKhidden\n", "ParsingError"),
        (b"[basic]\nak = a\nsk = SK%hidden\n", "a `%` is written `%%`"),
        (b"[basic]\nak = a\nak = SKhidden\n", "DuplicateOptionError"),
        (b"[basic]\nak = a\n", "has no sk"),
        (b"[basic]\nak = a\nsk = SKhidden\nidp_id = i\nid_token_file = /g\n", "the file /g: No such"),
        (b"[basic]\nidp_id = i\nid_token_file = /f\niam_endpoint = ftp://SKhidden\n", "iam_endpoint in the file /f"),
        (b"[basic]\nak = a\nsk = SKhidden\xff\n", "not UTF-8"),
        (b"#" * 70_000, "larger than 64 KiB"),
    ],
)
def test_what_is_wrong_in_the_file_is_named_and_not_shown(content: bytes, text: str) -> None:
    error = talk(provider("profile", file="/f").discovery(), [], files={"/f": content}).error
    assert isinstance(error, DiscoveryError)
    assert text in str(error)
    shown = f"{error!r}{error.__cause__!r}{error.__context__!r}"
    assert "SKhidden" not in shown


def test_a_missing_file_is_named() -> None:
    error = talk(provider("profile", file="/f").discovery(), []).error
    assert isinstance(error, CredentialError)
    assert "the file /f: No such file" in str(error)
    assert "HUAWEICLOUD_SDK_CREDENTIALS_FILE" in str(error)


# --- the chain --------------------------------------------------------------------------------------------------------


def test_the_environment_comes_before_the_file() -> None:
    told = talk(provider("default").discovery(), [LIST], environment=VARIABLES | HOME, files={USUAL: PROFILE})
    assert signed_with(told) == "AKenv"


def test_the_file_comes_before_the_metadata_server() -> None:
    told = talk(provider("default").discovery(), [LIST], environment=HOME, files={USUAL: PROFILE})
    assert signed_with(told) == "AKfile"


def test_the_metadata_server_comes_last() -> None:
    settings = route(credential={"type": "default"})
    told = talk(settings.discovery(), [Reply(404), temporary_key(status=200), LIST], environment=HOME)
    assert signed_with(told) == "AKone"


def test_the_one_that_yielded_stays() -> None:
    discovery = route(credential={"type": "default"}).discovery()
    talk(discovery, [Reply(404), temporary_key(status=200), LIST], environment=HOME)
    # A key that appears later is somebody else's.
    told = talk(discovery, [LIST], environment=VARIABLES)
    assert signed_with(told) == "AKone"
    late = talk(discovery, [AWAY], environment=VARIABLES, at=NOON + 3601)
    assert "metadata server" in str(late.error)


def test_if_nobody_yields_each_source_is_named_with_its_reason() -> None:
    error = talk(provider("default").discovery(), [AWAY], environment=HOME).error
    assert isinstance(error, CredentialError)
    assert not error.permanent
    for text in (
        "OIDC: HUAWEICLOUD_OIDC_PROVIDER_URN is not set",
        "environment: the environment has no HUAWEICLOUD_SDK_AK",
        f"profile file: the file {USUAL}: No such file",
        "ECS metadata: the metadata server does not answer",
        "pod identity: HC_CONTAINER_CREDENTIALS_FULL_URI and HC_CONTAINER_AUTHORIZATION_TOKEN_FILE are not set",
        "Next: ",
    ):
        assert text in str(error)
    assert str(error).count("Next: ") == 1


def test_a_source_that_was_set_up_meanwhile_is_found() -> None:
    discovery = provider("default").discovery()
    assert talk(discovery, [AWAY], environment=HOME).error is not None
    assert signed_with(talk(discovery, [LIST], environment=VARIABLES)) == "AKenv"


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        (OIDC | VARIABLES, "not supported"),
        ({**VARIABLES, "HUAWEICLOUD_SDK_IDP_ID": "i", "HUAWEICLOUD_SDK_ID_TOKEN_FILE": "/f"} | HOME, "the file /f"),
        ({**VARIABLES, "HUAWEICLOUD_SDK_SK": "SKhidden\nx"} | HOME, "cannot be sent"),
    ],
)
def test_nobody_takes_the_turn_of_a_source_that_is_set_up_and_does_not_yield(
    environment: dict[str, str], text: str
) -> None:
    discovery = provider("default").discovery()
    error = talk(discovery, [], environment=environment, files={USUAL: PROFILE}).error
    assert isinstance(error, CredentialError)
    assert text in str(error)
    assert "SKhidden" not in str(error)
    # Once it is taken away, the next one has its turn.
    assert signed_with(talk(discovery, [LIST], environment=HOME, files={USUAL: PROFILE})) == "AKfile"


def test_the_pod_comes_last() -> None:
    settings = route(credential={"type": "default"})
    key = temporary_key(status=200)
    told = talk(settings.discovery(), [AWAY, key, LIST], environment=HOME | POD, files={"/t": b"SKhidden"})
    assert told.queries[1].url == "http://p"
    assert signed_with(told) == "AKone"


def test_the_pods_variables_do_not_matter_when_somebody_before_it_yields() -> None:
    told = talk(provider("default").discovery(), [LIST], environment=POD | VARIABLES)
    assert signed_with(told) == "AKenv"


def test_half_of_the_oidc_variables_are_not_oidc() -> None:
    half = {name: value for name, value in OIDC.items() if not name.endswith("ID_TOKEN")}
    assert signed_with(talk(provider("default").discovery(), [LIST], environment=half | VARIABLES)) == "AKenv"


# --- the address of IAM -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "origin"),
    [
        ("https://iam.example.com/", "https://iam.example.com"),
        ("iam.example.com", "https://iam.example.com"),
    ],
)
def test_iam_is_where_the_variable_of_the_sdks_says(told: str, origin: str) -> None:
    environment = {"HUAWEICLOUD_SDK_IAM_ENDPOINT": told}
    talked = talk(route(credential=PASSWORD).discovery(), [login(), LIST], environment=environment)
    assert talked.queries[0].url.startswith(f"{origin}/v3/auth/tokens")


def test_the_routes_iam_endpoint_wins() -> None:
    environment = {"HUAWEICLOUD_SDK_IAM_ENDPOINT": "https://iam.example.com"}
    settings = route(GATEWAY, {"iam_endpoint": "http://127.0.0.1:9"}, credential=PASSWORD)
    talked = talk(settings.upkeep(), [login()], environment=environment)
    assert talked.queries[0].url.startswith("http://127.0.0.1:9/v3/")


@pytest.mark.parametrize("told", ["https://u:SKhidden@h", "ftp://h", "https://h/path?x=SKhidden", "h h"])
def test_a_variable_that_holds_no_address_is_named_and_not_shown(told: str) -> None:
    talked = talk(route(credential=PASSWORD).discovery(), [], environment={"HUAWEICLOUD_SDK_IAM_ENDPOINT": told})
    assert isinstance(talked.error, DiscoveryError)
    assert "HUAWEICLOUD_SDK_IAM_ENDPOINT" in str(talked.error)
    assert "SKhidden" not in str(talked.error)
