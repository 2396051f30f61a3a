"""Reading the endpoint list: each shape that Huawei may send, and whatever else may come."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directlane.core.endpoint import Endpoint
from directlane.core.errors import DiscoveryUnreadable
from directlane.providers.huawei_modelarts.host_endpoints import read_host_endpoints

ONE = {"schema": "http", "ip": "192.168.205.58", "port": 31997}
TWO = {"schema": "http", "ip": "192.168.205.59", "port": 31998}

SHAPES: dict[str, Any] = {
    "A: endpoints": {"endpoints": [ONE, TWO]},
    "B: host_endpoints": {"host_endpoints": [ONE, TWO]},
    "C: bare list": [ONE, TWO],
    "D: by model version": {
        "service_id": "s",
        "endpoints": [
            {"model_id": "m1", "model_version": "0.0.1", "host_endpoints": [ONE]},
            {"model_id": "m2", "model_version": "0.0.2", "host_endpoints": [TWO]},
        ],
    },
    "F: addresses below a scheme": {"schema": "http", "endpoints": ["192.168.205.58:31997", "192.168.205.59:31998"]},
    "G: URLs": {"endpoints": ["http://192.168.205.58:31997", "http://192.168.205.59:31998"]},
    "G: bare list of URLs": ["http://192.168.205.58:31997/", "http://192.168.205.59:31998/"],
    "G: bare list of addresses": ["192.168.205.58:31997", "192.168.205.59:31998"],
    "wrapped": {"data": {"result": {"endpoints": [ONE, TWO]}}},
    "by name": {"endpoints": {"instance-1": ONE, "instance-2": TWO}},
    "url key": {"endpoints": [{"url": "http://192.168.205.58:31997"}, {"url": "http://192.168.205.59:31998"}]},
    "other names": [
        {"scheme": "HTTP", "host_ip": "192.168.205.58", "node_port": "31997"},
        {"protocol": "http", "address": "192.168.205.59", "host_port": 31998.0},
    ],
    "each twice": [ONE, TWO, ONE, TWO],
    "a service around it": {
        "service_id": "s",
        "access_address": "https://abc.apigw.cn-north-4.huaweicloud.com/v1/infers/s",
        "host": "modelarts.cn-north-4.myhuaweicloud.com",
        "tags": ["stage:80", "v1"],
        "endpoints": [ONE, TWO],
    },
}


def read(data: object) -> tuple[Endpoint, ...]:
    return read_host_endpoints(json.dumps(data).encode()).endpoints


@pytest.mark.parametrize("data", SHAPES.values(), ids=SHAPES.keys())
def test_shapes_that_name_both_instances(data: object) -> None:
    assert [endpoint.url for endpoint in read(data)] == ["http://192.168.205.58:31997", "http://192.168.205.59:31998"]


def test_shape_e_is_one_endpoint_by_itself() -> None:
    assert [endpoint.url for endpoint in read(ONE)] == ["http://192.168.205.58:31997"]


def test_shape_f_inherits_scheme_and_port() -> None:
    found = read({"schema": "https", "port": "8443", "host": "pool", "ips": ["10.0.0.1", "10.0.0.2"]})
    assert [endpoint.url for endpoint in found] == ["https://10.0.0.1:8443", "https://10.0.0.2:8443"]


def test_model_and_version_become_labels() -> None:
    first, second = read(SHAPES["D: by model version"])
    assert dict(first.labels) == {"model_id": "m1", "model_version": "0.0.1"}
    assert second.labels["model_version"] == "0.0.2"


def test_ten_thousand_instances_are_read() -> None:
    entries = [{"schema": "http", "ip": f"10.0.{number // 250}.{number % 250}", "port": 80} for number in range(10_000)]
    assert len(read({"endpoints": entries})) == 10_000


def test_raw_body_is_kept() -> None:
    body = json.dumps(SHAPES["A: endpoints"]).encode()
    assert read_host_endpoints(body).raw == body


@pytest.mark.parametrize("scheme", ["tcp", "grpc", "my-rpc"])
def test_unknown_scheme_words_are_kept(scheme: str) -> None:
    assert read([{**ONE, "schema": scheme.upper()}])[0].scheme == scheme


@pytest.mark.parametrize("address", ["fd00::1", "[fd00::1]"])
def test_ipv6_gets_its_brackets(address: str) -> None:
    assert read([{**ONE, "ip": address}])[0].url == "http://[fd00::1]:31997"
    assert read(["[fd00::1]:31997"])[0].url == "http://[fd00::1]:31997"


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'{"endpoints": []}',
        b'{"host_endpoints": null}',
        b'{"service_id": "s", "endpoints": [{"model_id": "m", "host_endpoints": []}]}',
    ],
)
def test_an_empty_list_is_an_answer(body: bytes) -> None:
    snapshot = read_host_endpoints(body)
    assert snapshot.endpoints == ()
    assert snapshot.rejected == ()


# --- weights ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("weight", "believed"), [(7, 7), ("7", 7), (0, 0), (None, None), ("", None), (33.0, 33)])
def test_weight_of_an_entry(weight: object, believed: int | None) -> None:
    assert read([{**ONE, "weight": weight}])[0].weight == believed


@pytest.mark.parametrize("weight", [-1, "x", 2**40, True, 0.5, [1]])
def test_a_weight_that_is_none_costs_no_instance(weight: object) -> None:
    snapshot = read_host_endpoints(json.dumps([{**ONE, "weight": weight}]).encode())
    assert snapshot.endpoints[0].weight is None
    assert "weight" in str(snapshot.attributes["notes"])


def test_weight_of_a_model_version_is_divided_among_its_instances() -> None:
    many = [{"ip": f"10.0.0.{number}", "port": 80} for number in range(1, 10)]
    found = read([{"weight": 90, "host_endpoints": [ONE]}, {"weight": "10", "host_endpoints": many}])
    weights = [endpoint.weight or 0 for endpoint in found]
    assert weights[0] / sum(weights) == pytest.approx(0.9)
    assert len(set(weights[1:])) == 1


def test_weight_zero_of_a_model_version_drains_its_instances() -> None:
    found = read([{"weight": 100, "host_endpoints": [ONE]}, {"weight": 0, "host_endpoints": [TWO]}])
    assert [endpoint.is_draining for endpoint in found] == [False, True]


# --- bad entries ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        ({"ip": "10.0.0.256", "port": 80}, "host"),
        ({"ip": "10.0.0.1", "port": 0}, "port"),
        ({"ip": "10.0.0.1", "port": "many"}, "port"),
        ({"ip": "10.0.0.1", "port": True}, "port"),
        ({"ip": "10.0.0.1"}, "no port"),
        ({"port": 80}, "no address"),
        ({"ip": "10.0.0.1", "port": 80, "schema": 5}, "scheme"),
        ({"ip": "10.0.0.1", "port": 80, "schema": "ht tp"}, "scheme"),
        ("http://user:hunter2@10.0.0.1:80", "user or password"),
        ("http://10.0.0.1:99999", "address"),
        (5, "number"),
        (None, "null"),
    ],
)
def test_a_bad_entry_is_left_out_with_a_reason(entry: object, word: str) -> None:
    snapshot = read_host_endpoints(json.dumps({"endpoints": [entry, ONE]}).encode())
    assert [endpoint.host for endpoint in snapshot.endpoints] == ["192.168.205.58"]
    (reason,) = snapshot.rejected
    assert word in reason
    assert "endpoints[0]" in reason
    assert "hunter2" not in reason


def test_only_bad_entries_are_an_error() -> None:
    with pytest.raises(DiscoveryUnreadable, match="no entry of the endpoint list is valid"):
        read({"endpoints": [{"ip": "10.0.0.1", "port": 0}]})


def test_many_bad_entries_are_summed_up() -> None:
    rejected = read_host_endpoints(json.dumps([ONE, *[{"ip": "10.0.0.1", "port": 0}] * 500]).encode()).rejected
    assert 0 < len(rejected) < 30
    assert "480 more" in rejected[-1]


# --- what is not a list of endpoints ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({}, "(none)"),
        ({"error_code": "X", "error_msg": "hunter2"}, "error_code, error_msg"),
        ({"details": []}, "details"),
        ({"endpoints": {"a": 5}}, "endpoints"),
        (None, "null"),
        ([{"name": "hunter2"}], "a list of 1, the first: an object with the keys name"),
        ({"a\nb": "hunter2"}, "a\\nb"),
    ],
)
def test_nothing_that_matches_is_an_error_with_names_and_no_values(data: object, shown: str) -> None:
    with pytest.raises(DiscoveryUnreadable) as caught:
        read(data)
    text = str(caught.value)
    assert shown in text
    assert "parser" in text
    assert "hunter2" not in text
    assert "\n" not in text


@pytest.mark.parametrize("data", [5, {"endpoints": 5}, {"endpoints": "soon"}, {"endpoints": [[5]]}])
def test_wrong_types_are_an_error(data: object) -> None:
    with pytest.raises(DiscoveryUnreadable):
        read(data)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>login</body></html>",
        b'{"endpoints": [{"schema": "http", "ip": "10.0.',
        b"\xff\xfe\x00",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"[" * 500 + b"]" * 500,
        b"9" * 5000,
        b"[" + b"1," * 200_000 + b"1]",
        b'{"other": [' + b"1," * 200_000 + b"1]}",
        b'{"endpoints": "' + b"x" * (9 * 1024 * 1024) + b'"}',
    ],
    ids=[
        "nothing",
        "HTML",
        "half JSON",
        "no text",
        "deep lists",
        "deep objects",
        "deep",
        "long number",
        "long list",
        "long other",
        "large",
    ],
)
def test_bodies_that_are_no_list(body: bytes) -> None:
    with pytest.raises(DiscoveryUnreadable):
        read_host_endpoints(body)


# --- anything at all --------------------------------------------------------------------------------------------------

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["10.0.0.1", "10.0.0.1:80", "[::1]:80", "http://10.0.0.1:80/x", "http://[", "80", "\ud800"])
)
names = st.text(max_size=5) | st.sampled_from(
    ["endpoints", "host_endpoints", "ip", "ips", "host", "port", "schema", "weight", "url", "model_id", "status"]
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(names, inner, max_size=6), max_leaves=30
)


@given(anything)
def test_any_json_gives_endpoints_or_the_agreed_error(data: object) -> None:
    check(json.dumps(data).encode())


@given(st.binary(max_size=200))
def test_any_bytes_give_endpoints_or_the_agreed_error(body: bytes) -> None:
    check(body)


def check(body: bytes) -> None:
    try:
        snapshot = read_host_endpoints(body)
    except DiscoveryUnreadable as error:
        str(error).encode()
        return
    assert len({endpoint.id for endpoint in snapshot.endpoints}) == len(snapshot.endpoints)
    for endpoint in snapshot.endpoints:
        assert 1 <= endpoint.port <= 65535
        endpoint.url.encode()
        json.dumps(dict(endpoint.labels), ensure_ascii=False).encode()
    for reason in snapshot.rejected:
        reason.encode()
