"""What may stand in the file, and what comes of it."""

from __future__ import annotations

import json
from contextlib import suppress

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directlane.core.endpoint import MAX_WEIGHT, Endpoint
from directlane.core.errors import DiscoveryError, DiscoveryUnreadable
from directlane.providers.file import FileEntry
from directlane.providers.file.entries import Format, read_entries

SECRET = "kangaroo-4711"
FORMATS: tuple[Format, ...] = ("json", "yaml", "toml")


def one(item: object) -> Endpoint:
    snapshot = read_entries(json.dumps([item]).encode(), "json")
    assert snapshot.rejected == ()
    (endpoint,) = snapshot.endpoints
    return endpoint


def reason_against(item: object) -> str:
    snapshot = read_entries(json.dumps(["10.0.0.1:80", item]).encode(), "json")
    assert snapshot.endpoints == (Endpoint("10.0.0.1", 80),), "the others count"
    (reason,) = snapshot.rejected
    assert reason.startswith("entry 2: ")
    return reason


@pytest.mark.parametrize(
    ("item", "endpoint"),
    [
        ("10.0.0.7:8000", Endpoint("10.0.0.7", 8000)),
        ("models.example.com:80", Endpoint("models.example.com", 80)),
        ("[fd00::7]:9000", Endpoint("fd00::7", 9000)),
        ("10.0.0.7:8000/base/", Endpoint("10.0.0.7", 8000, base_path="/base")),
        ("https://models.example.com/base", Endpoint("models.example.com", 443, scheme="https", base_path="/base")),
        ({"host": "10.0.0.7", "port": 8000}, Endpoint("10.0.0.7", 8000)),
        ({"host": "fd00::7", "port": 1, "weight": 0}, Endpoint("fd00::7", 1, weight=0)),
        (
            {"host": "a", "port": 443, "scheme": "https", "path": "/b", "weight": 3, "zone": "z", "labels": {"k": "v"}},
            Endpoint("a", 443, scheme="https", base_path="/b", weight=3, zone="z", labels={"k": "v"}),
        ),
        (
            {"host": "10.0.0.7", "port": 443, "scheme": "https", "server_name": "Chat.example.com"},
            Endpoint("10.0.0.7", 443, scheme="https", server_name="chat.example.com"),
        ),
    ],
)
def test_entry_becomes_an_endpoint(item: object, endpoint: Endpoint) -> None:
    made = one(item)
    assert made == endpoint
    assert made.labels == endpoint.labels


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("10.0.0.7", "has no port"),
        ("fd00::7", "is not an address"),
        ("", "is not an address"),
        ("10.0.0.256:80", "neither an IP address nor a host name"),
        ("ftp://a:80", "http:// or https://"),
        ("10.0.0.7:99999", "out of range"),
        ("10.0.0.7:8000?x=1", "must not have a query"),
        (f"user:{SECRET}@10.0.0.7:80", "must not hold a user name or password"),
        (f"http://user:{SECRET}@10.0.0.7:80", "must not hold a user name or password"),
        (7, "it is a number"),
        (None, "it is nothing"),
        (["10.0.0.7:80"], "it is a list"),
        (True, "it is true or false"),
        ({"host": "a"}, "`port`: Field required"),
        ({"port": 80}, "`host`: Field required"),
        ({"host": "a", "port": "80"}, "`port`"),
        ({"host": "a", "port": 0}, "`port`"),
        ({"host": "a", "port": True}, "`port`"),
        ({"host": "a", "port": 80, "wieght": SECRET}, "`wieght`: there is no such key"),
        ({"host": "a", "port": 80, "weight": -1}, "`weight`"),
        ({"host": "a", "port": 80, "weight": MAX_WEIGHT + 1}, "`weight`"),
        ({"host": "a", "port": 80, "weight": 1.5}, "`weight`"),
        ({"host": "a", "port": 80, "scheme": "ftp"}, "`scheme`"),
        ({"host": "a", "port": 80, "path": "no-slash"}, "must start with '/'"),
        ({"host": "a", "port": 80, "labels": {"k": 7}}, "`labels.k`"),
        ({"host": "10.0.0.256", "port": 80}, "neither an IP address nor a host name"),
    ],
)
def test_broken_entry_is_left_out_with_its_reason(item: object, reason: str) -> None:
    told = reason_against(item)
    assert reason in told
    assert SECRET not in told


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("json", '["10.0.0.1:80", {"host": "10.0.0.2", "port": 80, "weight": 2}]'),
        ("json", '\ufeff{"endpoints": ["10.0.0.1:80", {"host": "10.0.0.2", "port": 80, "weight": 2}]}'),
        ("yaml", "- 10.0.0.1:80\n- {host: 10.0.0.2, port: 80, weight: 2}\n"),
        ("yaml", "endpoints:\n  - 10.0.0.1:80\n  - host: 10.0.0.2\n    port: 80\n    weight: 2\n"),
        ("toml", 'endpoints = ["10.0.0.1:80", {host = "10.0.0.2", port = 80, weight = 2}]\n'),
        (
            "toml",
            '[[endpoints]]\nhost = "10.0.0.1"\nport = 80\n[[endpoints]]\nhost = "10.0.0.2"\nport = 80\nweight = 2',
        ),
    ],
)
def test_the_same_list_in_each_format(form: Format, text: str) -> None:
    assert read_entries(text.encode(), form).endpoints == (Endpoint("10.0.0.1", 80), Endpoint("10.0.0.2", 80, weight=2))


@pytest.mark.parametrize(
    ("form", "text", "reason"),
    [
        ("json", "", "it is empty"),
        ("yaml", " \n", "it is empty"),
        ("json", '["10.0.0.1:80", "10.0', "not valid JSON: Unterminated string starting at at line 1, column 17"),
        ("json", "[" * 100_000, "nested too deeply"),
        ("json", "<html></html>", "not valid JSON"),
        ("json", '{"servers": []}', "a table without `endpoints`"),
        ("json", '{"endpoints": {}}', "no list of endpoints, but a table"),
        ("json", '"10.0.0.1:80"', "no list of endpoints, but a text"),
        ("json", "null", "no list of endpoints, but nothing"),
        ("yaml", "- [10.0.0.1:80", "not valid YAML at line"),
        ("yaml", "- 2020-99-99", "not valid YAML"),
        ("yaml", "# nothing", "no list of endpoints, but nothing"),
        ("toml", "endpoints = [", "not valid TOML"),
    ],
)
def test_file_that_is_no_list_says_why(form: Format, text: str, reason: str) -> None:
    with pytest.raises(DiscoveryUnreadable) as caught:
        read_entries(text.encode(), form)
    assert reason in str(caught.value)
    assert caught.value.__cause__ is None, "the errors of the readers carry the text"


@pytest.mark.parametrize("form", FORMATS)
def test_bytes_that_are_no_text_are_refused(form: Format) -> None:
    with pytest.raises(DiscoveryUnreadable, match="not UTF-8"):
        read_entries(b"\xff\xfe\x00", form)


@pytest.mark.parametrize(("form", "text"), [("json", "[]"), ("yaml", "endpoints: []"), ("toml", "endpoints = []")])
def test_empty_list_is_a_list(form: Format, text: str) -> None:
    assert read_entries(text.encode(), form).endpoints == ()


def test_long_list_of_mistakes_is_cut() -> None:
    rejected = read_entries(json.dumps([7] * 100).encode(), "json").rejected
    assert len(rejected) == 21
    assert rejected[-1] == "and 80 more entries"


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=200), st.sampled_from(FORMATS))
def test_any_bytes_are_a_list_or_unreadable(body: bytes, form: Format) -> None:
    with suppress(DiscoveryUnreadable):
        read_entries(body, form)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["host", "port", "labels", "x"]), inner)
    ),
    max_leaves=10,
)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(JSON, max_size=5))
def test_any_list_gives_each_entry_a_place_or_a_reason(items: list[object]) -> None:
    snapshot = read_entries(json.dumps(items).encode(), "json")
    assert len(snapshot.endpoints) + len(snapshot.rejected) == len(items)


SCHEMA = FileEntry.model_json_schema()
ENTRIES = st.fixed_dictionaries(
    {"host": st.ip_addresses().map(str), "port": st.integers(1, 65535)},
    optional={
        "scheme": st.sampled_from(["http", "https"]),
        "weight": st.none() | st.integers(0, MAX_WEIGHT),
        "zone": st.text("abc-1", min_size=1, max_size=5),
        "labels": st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    },
)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(ENTRIES, max_size=5))
def test_whatever_a_list_of_tables_says_is_kept(items: list[dict[str, object]]) -> None:
    for item in items:
        jsonschema.validate(item, SCHEMA)
    endpoints = read_entries(json.dumps(items).encode(), "json").endpoints
    assert [(e.port, e.weight, e.zone, e.scheme) for e in endpoints] == [
        (item["port"], item.get("weight"), item.get("zone"), item.get("scheme", "http")) for item in items
    ]


@settings(deadline=None)  # the machine may be busy
@given(st.lists(ENTRIES, min_size=1, max_size=4), st.data())
def test_json_that_was_cut_off_is_never_taken_for_a_shorter_list(items: list[object], data: st.DataObject) -> None:
    whole = json.dumps(items).encode()
    with pytest.raises(DiscoveryError):
        read_entries(whole[: data.draw(st.integers(0, len(whole) - 1))], "json")


def test_name_of_the_route_is_for_entries_with_https_that_have_none() -> None:
    own = {"host": "10.0.0.9", "port": 443, "scheme": "https", "server_name": "own.example.com"}
    items = ["https://10.0.0.7", "http://10.0.0.8", own, {**own, "server_name": None}, {"host": "a", "port": 1}]
    snapshot = read_entries(json.dumps(items).encode(), "json", "chat.example.com")
    names = [endpoint.server_name for endpoint in snapshot.endpoints]
    assert names == ["chat.example.com", None, "own.example.com", "chat.example.com", None]


def test_name_without_https_is_refused() -> None:
    assert "server_name" in reason_against({"host": "a", "port": 1, "server_name": "a.b"})
