"""EndpointSlices become endpoints: conditions, ports, families, zones, several slices."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from directlane import Endpoint, LocalQuery, PollContext, Reply, Snapshot
from directlane.providers.kubernetes import KubernetesProvider
from directlane.providers.kubernetes.slices import Wanted, snapshot_of

HTTP = [{"name": "http", "port": 8000, "protocol": "TCP"}]
ANY = Wanted(None, "auto")


def entry(address: str, **more: Any) -> dict[str, Any]:
    return {"addresses": [address], "conditions": {"ready": True}, **more}


def slice_of(*entries: dict[str, Any], name: str = "a", kind: str = "IPv4", ports: Any = HTTP) -> dict[str, Any]:
    return {"metadata": {"name": name}, "addressType": kind, "ports": ports, "endpoints": list(entries)}


def urls(*slices: dict[str, Any], wanted: Wanted = ANY) -> list[str]:
    return [endpoint.authority for endpoint in snapshot_of(slices, wanted, "1").endpoints]


@pytest.mark.parametrize(
    ("conditions", "weights"),
    [
        ({"ready": True}, [None]),
        ({"ready": None}, [None]),
        ({}, [None]),
        (None, [None]),
        ({"ready": True, "serving": True, "terminating": True}, [None]),
        ({"ready": False, "serving": True, "terminating": True}, [0]),
        ({"ready": False, "serving": False, "terminating": True}, []),
        ({"ready": False, "serving": True, "terminating": False}, []),
        ({"ready": False}, []),
    ],
)
def test_conditions_say_who_is_called_who_is_drained_and_who_is_left_out(
    conditions: dict[str, bool] | None, weights: list[int | None]
) -> None:
    snapshot = snapshot_of([slice_of(entry("10.0.0.1") | {"conditions": conditions})], ANY, "1")
    assert [endpoint.weight for endpoint in snapshot.endpoints] == weights
    assert snapshot.attributes["not ready"] == (0 if weights else 1)
    assert snapshot.rejected == ()


def test_several_slices_are_one_list_and_an_address_that_moves_between_them_stands_once() -> None:
    drained = entry("10.0.0.2") | {"conditions": {"ready": False, "serving": True, "terminating": True}}
    first = slice_of(entry("10.0.0.1"), drained, name="a")
    second = slice_of(entry("10.0.0.2"), entry("10.0.0.3"), name="b")
    for slices in ([first, second], [second, first]):
        snapshot = snapshot_of(slices, ANY, "7")
        assert [endpoint.host for endpoint in snapshot.endpoints] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        assert [endpoint.weight for endpoint in snapshot.endpoints] == [None, None, None]
        assert snapshot.version == "7"


TWO_PORTS = [
    {"name": "http", "port": 8000, "protocol": "TCP"},
    {"name": "metrics", "port": 9000},
    {"name": "dns", "port": 53, "protocol": "UDP"},
]


@pytest.mark.parametrize(("port", "authority"), [("http", "10.0.0.1:8000"), (9000, "10.0.0.1:9000")])
def test_a_port_is_found_by_name_and_by_number(port: int | str, authority: str) -> None:
    assert urls(slice_of(entry("10.0.0.1"), ports=TWO_PORTS), wanted=Wanted(port, "auto")) == [authority]


@pytest.mark.parametrize(
    ("port", "reason"),
    [
        (None, "`port` must say which of its TCP ports is meant (http = 8000, metrics = 9000)"),
        ("grpc", "it has no TCP port 'grpc' (http = 8000, metrics = 9000)"),
        (53, "it has no TCP port 53 (http = 8000, metrics = 9000)"),
    ],
)
def test_a_port_that_is_not_there_is_told(port: int | str | None, reason: str) -> None:
    snapshot = snapshot_of([slice_of(entry("10.0.0.1"), ports=TWO_PORTS)], Wanted(port, "auto"), "1")
    assert snapshot.endpoints == ()
    assert snapshot.rejected == (f"slice a is left out: {reason}",)


@pytest.mark.parametrize("ports", [None, [], [{"name": "http", "port": None}]])
def test_a_slice_without_ports_is_left_out(ports: Any) -> None:
    assert urls(slice_of(entry("10.0.0.1"), ports=ports)) == []


@pytest.mark.parametrize(
    ("family", "authorities"),
    [("auto", ["10.0.0.1:8000"]), ("ipv4", ["10.0.0.1:8000"]), ("ipv6", ["[fd00::1]:8000"])],
)
def test_a_dual_stack_service_has_each_pod_once(family: Any, authorities: list[str]) -> None:
    slices = [slice_of(entry("10.0.0.1")), slice_of(entry("fd00::1"), name="b", kind="IPv6")]
    assert urls(*slices, wanted=Wanted(None, family)) == authorities


def test_a_service_of_ipv6_alone_needs_no_setting() -> None:
    empty = slice_of(name="b")
    assert urls(slice_of(entry("fd00::1"), kind="IPv6"), empty) == ["[fd00::1]:8000"]


@pytest.mark.parametrize(
    ("more", "zone", "labels"),
    [
        ({}, None, {}),
        ({"zone": "a", "hints": {"forZones": [{"name": "b"}]}}, "a", {"for_zones": "b"}),
        ({"hints": {"forZones": [{"name": "b"}]}}, "b", {"for_zones": "b"}),
        ({"hints": {"forZones": [{"name": "b"}, {"name": "c"}]}}, None, {"for_zones": "b,c"}),
        ({"nodeName": "n", "targetRef": {"name": "p"}}, None, {"pod": "p", "node": "n"}),
    ],
)
def test_zone_and_labels(more: dict[str, Any], zone: str | None, labels: dict[str, str]) -> None:
    (endpoint,) = snapshot_of([slice_of(entry("10.0.0.1", **more))], ANY, "1").endpoints
    assert (endpoint.zone, endpoint.labels) == (zone, labels)


def test_an_address_that_is_none_is_left_out_and_the_others_count() -> None:
    snapshot = snapshot_of([slice_of(entry("10.0.0.256"), entry("10.0.0.2"), {"addresses": []})], ANY, "1")
    assert snapshot.endpoints == (Endpoint("10.0.0.2", 8000),)
    assert len(snapshot.rejected) == 2


@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.sampled_from("abc"), st.sampled_from([True, False, None]), st.booleans()),
        max_size=12,
    ),
    st.randoms(),
)
def test_order_of_the_slices_changes_nothing(pods: list[tuple[int, str, bool | None, bool]], chance: Any) -> None:
    made = {name: slice_of(name=name) for name in "abc"}
    for number, name, ready, terminating in pods:
        conditions = {"ready": ready, "serving": True, "terminating": terminating}
        made[name]["endpoints"].append(entry(f"10.0.0.{number}") | {"conditions": conditions})
    slices = list(made.values())
    before = snapshot_of(slices, ANY, "1")
    chance.shuffle(slices)
    assert snapshot_of(slices, ANY, "1") == before
    assert len({endpoint.id for endpoint in before.endpoints}) == len(before.endpoints)


def test_pods_that_speak_tls_have_the_name_of_their_service() -> None:
    wanted = Wanted(None, "auto", "https", "chat.models.svc")
    (endpoint,) = snapshot_of([slice_of(entry("10.0.0.1"))], wanted, "1").endpoints
    assert endpoint == Endpoint("10.0.0.1", 8000, "https", server_name="chat.models.svc", labels=endpoint.labels)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, None),
        ({"scheme": "https"}, "chat.models.svc"),
        ({"scheme": "https", "server_name": "chat.example.com"}, "chat.example.com"),
    ],
)
def test_name_of_certificates_is_that_of_the_service_in_its_cluster(given: dict[str, str], name: str | None) -> None:
    api = {"api": "http://127.0.0.1:8001", "namespace": "models"}
    provider = KubernetesProvider.model_validate({"service": "chat", **api, **given})
    conversation = provider.discovery().poll(PollContext(0.0))
    access = next(conversation)
    assert isinstance(access, LocalQuery)
    conversation.send(access.run())
    listed = {"metadata": {"resourceVersion": "1"}, "items": [slice_of(entry("10.0.0.1"))]}
    snapshot = conversation.send(Reply(200, content=json.dumps(listed).encode()))
    assert isinstance(snapshot, Snapshot)
    assert [endpoint.server_name for endpoint in snapshot.endpoints] == [name]


def test_name_of_certificates_without_https_is_refused() -> None:
    with pytest.raises(ValidationError, match="`server_name` is for https"):
        KubernetesProvider.model_validate({"service": "chat", "server_name": "a.b"})
