"""The order and the names of the credential chain, against Huawei's own package, which lives in an environment of its
own. It is run offline: each source that it could ask over the network is cut off, and only its turn is written down."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
from modelarts_lab import LIST, Talk, login, route, talk, temporary_key

from directlane.core.errors import CredentialError, Phase, TransportError
from directlane.core.message import Reply, header
from directlane.providers.huawei_modelarts.emulator import PROJECT_ID, ModelArtsEmulator

pytestmark = pytest.mark.vendor

THEIR_SIDE = """
import json, sys
import requests
from huaweicloudsdkcore.auth.provider import CredentialProviderChain
asked = []
def cut_off(*args, **kwargs):
    asked.append(kwargs.get("url") or args[0])
    raise requests.ConnectionError("cut off")
requests.put = requests.get = requests.post = cut_off
chain = CredentialProviderChain.get_basic()
answer = {"order": [type(each).__name__ for each in chain._providers], "asked": asked}
try:
    found = chain.get_credentials()
    answer["found"] = {name: getattr(found, name) for name in ("ak", "sk", "security_token", "project_id")}
    answer["accessor"] = type(found.sts_accessor).__name__ if found.sts_accessor else None
except Exception as error:
    answer["error"] = type(error).__name__
json.dump(answer, sys.stdout)
"""

KEY = {"HUAWEICLOUD_SDK_AK": "AKenv", "HUAWEICLOUD_SDK_SK": "SKenv", "HUAWEICLOUD_SDK_PROJECT_ID": "penv"}
TYPES = {"environment": {"type": "environment"}, "profile": {"type": "profile"}, "pod": {"type": "pod_identity"}}
OIDC = {
    "HUAWEICLOUD_OIDC_PROVIDER_URN": "urn:1",
    "HUAWEICLOUD_OIDC_AGENCY_URN": "urn:2",
    "HUAWEICLOUD_OIDC_ID_TOKEN": "token",
}
FILE = "[basic]\nak = AKfile\nsk = SK%%file\nsecurity_token = STfile\nproject_id = pfile\n"


def vendor_python() -> Path:
    given = os.environ.get("DIRECTLANE_HUAWEI_PYTHON")
    path = Path(given) if given else Path(__file__).parents[3] / ".vendor" / "huawei" / "bin" / "python"
    if not path.exists():
        pytest.skip(f"no {path}: `python tools/vendor_envs.py` makes it")
    return path


def theirs(environment: dict[str, str], home: Path) -> dict[str, object]:
    return run(THEIR_SIDE, environment, home)


def run(script: str, environment: dict[str, str], home: Path) -> dict[str, object]:
    ran = subprocess.run(
        [vendor_python(), "-c", script],
        env={"HOME": str(home), "PATH": os.environ.get("PATH", ""), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    answer: dict[str, object] = json.loads(ran.stdout)
    return answer


def ours(environment: dict[str, str], home: Path, answers: int) -> Talk:
    settings = route({"service_id": "s", "region": "cn-north-4"}, credential={"type": "default"})
    files = {str(path): path.read_bytes() for path in home.glob(".huaweicloud/*")}
    replies: list[Reply | TransportError] = [LIST] * answers
    if not answers:
        replies = [TransportError("cut off", phase=Phase.CONNECT)]
    return talk(settings.discovery(), replies, environment={"HOME": str(home), **environment}, files=files)


def what_we_found(told: Talk) -> dict[str, str | None]:
    fields = told.queries[-1].headers
    access = (header(fields, "Authorization") or "").partition("Access=")[2].partition(",")[0]
    return {
        "ak": access,
        "security_token": header(fields, "X-Security-Token"),
        "project_id": header(fields, "X-Project-Id"),
    }


def write_profile(home: Path, name: str = "credentials") -> Path:
    folder = home / ".huaweicloud"
    folder.mkdir()
    (folder / name).write_text(FILE)
    return folder / name


def test_the_order_is_theirs(tmp_path: Path) -> None:
    their = theirs({}, tmp_path)
    assert their["order"] == [
        "OidcStsCredentialProvider",
        "EnvCredentialProvider",
        "ProfileCredentialProvider",
        "MetadataBasicCredentialProvider",
        "PodIdentityCredentialProvider",
    ]
    error = str(ours({}, tmp_path, 0).error)
    names = ("OIDC: ", "environment: ", "profile file: ", "ECS metadata: ", "pod identity: ")
    assert sorted(names, key=error.index) == list(names)


@pytest.mark.parametrize(
    "environment", [KEY, KEY | {"HUAWEICLOUD_SDK_SECURITY_TOKEN": "STenv"}, {"HUAWEICLOUD_SDK_AK": "alone"}, {}]
)
@pytest.mark.parametrize("profile", [None, "credentials", "another"])
def test_the_same_key_is_found(environment: dict[str, str], profile: str | None, tmp_path: Path) -> None:
    if profile is not None:
        path = write_profile(tmp_path, profile)
        if profile == "another":
            environment = environment | {"HUAWEICLOUD_SDK_CREDENTIALS_FILE": str(path)}
    found = cast("dict[str, str | None] | None", theirs(environment, tmp_path).get("found"))
    if found is None:
        assert isinstance(ours(environment, tmp_path, 0).error, CredentialError)
        return
    # The secret half is not seen in what we send; signatures are compared by another test.
    assert what_we_found(ours(environment, tmp_path, 1)) == {name: found[name] for name in found if name != "sk"}


def test_what_they_would_use_and_we_cannot_is_an_error(tmp_path: Path) -> None:
    assert theirs(OIDC | KEY, tmp_path)["accessor"] == "OidcStsAccessor"
    told = talk(
        route({"service_id": "s", "region": "r", "project_id": "p"}, credential={"type": "default"}).discovery(),
        [],
        environment=OIDC | KEY,
    )
    assert isinstance(told.error, CredentialError)
    assert "not supported" in str(told.error)


THEIR_EXCHANGE = """
import json, sys
import requests
from types import SimpleNamespace
from huaweicloudsdkcore.auth.provider import CredentialProviderChain
asked = []
post = requests.post
def record(url, headers, json, timeout):
    asked.append(["POST", url, headers, json])
    return post(url, headers=headers, json=json, timeout=timeout)
requests.post = record
def send(request):
    url = f"{request.schema}://{request.host}{request.resource_path}"
    asked.append([request.method, url, request.header_params, json.loads(request.body)])
    return requests.request(request.method, url, headers=request.header_params, data=request.body)
found = CredentialProviderChain.get_basic().get_credentials()
found.process_sts(SimpleNamespace(config=SimpleNamespace(signing_algorithm=None), do_request_sync=send))
json.dump({"key": [found.ak, found.sk, found.security_token, found.project_id], "asked": asked}, sys.stdout)
"""


@pytest.mark.parametrize("form", ["environment", "profile", "pod"])
def test_tokens_of_others_are_exchanged_as_they_do_it(form: str, tmp_path: Path) -> None:
    with ModelArtsEmulator(1) as cloud:
        provider = {"idp_id": "emulated-idp", "id_token_file": str(cloud.id_token_file), "project_id": PROJECT_ID}
        if form == "environment":
            environment = {f"HUAWEICLOUD_SDK_{name.upper()}": value for name, value in provider.items()}
            environment["HUAWEICLOUD_SDK_IAM_ENDPOINT"] = cloud.url
        elif form == "profile":
            provider["iam_endpoint"] = cloud.url
            write_profile(tmp_path).write_text("\n".join(["[basic]", *(f"{k} = {v}" for k, v in provider.items())]))
            environment = {}
        else:
            environment = cloud.environment_of("pod_identity")
        answer = run(THEIR_EXCHANGE, environment, tmp_path)
        key, asked = cast("list[str]", answer["key"]), cast("list[list[Any]]", answer["asked"])
        assert key[0].startswith("EMULATED")

        project = {"project_id": PROJECT_ID} if form == "pod" else dict[str, str]()
        settings = route({"service_id": "s", "region": "r"}, project, credential=TYPES[form])
        replies: list[Reply | TransportError] = [login("MIIunscoped"), temporary_key(), LIST]
        files = {str(path): path.read_bytes() for path in (*tmp_path.glob(".huaweicloud/*"), cloud.id_token_file)}
        told = talk(
            settings.discovery(),
            replies[1:] if form == "pod" else replies,
            environment={"HOME": str(tmp_path), **environment},
            files=files,
        )
    ours = [[each.method, each.url, json.loads(each.content)] for each in told.queries[:-1]]
    assert [[method, url, body] for method, url, _, body in asked][:1] == ours[:1]
    for (_, _, theirs, _), query in zip(asked, told.queries, strict=False):
        for name in ("X-Idp-Id", "Authorization"):
            assert header(query.headers, name) == theirs.get(name)
    if form != "pod":
        # The token that is exchanged is another one for each of us.
        asked[1][3]["auth"]["identity"]["token"]["id"] = "MIIunscoped"
        assert [asked[1][0], asked[1][1], asked[1][3]] == ours[1]
        assert header(told.queries[-1].headers, "X-Project-Id") == key[3]
    assert len(asked) == len(ours)


def test_the_metadata_server_is_asked_at_their_address(tmp_path: Path) -> None:
    assert theirs({}, tmp_path)["asked"] == [ours({}, tmp_path, 0).queries[0].url]
