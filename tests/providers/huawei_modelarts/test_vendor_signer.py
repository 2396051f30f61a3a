"""The signature against Huawei's own package, on random requests. The package lives in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from directlane.core.fields import Secret
from directlane.core.message import header
from directlane.providers.huawei_modelarts.signing import AccessKey, signed_headers

pytestmark = pytest.mark.vendor

BATCH = 200
THEIR_SIDE = """
import json, sys
from types import SimpleNamespace
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
answers = []
for case in json.load(sys.stdin):
    request = SdkRequest(
        method=case["method"], schema="https", host=case["host"], resource_path=case["path"],
        query_params=[tuple(pair) for pair in case["query"]], header_params=dict(case["headers"]),
        body=bytes.fromhex(case["body"]),
    )
    Signer(SimpleNamespace(ak=case["ak"], sk=case["sk"])).sign(request)
    answers.append(request.header_params["Authorization"])
json.dump(answers, sys.stdout)
"""


def vendor_python() -> Path:
    given = os.environ.get("DIRECTLANE_HUAWEI_PYTHON")
    path = Path(given) if given else Path(__file__).parents[3] / ".vendor" / "huawei" / "bin" / "python"
    if not path.exists():
        pytest.skip(f"no {path}: `python tools/vendor_envs.py` makes it")
    return path


@dataclass(frozen=True)
class Case:
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    content_type: str | None
    security_token: str | None
    body: bytes
    date: int
    ak: str
    sk: str

    @property
    def url(self) -> str:
        query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in self.query)
        return f"https://infer.example.com{quote(self.path, safe='/~')}{'?' + query if query else ''}"


words = st.text(st.characters(codec="utf-8"), max_size=12)
visible = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=","), min_size=1, max_size=40
)
cases = st.builds(
    Case,
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "patch"]),
    path=st.lists(words, max_size=5).map(lambda parts: "/" + "/".join(parts)),
    query=st.lists(st.tuples(words, words), max_size=5).map(tuple),
    content_type=st.none() | st.sampled_from(["application/json", "application/json;charset=utf8"]),
    security_token=st.none() | visible,
    body=st.binary(max_size=300),
    date=st.integers(0, 4_000_000_000),
    ak=visible,
    sk=visible,
)


def ours(case: Case) -> tuple[dict[str, str], str]:
    """The header fields that were signed, and the authorization."""
    token = Secret(case.security_token) if case.security_token is not None else None
    own = (("X-Project-Id", "p"), *(() if case.content_type is None else (("Content-Type", case.content_type),)))
    added = signed_headers(
        case.method,
        case.url,
        case.body,
        key=AccessKey(case.ak, Secret(case.sk), token),
        unix_time=float(case.date),
        headers=own,
    )
    sent = {name: value for name, value in (*own, *added) if name != "Authorization"}
    return sent, header(added, "Authorization") or ""


def test_we_sign_as_the_vendor_does() -> None:
    python = vendor_python()
    batch: list[Case] = []

    @settings(max_examples=BATCH, database=None, deadline=None, phases=[Phase.generate])
    @given(cases)
    def collect(case: Case) -> None:
        batch.append(case)

    collect()
    signed = [ours(case) for case in batch]
    questions = [
        {
            "method": case.method,
            "host": "infer.example.com",
            "path": quote(case.path, safe="/~"),
            "query": case.query,
            "headers": sent,
            "body": case.body.hex(),
            "ak": case.ak,
            "sk": case.sk,
        }
        for case, (sent, _) in zip(batch, signed, strict=True)
    ]
    done = subprocess.run(
        [python, "-W", "ignore", "-c", THEIR_SIDE],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(batch) >= BATCH
    for case, (_, mine), theirs in zip(batch, signed, json.loads(done.stdout), strict=True):
        assert mine == theirs, case
