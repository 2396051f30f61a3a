"""The signature of the control plane: the vendor's published example, the vendor's package, and what it covers."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from directlane.core.fields import Secret
from directlane.core.message import header
from directlane.providers.alibaba_eas.emulator import EasEmulator
from directlane.providers.alibaba_eas.signing import AccessKey, canonical_query, signed_headers

KEY = AccessKey("YourAccessKeyId", Secret("YourAccessKeySecret"))
BATCH = 200

# Each runs in the vendor's environment: one JSON value in, one JSON value out.
THEIR_SIGNER = """
import json, sys
from types import SimpleNamespace
from alibabacloud_tea_openapi.utils import Utils
told = json.load(sys.stdin)
json.dump([
    Utils.get_authorization(
        SimpleNamespace(method="GET", pathname=Utils.get_encode_path(case["path"]), query=case["query"],
                        headers=case["headers"]),
        "ACS3-HMAC-SHA256", case["digest"], case["id"], case["secret"])
    for case in told
], sys.stdout)
"""
THEIR_CLIENT = """
import json, sys
from alibabacloud_eas20210701.client import Client
from alibabacloud_eas20210701.models import ListServiceInstancesRequest
from alibabacloud_tea_openapi.models import Config
told = json.load(sys.stdin)
client = Client(Config(access_key_id=told["id"], access_key_secret=told["secret"], protocol="http",
                       endpoint=told["endpoint"], region_id="cn-hangzhou"))
service = client.describe_service(told["cluster"], told["service"]).body
asked = ListServiceInstancesRequest(page_number=2, page_size=2)
page = client.list_service_instances(told["cluster"], told["service"], asked).body
try:
    client.describe_service(told["cluster"], "nobody")
except Exception as error:
    refusal = error.code
json.dump([service.access_token, page.total_count, [one.external_instance_port for one in page.instances], refusal],
          sys.stdout)
"""


def run_theirs(script: str, told: object) -> object:
    given = os.environ.get("DIRECTLANE_ALIBABA_PYTHON")
    path = Path(given) if given else Path(__file__).parents[3] / ".vendor" / "alibaba" / "bin" / "python"
    if not path.exists():
        pytest.skip(f"no {path}: `python tools/vendor_envs.py` makes it")
    ended = subprocess.run(
        [path, "-c", script], input=json.dumps(told), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_the_example_of_the_help_page() -> None:
    """ "Request syntax and signature method V3", the section on fixed parameter values."""
    query = [("ImageId", "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"), ("RegionId", "cn-shanghai")]
    headers = signed_headers(
        "POST",
        "ecs.cn-shanghai.aliyuncs.com",
        "/",
        query,
        action="RunInstances",
        version="2014-05-26",
        key=KEY,
        unix_time=1698315752.0,
        nonce="3156853299f313e23d1673dc12e1703d",
    )
    assert dict(headers)["x-acs-date"] == "2023-10-26T10:22:32Z"
    assert header(headers, "authorization") == (
        "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,"
        "SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,"
        "Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


def test_a_security_token_is_sent_and_signed() -> None:
    key = AccessKey("id", Secret("secret"), Secret("session"))
    headers = signed_headers("GET", "h", "/p", action="A", version="1", key=key, unix_time=0.0, nonce="n")
    assert dict(headers)["x-acs-security-token"] == "session"
    assert ";x-acs-security-token;" in (header(headers, "authorization") or "")


def test_the_query_is_sorted_and_encoded_as_it_is_sent() -> None:
    assert canonical_query([("b", "2 +/~"), ("A", "ü"), ("a", "")]) == "A=%C3%BC&a=&b=2%20%2B%2F~"


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)
names = st.text("abcXYZ019_.-", min_size=1, max_size=8)
words = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=","), min_size=1, max_size=30)
cases = st.tuples(
    st.text("abc019._~-/", max_size=20).map("/".__add__),
    st.dictionaries(names, texts, max_size=4),
    words,
    words,
    st.none() | words,
    st.integers(0, 4_000_000_000),
    st.text("0123456789abcdef", min_size=1, max_size=32),
)


@pytest.mark.vendor
def test_it_is_what_the_vendors_package_signs() -> None:
    """Random requests, in batches: to start another Python costs more than a thousand signatures."""

    @settings(max_examples=2, deadline=None, database=None, phases=[Phase.generate])
    @given(st.lists(cases, min_size=BATCH // 4, max_size=BATCH))
    def agree(batch: list[tuple[str, dict[str, str], str, str, str | None, int, str]]) -> None:
        ours: list[str | None] = []
        told: list[dict[str, object]] = []
        for path, query, key_id, secret, session, date, nonce in batch:
            key = AccessKey(key_id, Secret(secret), None if session is None else Secret(session))
            made = signed_headers(
                "GET", "h.example", path, query.items(), action="A", version="v", key=key, unix_time=date, nonce=nonce
            )
            fields = {name: value for name, value in made if name != "Authorization"}
            ours.append(header(made, "authorization"))
            digest = fields["x-acs-content-sha256"]
            told.append(
                {"path": path, "query": query, "headers": fields, "digest": digest, "id": key_id, "secret": secret}
            )
        assert run_theirs(THEIR_SIGNER, told) == ours

    agree()


@pytest.mark.vendor
def test_the_vendors_client_works_with_our_emulator() -> None:
    """So what the emulator lets in is what the vendor sends, and our requests are not only good for ourselves."""
    with EasEmulator(3) as cloud:
        plane = cloud.control_plane
        told = {
            "id": plane.access_key_id,
            "secret": plane.access_key_secret,
            "endpoint": cloud.host,
            "cluster": plane.cluster,
            "service": cloud.service,
        }
        answer = run_theirs(THEIR_CLIENT, told)
        assert answer == [cloud.token, 3, [cloud.instances[2].port], "InvalidService.NotFound"]
