"""Reads all keys under a prefix, then watches them: etcd's v3 API over its JSON gateway.

A read tells its revision, and the watch begins at the next one, so that nothing is missed in between. A watch of etcd
has no heartbeat that can be counted on; so a quiet one is ended after a while and begun with another read, which
confirms the list.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Generator, Hashable
from typing import Any, cast

from directlane import (
    NEXT_PIECE,
    AddressSource,
    Conversation,
    CredentialError,
    DiscoveryRefused,
    DiscoveryThrottled,
    DiscoveryUnreadable,
    EmptyAnswer,
    PollContext,
    Query,
    Reply,
    Secret,
    Snapshot,
    TransportError,
)

from .entries import snapshot_of

__all__ = ["EtcdDiscovery"]

_Headers = tuple[tuple[str, str], ...]


class EtcdDiscovery:
    """Asks one cluster for one prefix.

    Args:
        servers: URLs of the members; the first that answers is asked.
        prefix: Of the keys.
        login: User and password; None if the cluster wants none.
        confirm: Seconds after which a quiet watch is ended, and the keys are read again.
    """

    addresses = AddressSource.LEARNED
    empty_answer = EmptyAnswer.KEEP

    def __init__(self, servers: tuple[str, ...], prefix: str, login: tuple[str, Secret] | None, confirm: float) -> None:
        self._servers = servers
        self._prefix = prefix
        self._login = login
        self._confirm = confirm

    @property
    def identity(self) -> Hashable:
        login = None if self._login is None else (self._login[0], self._login[1].fingerprint())
        return "etcd", self._servers, self._prefix, login, self._confirm

    def poll(self, context: PollContext) -> Conversation:
        del context
        while True:
            server, headers = yield from self._enter()
            known = _Known()
            reply = yield Query(f"{server}/v3/kv/range", "POST", headers, self._range())
            known.read_list(_checked(reply))
            yield known.snapshot()
            create = {**self._keys(), "start_revision": str(known.revision + 1)}
            body = json.dumps({"create_request": create}).encode()
            _checked((yield Query(f"{server}/v3/watch", "POST", headers, body, watch=True, timeout=self._confirm)))
            try:
                while piece := (yield NEXT_PIECE).content:
                    if known.read_changes(piece):
                        yield known.snapshot()
                    if known.is_canceled:
                        return known.snapshot()
            except TransportError as error:
                if not error.timed_out:
                    raise
            else:
                return known.snapshot()

    def _enter(self) -> Generator[Query, Reply, tuple[str, _Headers]]:
        """A member that answers, and what is sent with each query."""
        for server in self._servers[:-1]:
            try:
                return server, (yield from self._token(server))
            except TransportError:
                continue  # the next one
        return self._servers[-1], (yield from self._token(self._servers[-1]))

    def _token(self, server: str) -> Generator[Query, Reply, _Headers]:
        if self._login is None:
            if len(self._servers) > 1:
                yield Query(f"{server}/v3/kv/range", "POST", (), self._range(count_only=True))  # is it there?
            return ()
        name, password = self._login
        body = json.dumps({"name": name, "password": password.reveal()}).encode()
        reply = yield Query(f"{server}/v3/auth/authenticate", "POST", (), body)
        if reply.status in {400, 401}:
            raise CredentialError("etcd does not accept the user or the password", permanent=True)
        token = _json(_checked(reply)).get("token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise DiscoveryUnreadable("etcd gave no token")
        return (("Authorization", token),)

    def _keys(self) -> dict[str, str]:
        """All keys that begin with the prefix: from it to the next text of the same length."""
        begin = self._prefix.encode()
        return {"key": _coded(begin), "range_end": _coded(begin[:-1] + bytes([begin[-1] + 1]))}

    def _range(self, *, count_only: bool = False) -> bytes:
        return json.dumps({**self._keys(), "count_only": count_only}).encode()

    def __repr__(self) -> str:
        return f"<EtcdDiscovery {self._prefix!r}>"


class _Known:
    """What a conversation has learned. Mutable state: the values by key, and their revision."""

    def __init__(self) -> None:
        self.revision = 0
        self.is_canceled = False
        self._entries: dict[str, bytes] = {}

    def read_list(self, reply: Reply) -> None:
        answer = _json(reply)
        try:
            self._entries = {
                _decoded(entry["key"]).decode(): _decoded(entry.get("value", "")) for entry in _kvs(answer)
            }
            self.revision = int(answer["header"]["revision"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise _unreadable(error) from error

    def read_changes(self, piece: bytes) -> bool:
        """One message of a watch. Whether it says something about the keys."""
        try:
            message = json.loads(piece)
            if "error" in message:
                raise DiscoveryUnreadable("etcd ended the watch with an error")
            result = message["result"]
            # A revision that is compacted away, say: the next conversation reads the keys again.
            self.is_canceled = bool(result.get("canceled"))
            events = result.get("events") or []
            for event in events:
                key = _decoded(event["kv"]["key"]).decode()
                if event.get("type", "PUT") == "DELETE":
                    self._entries.pop(key, None)
                else:
                    self._entries[key] = _decoded(event["kv"].get("value", ""))
            self.revision = int(result["header"]["revision"])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise _unreadable(error) from error
        return bool(events)

    def snapshot(self) -> Snapshot:
        return snapshot_of(self._entries, str(self.revision))


def _kvs(answer: dict[str, Any]) -> list[dict[str, str]]:
    """The gateway leaves out what is empty: without keys there is no list."""
    found = answer.get("kvs", [])
    if not isinstance(found, list):
        raise TypeError("no list of keys")
    return cast("list[dict[str, str]]", found)


def _checked(reply: Reply) -> Reply:
    if reply.status in {401, 403}:
        raise CredentialError("etcd does not let this user read the keys")
    if reply.status == 429:
        told = next((value for name, value in reply.headers if name.lower() == "retry-after"), "")
        delay = float(told) if told.replace(".", "", 1).isdecimal() else None
        raise DiscoveryThrottled("etcd is asked too often", retry_after=delay)
    if reply.status != 200:
        raise DiscoveryRefused(f"etcd answered {reply.status}", status=reply.status)
    return reply


def _json(reply: Reply) -> dict[str, Any]:
    try:
        found = reply.json()
    except (ValueError, RecursionError) as error:
        raise _unreadable(error) from error
    if not isinstance(found, dict):
        raise DiscoveryUnreadable("etcd's answer is not as we know it")
    return cast("dict[str, Any]", found)


def _coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _unreadable(error: Exception) -> DiscoveryUnreadable:
    return DiscoveryUnreadable(f"etcd's answer is not as we know it: {type(error).__name__}")
