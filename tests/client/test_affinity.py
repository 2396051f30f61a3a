"""The affinity key of a call that brings none: where it is read, and what has no key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

import pytest
from client_lab import Fleet
from hypothesis import given, settings
from hypothesis import strategies as st

from directlane import Client
from directlane.core.client.affinity import LARGEST_BODY, Affinity, affinity_from
from directlane.core.client.intake import Intake
from directlane.core.clock import SYSTEM_CLOCK
from directlane.core.config.affinity import AffinitySettings, PromptPrefix
from directlane.core.config.model import CallSettings
from directlane.core.message import Content, Headers, Request
from directlane.core.tally import Tally


def _affinity(**settings: object) -> Affinity:
    affinity = affinity_from(AffinitySettings.model_validate(settings))
    assert affinity is not None
    return affinity


def _key(affinity: Affinity, content: Content = b"", target: str = "/", headers: Headers = ()) -> bytes | None:
    return affinity.key(Request("POST", target, headers, content))


def test_no_setting_no_reader() -> None:
    assert affinity_from(None) is None
    assert Intake(CallSettings(), SYSTEM_CLOCK).affinity is None


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ((("X-User", "ann"),), b"ann"),
        ((("x-uSER", " ann\t"),), b"ann"),
        ((("X-User", "ann"), ("X-User", "bob")), b"ann"),
        ((("X-User", "gr\xfc\xdf"),), "grüß".encode()),
        ((("X-User", ""),), None),
        ((("X-User", "  "),), None),
        ((("X-Users", "ann"),), None),
        ((), None),
    ],
)
def test_header(headers: Headers, key: bytes | None) -> None:
    assert _key(_affinity(header="X-User"), headers=headers) == key


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("session=7", b"7"),
        ("a=1; session=7; b=2", b"7"),
        ("a=1;session=7", b"7"),
        ('session="7"', b"7"),
        ('session="', b'"'),
        ("session=a=b", b"a=b"),
        ("session=1; session=2", b"1"),
        ("Session=7", None),
        ("xsession=7", None),
        ("session", None),
        ("session=", None),
        ('session=""', None),
        (";;=;", None),
        ("", None),
    ],
)
def test_cookie(value: str, key: bytes | None) -> None:
    affinity = _affinity(cookie="session")
    assert _key(affinity, headers=(("cookie", value),)) == key
    assert _key(affinity, headers=(("Cookie", "other=1"), ("Cookie", value))) == key


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("/x?user=7", b"7"),
        ("?a=1&user=7&user=8", b"7"),
        ("/x?us%65r=a%20b+c", b"a b c"),
        ("/x?user=%C3%BC", "ü".encode()),
        ("/x?user=%FF", b"\xed\xb3\xbf"),  # not UTF-8: still a key, and always the same
        ("/x?user=", None),
        ("/x?user", None),
        ("/x?other=7", None),
        ("/user=7", None),
        ("", None),
    ],
)
def test_query(target: str, key: bytes | None) -> None:
    assert _key(_affinity(query="user"), target=target) == key


DOCUMENT = {
    "a": {"b": [10, {"c~/d": "deep"}]},
    "": "empty",
    "n": None,
    "t": True,
    "f": 1.5,
    "s": "",
    "o": {"y": 1, "x": 2},
}


@pytest.mark.parametrize(
    ("pointer", "key"),
    [
        ("/a/b/0", b"10"),
        ("/a/b/1/c~0~1d", b"deep"),
        ("/", b"empty"),
        ("/t", b"true"),
        ("/f", b"1.5"),
        ("/o", b'{"x":2,"y":1}'),
        ("/a/b", b'[10,{"c~/d":"deep"}]'),
        ("/n", None),
        ("/s", None),
        ("/missing", None),
        ("/a/b/2", None),
        ("/a/b/00", None),
        ("/a/b/-", None),
        ("/a/b/-1", None),
        ("/a/b/²", None),
        ("/a/b/99999999999999999999", None),
        ("/f/x", None),
        ("/s/0", None),
    ],
)
def test_json_pointer(pointer: str, key: bytes | None) -> None:
    assert _key(_affinity(json_pointer=pointer), json.dumps(DOCUMENT).encode()) == key


def test_the_whole_body_is_the_same_key_in_any_order_of_names() -> None:
    affinity = _affinity(json_pointer="")
    assert _key(affinity, b'{"a": 1, "b": 2}') == _key(affinity, b'{"b":2,"a":1}') == b'{"a":1,"b":2}'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not JSON",
        b"\xff\xfe\x00",
        b'{"user": ',
        b"[" * 200_000,
        b'{"user": ' + b"9" * 5000 + b"}",
        b"3",
        b"null",
        b"[]",
        iter([b'{"user": "7"}']),
        b'{"user": "7", "x": "' + b"x" * LARGEST_BODY + b'"}',
    ],
    ids=["empty", "text", "bytes", "cut", "deep", "digits", "number", "null", "list", "stream", "large"],
)
@pytest.mark.parametrize("source", [{"json_pointer": "/user"}, {"prompt_prefix": {"pointer": "/user"}}])
def test_a_body_without_key(content: Content, source: dict[str, object]) -> None:
    affinity = _affinity(**source)
    assert _key(affinity, content) is None
    assert affinity.missing == 1


def test_half_a_character_is_a_key_too() -> None:
    assert _key(_affinity(json_pointer="/user"), b'{"user": "\\ud800"}') == b"\xed\xa0\x80"


def test_a_key_of_a_megabyte_is_taken_whole() -> None:
    key = "x" * 2**20
    assert _key(_affinity(json_pointer="/user"), json.dumps({"user": key}).encode()) == key.encode()
    assert _key(_affinity(header="X-User"), headers=(("X-User", key),)) == key.encode()


_NAMES = st.sampled_from(["messages", "content", "role", "text", "id"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(
    value=_JSON, source=st.sampled_from([{"json_pointer": "/messages"}, {"json_pointer": ""}, {"prompt_prefix": {}}])
)
def test_any_json_has_a_key_or_none(value: object, source: dict[str, object]) -> None:
    body = json.dumps(value).encode()
    first = _key(_affinity(**source), body)
    assert first != b""
    assert _key(_affinity(**source), body) == first


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes_have_a_key_or_none(content: bytes) -> None:
    assert _key(_affinity(json_pointer="/user"), content) is None or content


# --- prompts ----------------------------------------------------------------------------------------------------------

BLOCK = 8


def _prompt_key(body: object, blocks: int = 2, pointer: str = "/prompt") -> bytes | None:
    affinity = affinity_from(
        AffinitySettings(prompt_prefix=PromptPrefix(pointer=pointer, characters=BLOCK, blocks=blocks))
    )
    assert affinity is not None
    return _key(affinity, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("prompt", "key"),
    [
        ("abcdefgh12345678tail", b"abcdefgh12345678"),
        ("abcdefgh12345678", b"abcdefgh12345678"),
        ("abcdefgh1234567", b"abcdefgh"),  # whole blocks
        ("abcdefgh", b"abcdefgh"),
        ("abc", b"abc"),  # less than one block: all of it
        ("", None),
        (None, None),
        ([1, 22, 333, 4444, 55555], b"1\n22\n333\n4444\n55"),  # tokens
        (["one", "two three four"], b"one\ntwo three fo"),
        ([], None),
    ],
)
def test_prompt_prefix(prompt: object, key: bytes | None) -> None:
    assert _prompt_key({"prompt": prompt}) == key


def test_a_conversation_that_grows_keeps_its_key() -> None:
    system = {"role": "system", "content": "You are a helpful assistant."}
    first = {"role": "user", "content": "Hello"}
    more = [{"role": "assistant", "content": "Hi"}, {"role": "user", "content": "Why?"}]
    keys = {
        _prompt_key({"messages": messages}, pointer="/messages")
        for messages in ([system], [system, first], [system, first, *more])
    }
    assert keys == {b"system\nYou are a"}


def test_other_beginnings_are_other_keys() -> None:
    def of(role: str, text: str) -> bytes | None:
        return _prompt_key({"messages": [{"role": role, "content": text}]}, pointer="/messages")

    assert len({of("user", "aaaaaaaaaaaaaaaa"), of("user", "baaaaaaaaaaaaaaa"), of("tool", "aaaaaaaaaaaaaaaa")}) == 3


def test_messages_in_parts_and_with_ids() -> None:
    plain = {"role": "user", "content": "abcdefghijk"}
    parts = {"role": "user", "content": [{"type": "text", "text": "abcdef"}, {"type": "text", "text": "ghijk"}]}
    with_id = {"id": "msg-1", "role": "user", "content": "abcdefghijk"}
    assert {_prompt_key({"prompt": [message]}) for message in (plain, parts, with_id)} == {b"user\nabcdefghijk"}


# --- in a call --------------------------------------------------------------------------------------------------------


def _intake(**affinity: object) -> Intake:
    return Intake(CallSettings(affinity=AffinitySettings.model_validate(affinity)), SYSTEM_CLOCK)


def _call_key(intake: Intake, content: Content | str = b"", key: str | bytes | None = None) -> bytes | None:
    return intake.call(content, "", "POST", None, key=key, timeout=None, repeatable=None).key


def test_the_callers_own_key_wins() -> None:
    intake = _intake(json_pointer="/user")
    body = '{"user": "ann"}'
    assert _call_key(intake, body) == b"ann"
    assert _call_key(intake, body, key="bob") == b"bob"
    assert _call_key(intake, body, key=b"\xff") == b"\xff"
    assert _call_key(intake, body, key="") == b""  # empty on purpose: no affinity for this call
    assert intake.affinity is not None
    assert intake.affinity.missing == 0


def test_a_tally_counts_and_may_be_read() -> None:
    tally = Tally()
    for expected in range(5):
        assert tally.value == expected
        assert tally.value == expected
        tally.add()
    assert repr(tally) == "<Tally 5>"


@pytest.fixture
def client(fleet: Fleet) -> Iterator[Client]:
    data = fleet.data(balancer="consistent_hash", affinity={"json_pointer": "/user"})
    with Client.from_data(data) as client:
        yield client


def _servers(fleet: Fleet) -> dict[str, set[str]]:
    """Which servers each user came to."""
    found: dict[str, set[str]] = {}
    for server in fleet.servers:
        for request in server.seen:
            found.setdefault(json.loads(request.content)["user"], set()).add(server.name)
    return found


def test_users_stay_with_their_server_through_every_door(fleet: Fleet, client: Client) -> None:
    users = [f"user-{number}" for number in range(12)]
    calls = users * 4
    Random(1).shuffle(calls)
    for turn, user in enumerate(calls):
        body = json.dumps({"user": user, "turn": turn})
        if turn % 3 == 0:
            client.service("svc").send(body)
        elif turn % 3 == 1:
            with client.service("svc").stream(body) as reply:
                reply.read()
        else:
            with client.http("svc") as door:
                assert door.post("/v1/x", content=body).is_success
    found = _servers(fleet)
    assert set(found) == set(users)
    assert all(len(servers) == 1 for servers in found.values())
    # Ports, and so ids, differ each time. That 12 keys all have one home of 3 has a chance of 1 in 177,147.
    assert len({server for servers in found.values() for server in servers}) > 1


def test_calls_without_a_key_are_served_and_counted(fleet: Fleet, client: Client) -> None:
    service = client.service("svc")
    for body in ("not JSON", "{}", '{"user": ""}', '{"user": "ann"}'):
        assert service.send(body).ok
    assert service.send("not JSON", key="ann").ok
    assert service.calls_without_key == 3
    with Client.from_data(fleet.data()) as plain:
        assert plain.service("svc").send("not JSON").ok
        assert plain.service("svc").calls_without_key == 0
