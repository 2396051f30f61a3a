"""What is asked and how answers are read, without a socket."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from directlane import (
    NEXT_PIECE,
    CredentialError,
    DiscoveryError,
    EmptyAnswer,
    Phase,
    PollContext,
    Query,
    Reply,
    Snapshot,
    TransportError,
)
from directlane.testing import Asked, Canaries, Listed, ProviderContract

from directlane_etcd import EtcdProvider


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def answer(data: object, status: int = 200) -> Reply:
    return Reply(status, content=json.dumps(data).encode())


def kv(key: str, value: str) -> dict[str, str]:
    return {"key": coded(key), "value": coded(value)}


LIST = answer({"header": {"revision": "41"}, "kvs": [kv("/s/a", "http://10.0.0.1:80")]})


def changes(*events: Mapping[str, Any], revision: int = 42, **more: Any) -> Reply:
    return answer({"result": {"header": {"revision": str(revision)}, "events": events, **more}})


def value_of(listed: Listed) -> str:
    return json.dumps({"host": listed.host, "port": listed.port, "weight": listed.weight})


class TestEtcd(ProviderContract):
    model = EtcdProvider
    empty_answer = EmptyAnswer.KEEP
    hidden = frozenset({"password"})

    def route(self, secret: Canaries) -> Mapping[str, object]:
        return {"prefix": "/s/", "user": "me", "password": secret("password"), "token": secret("token")}

    def answer(self, query: Asked, listed: Sequence[Listed]) -> Reply:
        assert isinstance(query, Query)
        if query.url.endswith("/authenticate"):
            return answer({"token": "t"})
        kvs = [kv(f"/s/{number:05}", value_of(each)) for number, each in enumerate(listed)]
        return answer({"header": {"revision": "1"}, "kvs": kvs})

    def change(self, listed: Sequence[Listed], after: Sequence[Listed]) -> Sequence[bytes]:
        events: list[Mapping[str, Any]] = [{"kv": kv(f"/s/{n:05}", value_of(each))} for n, each in enumerate(after)]
        gone = range(len(after), len(listed))
        events += [{"type": "DELETE", "kv": {"key": coded(f"/s/{number:05}")}} for number in gone]
        return [changes(*events).content]

    def other_routes(self, secret: Canaries) -> Sequence[Mapping[str, object]]:
        route = self.route(secret)
        return [{**route, "prefix": "/t/"}, {**route, "servers": ["http://10.0.0.9:2379"]}]


def begun(**settings: Any) -> Any:
    return EtcdProvider.model_validate({"prefix": "/s/", **settings}).discovery().poll(PollContext(0.0))


def hosts(snapshot: object) -> list[str]:
    assert isinstance(snapshot, Snapshot)
    return [endpoint.host for endpoint in snapshot.endpoints]


def test_the_watch_begins_right_after_the_read() -> None:
    conversation = begun()
    query = next(conversation)
    assert query.url == "http://127.0.0.1:2379/v3/kv/range"
    assert json.loads(query.content) == {"key": coded("/s/"), "range_end": coded("/s0"), "count_only": False}
    assert hosts(conversation.send(LIST)) == ["10.0.0.1"]
    watch = next(conversation)
    assert watch.watch
    assert json.loads(watch.content)["create_request"]["start_revision"] == "42"
    assert conversation.send(Reply(200)) is NEXT_PIECE
    assert conversation.send(answer({"result": {"header": {"revision": "41"}, "created": True}})) is NEXT_PIECE
    both = changes({"kv": kv("/s/b", "10.0.0.2:80")}, {"type": "DELETE", "kv": {"key": coded("/s/a")}})
    assert hosts(conversation.send(both)) == ["10.0.0.2"]
    assert next(conversation) is NEXT_PIECE
    with pytest.raises(StopIteration) as end:
        conversation.send(Reply(200))
    assert hosts(end.value.value) == ["10.0.0.2"]


def watching() -> Any:
    conversation = begun()
    next(conversation)
    conversation.send(LIST)
    next(conversation)
    conversation.send(Reply(200))
    return conversation


def test_a_quiet_watch_is_followed_by_another_read_and_a_broken_one_is_a_failure() -> None:
    conversation = watching()
    again = conversation.throw(TransportError("quiet", phase=Phase.WAIT, timed_out=True))
    assert again.url.endswith("/v3/kv/range")
    with pytest.raises(TransportError):
        watching().throw(TransportError("broken", phase=Phase.WAIT))


def test_a_revision_that_is_compacted_away_ends_the_conversation() -> None:
    with pytest.raises(StopIteration) as end:
        watching().send(changes(canceled=True, compact_revision="90"))
    assert hosts(end.value.value) == ["10.0.0.1"]


@pytest.mark.parametrize("piece", [b"no json\n", b"[]\n", b'{"error": {}}\n', b'{"result": 7}\n', b'{"result": {}}\n'])
def test_a_message_that_cannot_be_read_is_a_failure(piece: bytes) -> None:
    with pytest.raises(DiscoveryError):
        watching().send(Reply(200, content=piece))


def test_the_next_member_is_asked_if_one_is_away() -> None:
    conversation = begun(servers=["http://10.0.0.1:2379", "http://10.0.0.2:2379/"])
    next(conversation)
    query = conversation.throw(TransportError("away", phase=Phase.CONNECT))
    assert query.url == "http://10.0.0.2:2379/v3/kv/range"


def test_a_login_that_is_refused_is_not_tried_again() -> None:
    conversation = begun(user="me", password="wrong")
    query = next(conversation)
    assert json.loads(query.content) == {"name": "me", "password": "wrong"}
    with pytest.raises(CredentialError) as caught:
        conversation.send(answer({"error": "invalid user ID or password"}, 400))
    assert caught.value.permanent


@pytest.mark.parametrize(
    "value", ["", "{}", "http://", "ftp://10.0.0.1", "http://me:s3cret@10.0.0.1", '{"host": 7}', "["]
)
def test_a_value_that_is_no_endpoint_is_left_out(value: str) -> None:
    conversation = begun()
    next(conversation)
    entries = [kv("/s/a", value), kv("/s/b", "https://10.0.0.2/base")]
    snapshot = conversation.send(answer({"header": {"revision": "1"}, "kvs": entries}))
    assert [endpoint.url for endpoint in snapshot.endpoints] == ["https://10.0.0.2:443/base"]
    assert len(snapshot.rejected) == 1
    assert "s3cret" not in snapshot.rejected[0]
