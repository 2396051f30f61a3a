"""The AK/SK signature: the known vectors, the format, and what a change of the request does to it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directlane.core.fields import Secret
from directlane.core.message import header
from directlane.providers.huawei_modelarts.signing import (
    AccessKey,
    canonical_request,
    query_pairs,
    signature,
    signed_headers,
)

KEY = AccessKey("AKEXAMPLE", Secret("SKEXAMPLE"))
TEMPORARY = AccessKey("AKEXAMPLE", Secret("SKEXAMPLE"), Secret("STEXAMPLE"))
NEW_YEAR_2024 = 1_704_067_200.0
LIST_URL = "https://modelarts.cn-north-4.myhuaweicloud.com/v1/p/services/s/predict/endpoints?type=host_endpoints"


def signature_of(headers: tuple[tuple[str, str], ...]) -> str:
    authorization = header(headers, "Authorization")
    assert authorization is not None
    return authorization.rpartition("Signature=")[2]


def test_vector_for_listing_endpoints() -> None:
    headers = signed_headers("GET", LIST_URL, b"", key=KEY, unix_time=NEW_YEAR_2024, headers=(("X-Project-Id", "p"),))
    assert signature_of(headers) == "967321868c865554d9b51e5f0a60a16d9d89066528379d3d080a6878a36c316b"


def test_vector_for_a_call_with_a_temporary_key_and_odd_characters() -> None:
    headers = signed_headers(
        "POST",
        "https://infer.example.com/v1/infers/svc%20id/path~x?b=2&a=x%20y&a=1",
        b'{"a": "a"}',
        key=TEMPORARY,
        unix_time=NEW_YEAR_2024,
        headers=(("content-type", "application/json"),),
    )
    assert signature_of(headers) == "9295aa5e73c1941cccb4fb8a93e1d3f795cad9f29bae987d5f57f073aba9876a"
    assert header(headers, "X-Security-Token") == "STEXAMPLE"


def test_canonical_request_has_six_parts_and_a_blank_line_after_the_headers() -> None:
    text = canonical_request(
        "get", "/v1/77b6/vpcs", [("marker", "13551d6b"), ("limit", "2")], {"x-sdk-date": " d "}, b""
    )
    assert text == (
        "GET\n/v1/77b6/vpcs/\nlimit=2&marker=13551d6b\nx-sdk-date:d\n\nx-sdk-date\n"
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


def test_authorization_has_the_documented_form() -> None:
    headers = signed_headers("GET", LIST_URL, b"", key=KEY, unix_time=1_573_788_815.0)
    assert header(headers, "X-Sdk-Date") == "20191115T033335Z"
    authorization = header(headers, "Authorization")
    assert authorization is not None
    assert re.fullmatch(
        r"SDK-HMAC-SHA256 Access=AKEXAMPLE, SignedHeaders=host;x-sdk-date, Signature=[0-9a-f]{64}", authorization
    )


@pytest.mark.parametrize(
    ("url", "same_as"),
    [
        ("https://h:443/a", "https://h/a"),
        ("http://h:80/a", "http://h/a"),
        ("https://h", "https://h/"),
        ("https://h/a/", "https://h/a"),
        ("https://h/a?x", "https://h/a?x="),
        ("https://h/a?y=1&x=2", "https://h/a?x=2&y=1"),
    ],
)
def test_what_does_not_change_the_signature(url: str, same_as: str) -> None:
    def sign(address: str) -> str:
        return signature_of(signed_headers("GET", address, b"", key=KEY, unix_time=0.0))

    assert sign(url) == sign(same_as)


def test_ipv6_host_keeps_its_brackets() -> None:
    headers = signed_headers("GET", "http://[::1]:8080/", b"", key=KEY, unix_time=0.0)
    fields = {"host": "[::1]:8080", "x-sdk-date": "19700101T000000Z"}
    expected = signature(canonical_request("GET", "/", [], fields, b""), "19700101T000000Z", "SKEXAMPLE")
    assert signature_of(headers) == expected


@given(st.text(alphabet="abc/?", max_size=10), st.binary(max_size=20), st.binary(max_size=20))
def test_every_byte_of_the_body_counts(path: str, one: bytes, other: bytes) -> None:
    def sign(body: bytes) -> str:
        return signature_of(signed_headers("POST", f"https://h/{path}", body, key=KEY, unix_time=0.0))

    assert (sign(one) == sign(other)) == (one == other)


@given(st.text(max_size=60))
def test_any_query_can_be_signed(query: str) -> None:
    canonical_request("GET", "/", query_pairs(query), {"x-sdk-date": "d"}, b"").encode()


def test_the_secret_is_not_in_a_repr() -> None:
    assert "SKEXAMPLE" not in repr(TEMPORARY)
    assert "STEXAMPLE" not in repr(TEMPORARY)
