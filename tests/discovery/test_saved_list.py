"""Lists that processes hand to each other: what goes in comes out, and anything else is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directlane import AddressSource, Endpoint, Snapshot
from directlane.core.discovery.saved_list import SavedListUnreadable, pack_list, question_name, unpack_list

ENDPOINTS = st.builds(
    Endpoint,
    host=st.ip_addresses().map(str).filter(lambda host: "%" not in host) | st.just("a.example"),
    port=st.integers(1, 65535),
    scheme=st.sampled_from(["http", "https", "tcp"]),
    base_path=st.sampled_from(["", "/a/b"]),
    weight=st.none() | st.integers(0, 1000),
    zone=st.none() | st.text(max_size=5),
    labels=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
    server_name=st.none() | st.just("chat.example.com"),
)


@given(st.lists(ENDPOINTS, max_size=5), st.none() | st.text(max_size=5), st.none() | st.floats(0, float("inf")))
def test_list_comes_back_as_it_was(endpoints: list[Endpoint], version: str | None, again: float | None) -> None:
    snapshot = Snapshot(tuple(endpoints), version=version, ask_again_in=again)
    assert unpack_list(pack_list(snapshot)) == snapshot


def test_body_and_attributes_are_not_saved() -> None:
    snapshot = Snapshot(
        (Endpoint("10.0.0.1", 80),), rejected=("token=s3cr3t",), raw=b"s3cr3t", attributes={"token": "s3cr3t"}
    )
    assert b"s3cr3t" not in pack_list(snapshot)
    assert unpack_list(pack_list(snapshot)) == Snapshot(snapshot.endpoints)


def test_list_without_names_has_the_form_of_versions_that_know_none() -> None:
    old, new = Endpoint("10.0.0.1", 443, "https"), Endpoint("10.0.0.1", 443, "https", server_name="a.b")
    assert b"server_name" not in pack_list(Snapshot((old,)))
    assert b"server_name" in pack_list(Snapshot((new,)))


GOOD = json.loads(pack_list(Snapshot((Endpoint("10.0.0.1", 80),))))
BAD_ENDPOINTS: list[dict[str, object]] = [
    {"host": "10.0.0"},
    {"host": 5},
    {"port": "80"},
    {"weight": 1.5},
    {"zone": 1},
    {"labels": []},
    {"labels": {"a": 1}},
    {"id": None},
    {"server_name": 1},
    {"server_name": "a b"},
    {"surprise": 1},
]


@pytest.mark.parametrize("change", BAD_ENDPOINTS, ids=repr)
def test_endpoint_that_is_none_is_refused(change: dict[str, object]) -> None:
    data = json.dumps({**GOOD, "endpoints": [{**GOOD["endpoints"][0], **change}]}).encode()
    with pytest.raises(SavedListUnreadable, match="the saved list"):
        unpack_list(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"form":1}',
        b"[" * 100_000,
        *(json.dumps({**GOOD, **change}).encode() for change in ({"form": 2}, {"endpoints": 5}, {"endpoints": ["x"]})),
        *(json.dumps({**GOOD, **change}).encode() for change in ({"version": 5}, {"ask_again_in": -1})),
    ],
    ids=lambda data: repr(data[:30]),
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(SavedListUnreadable):
        unpack_list(data)


@given(st.binary(max_size=50))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(SavedListUnreadable):
        unpack_list(data)


@dataclass(frozen=True)
class Asked:
    url: str
    source: AddressSource


def test_question_has_one_name_in_all_processes() -> None:
    identity = ("acme", 1, None, frozenset({"a", "b", "c"}), (True, 1.5, b"x"))
    script = (
        "from directlane.core.discovery.saved_list import question_name\n"
        "print(question_name(('acme', 1, None, frozenset({'c', 'b', 'a'}), (True, 1.5, b'x'))))"
    )
    there = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    assert there.stdout.strip() == question_name(identity)


def test_other_questions_have_other_names() -> None:
    identities = [
        *("a", 1, True, 1.0, "1", None, ("a",), ("a", "b"), ("ab",), frozenset({"a"}), b"a", AddressSource.LEARNED),
        *(Asked("u", AddressSource.LEARNED), Asked("u", AddressSource.CONFIGURED)),
    ]
    names = [question_name(identity) for identity in identities]
    assert None not in names
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("identity", [object(), ("a", object()), Asked, print])
def test_question_that_only_one_process_can_name_has_no_name(identity: object) -> None:
    assert question_name(identity) is None
