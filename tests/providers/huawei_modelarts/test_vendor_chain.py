"""The order and the names of the credential chain, against Huawei's own package, which lives in an environment of its
own. It is run offline: each source that it could ask over the network is cut off, and only its turn is written down."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import cast

import pytest
from modelarts_lab import LIST, Talk, route, talk

from directlane.core.errors import CredentialError, Phase, TransportError
from directlane.core.message import Reply, header

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
IDENTITY_PROVIDER = {"HUAWEICLOUD_SDK_IDP_ID": "idp", "HUAWEICLOUD_SDK_ID_TOKEN_FILE": "/nowhere"}
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
    ran = subprocess.run(
        [vendor_python(), "-c", THEIR_SIDE],
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


@pytest.mark.parametrize("environment", [OIDC | KEY, IDENTITY_PROVIDER | KEY])
def test_what_they_would_use_and_we_cannot_is_an_error(environment: dict[str, str], tmp_path: Path) -> None:
    assert theirs(environment, tmp_path)["accessor"] in ("OidcStsAccessor", "FederalAccessor")
    told = talk(
        route({"service_id": "s", "region": "r", "project_id": "p"}, credential={"type": "default"}).discovery(),
        [],
        environment=environment,
    )
    assert isinstance(told.error, CredentialError)
    assert "not supported" in str(told.error)


def test_the_metadata_server_is_asked_at_their_address(tmp_path: Path) -> None:
    assert theirs({}, tmp_path)["asked"] == [ours({}, tmp_path, 0).queries[0].url]
