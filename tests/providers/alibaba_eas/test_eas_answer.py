"""Any discovery answer whatsoever gives valid endpoints or the agreed error."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directlane.core.endpoint import MAX_WEIGHT, Snapshot
from directlane.core.errors import DiscoveryUnreadable
from directlane.providers.alibaba_eas.discovery import read_upstreams

GOOD = {"app": "svc-a", "ip": "172.16.0.1", "port": 50000, "weight": 100}


def answer(*items: object, **more: object) -> bytes:
    return json.dumps({"correlative": ["svc_a"], "endpoints": {"items": list(items)}, **more}).encode()


def check(snapshot: Snapshot) -> None:
    """What holds for every snapshot, whatever was sent."""
    for endpoint in snapshot.endpoints:
        assert endpoint.ip is not None
        assert 1 <= endpoint.port <= 65535
        assert endpoint.weight is None or 0 <= endpoint.weight <= MAX_WEIGHT
        assert endpoint.scheme == "http"
    # Whatever it holds can be written down.
    json.dumps(
        [[dict(endpoint.labels) for endpoint in snapshot.endpoints], snapshot.rejected, dict(snapshot.attributes)],
        ensure_ascii=False,
    ).encode()


def test_documented_answer() -> None:
    snapshot = read_upstreams(answer(GOOD, {**GOOD, "ip": "172.16.0.2", "port": 50001, "weight": 50}))
    first, second = snapshot.endpoints
    assert (first.id, first.weight, dict(first.labels)) == ("http://172.16.0.1:50000", 100, {"app": "svc-a"})
    assert (second.id, second.weight) == ("http://172.16.0.2:50001", 50)
    assert snapshot.rejected == ()
    assert snapshot.attributes["correlative"] == ("svc_a",)
    assert snapshot.raw == answer(GOOD, {**GOOD, "ip": "172.16.0.2", "port": 50001, "weight": 50})


def test_more_fields_become_labels() -> None:
    (endpoint,) = read_upstreams(answer({**GOOD, "name": "pod-1", "service": "g.svc_a", "new": [1]})).endpoints
    assert dict(endpoint.labels) == {"app": "svc-a", "name": "pod-1", "service": "g.svc_a"}


def test_weight_zero_drains_and_a_missing_one_is_unknown() -> None:
    without = {key: value for key, value in GOOD.items() if key != "weight"}
    drained, unknown, null = read_upstreams(answer({**GOOD, "weight": 0}, without, {**GOOD, "weight": None})).endpoints
    assert drained.is_draining
    assert unknown.weight is None
    assert null.weight is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ip": None}, "entry 2: host None is not an address"),
        ({"ip": 7}, "entry 2: host 7 is not an address"),
        ({"ip": "10.0.0.256"}, "entry 2: host '10.0.0.256' is neither an IP address nor a host name"),
        ({"ip": "evil.example"}, "entry 2: 'evil.example' is not an IP address"),
        ({"port": "50000"}, "entry 2: port '50000' is not an integer from 1 to 65535"),
        ({"port": 0}, "entry 2: port 0 is not an integer from 1 to 65535"),
        ({"port": True}, "entry 2: port True is not an integer from 1 to 65535"),
        ({"weight": -1}, f"entry 2: weight -1 is not an integer from 0 to {MAX_WEIGHT}"),
        ({"weight": 1.5}, f"entry 2: weight 1.5 is not an integer from 0 to {MAX_WEIGHT}"),
    ],
)
def test_bad_entry_is_left_out_and_told(change: dict[str, object], reason: str) -> None:
    snapshot = read_upstreams(answer(GOOD, {**GOOD, **change}))
    assert [endpoint.id for endpoint in snapshot.endpoints] == ["http://172.16.0.1:50000"]
    assert snapshot.rejected == (reason,)


def test_entry_that_is_no_object_is_left_out() -> None:
    assert read_upstreams(answer(GOOD, "x", None)).rejected == (
        "entry 2: it is not an object",
        "entry 3: it is not an object",
    )


@pytest.mark.parametrize("endpoints", [{"items": []}, {"items": None}, {}])
def test_empty_answer_has_no_endpoints_and_is_no_error(endpoints: object) -> None:
    snapshot = read_upstreams(json.dumps({"endpoints": endpoints}).encode())
    assert snapshot.endpoints == ()
    assert snapshot.rejected == ()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b'{"endpoints": {"items": [', "not JSON"),
        (b"\xff\xfe\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not an object"),
        (b"null", "not an object"),
        (b"{}", "no object `endpoints`"),
        (b'{"endpoints": null}', "no object `endpoints`"),
        (b'{"endpoints": [1]}', "no object `endpoints`"),
        (b'{"endpoints": {"items": {}}}', "`endpoints.items` of the discovery answer is not a list"),
        (b'{"endpoints": {"items": 0}}', "`endpoints.items` of the discovery answer is not a list"),
    ],
)
def test_other_shapes_cannot_be_read(body: bytes, reason: str) -> None:
    with pytest.raises(DiscoveryUnreadable, match=reason):
        read_upstreams(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
near_items = st.fixed_dictionaries(
    {},
    optional={
        "ip": json_values | st.ip_addresses().map(str),
        "port": json_values | st.integers(-1, 70000),
        "weight": json_values | st.integers(-1, 200),
        "app": json_values,
        "name": json_values,
        "service": json_values,
    },
)
near_answers = st.fixed_dictionaries(
    {"endpoints": st.fixed_dictionaries({"items": st.lists(near_items | json_values, max_size=5)}) | json_values},
    optional={"correlative": json_values | st.lists(st.text())},
)


@given(st.binary())
def test_any_bytes(body: bytes) -> None:
    with suppress(DiscoveryUnreadable):
        check(read_upstreams(body))


@given(json_values)
def test_any_json(data: object) -> None:
    with suppress(DiscoveryUnreadable):
        check(read_upstreams(json.dumps(data).encode()))


@given(near_answers)
def test_any_answer_that_is_nearly_right(data: object) -> None:
    with suppress(DiscoveryUnreadable):
        check(read_upstreams(json.dumps(data).encode()))


def test_halves_of_characters_do_not_get_through() -> None:
    check(read_upstreams(answer({**GOOD, "app": "\ud800"}, correlative=["\udfff"])))
