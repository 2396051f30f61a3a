"""A real Redis server in the states that an operator knows: what is said, and that all is well again after it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis_lab import RedisServer, need_redis

from directlane.core.interfaces.discovery import RateBudget
from directlane.core.interfaces.store import Lease, Permit, StoreRefused, StoreUnavailable
from directlane.core.stores.redis_store import RedisStore

USER = RateBudget("user", 5, 600.0)


@pytest.fixture
def store(own_redis: RedisServer) -> Iterator[RedisStore]:
    made = RedisStore.open(own_redis.url, {})
    yield made
    made.close()


def test_replica_is_told_and_used_when_it_is_the_master(own_redis: RedisServer, store: RedisStore) -> None:
    assert isinstance(store.lease("q", "a", 600), Lease)
    own_redis.ask("REPLICAOF", "127.0.0.1", "1")  # nobody is there: it has lost its master
    with pytest.raises(StoreUnavailable, match=r"it is a replica, and takes no changes\. Next: name the master"):
        store.attend("q", "a", 600)
    own_redis.ask("CONFIG", "SET", "replica-serve-stale-data", "no")
    with pytest.raises(StoreUnavailable, match="it is a replica that has lost its master") as caught:
        store.attend("q", "a", 600)
    assert not isinstance(caught.value, StoreRefused), "it may pass"
    own_redis.ask("REPLICAOF", "NO", "ONE")
    assert store.attend("q", "a", 600) == 1
    assert isinstance(store.lease("q", "b", 600), float), "it knows what it knew"


def test_server_that_cannot_save_is_told(tmp_path: Path) -> None:
    need_redis()
    folder = tmp_path / "gone"
    folder.mkdir()
    server = RedisServer(folder, "--save", "3600 1")
    store = RedisStore.open(server.url, {})
    assert isinstance(store.take([USER], 5), Permit)
    folder.rmdir()
    server.ask("BGSAVE")
    while b"rdb_bgsave_in_progress:0" not in server.ask("INFO", "persistence"):
        pass
    with pytest.raises(StoreUnavailable, match="it cannot save to its disk, and takes no changes"):
        store.take([USER], 5)
    server.ask("CONFIG", "SET", "save", "")
    assert isinstance(store.take([USER], 5), Permit)
    store.close()
    server.stop()


def test_scripts_that_the_server_has_forgotten_are_sent_again(own_redis: RedisServer, store: RedisStore) -> None:
    assert isinstance(store.take([USER], 5), Permit)
    own_redis.ask("SCRIPT", "FLUSH")
    assert isinstance(store.take([USER], 5), Permit)


def test_connection_that_the_server_kills_is_made_again(own_redis: RedisServer, store: RedisStore) -> None:
    for _ in range(3):
        assert isinstance(store.take([USER], 5), Permit)
        own_redis.ask("CLIENT", "KILL", "TYPE", "normal")


def test_database_that_is_not_there_is_refused(shared_redis: RedisServer) -> None:
    store = RedisStore.open(f"redis://127.0.0.1:{shared_redis.port}/99", {})
    with pytest.raises(StoreRefused, match=r"the server has no database 99\. Next: choose another"):
        store.attend("q", "a", 600)
    store.close()


def test_missing_password_is_told_whatever_is_asked(own_redis: RedisServer) -> None:
    own_redis.ask("CONFIG", "SET", "requirepass", "s3cret")
    store = RedisStore.open(own_redis.url, {})
    asks: list[Callable[[], object]] = [lambda: store.attend("q", "a", 600), lambda: store.take([USER], 5)]
    for ask in asks:
        with pytest.raises(StoreRefused, match=r"does not let us in.*Next: check the user and the password"):
            ask()
    store.close()


def test_command_that_is_switched_off_is_refused_and_nothing_of_it_is_quoted(tmp_path: Path) -> None:
    need_redis()
    server = RedisServer(tmp_path, "--rename-command", "EVALSHA", "")
    store = RedisStore.open(server.url, {})
    with pytest.raises(StoreRefused, match="unknown command 'EVALSHA'") as caught:
        store.publish(Lease("q", "holder", 1), b"10.0.0.1")
    assert "holder" not in str(caught.value)
    assert "directlane:" not in str(caught.value)
    store.close()
    server.stop()


def test_socket_of_this_host_with_a_password_and_a_database(tmp_path: Path) -> None:
    need_redis()
    server = RedisServer(tmp_path, "--unixsocket", f"{tmp_path}/r.sock", "--requirepass", "p/w")
    password = tmp_path / "password"
    password.write_text("p/w\n")
    for way in ("unix://:p%2Fw@{0}/r.sock?db=3", "unix://{0}/r.sock?db=3&password_file={0}/password"):
        store = RedisStore.open(way.format(tmp_path), {})
        assert store.attend("q", secrets.token_hex(4), 600) >= 1
        assert str(store) == f"unix://{tmp_path}/r.sock?db=3"
        store.close()
    closed = RedisStore.open(f"unix://{tmp_path}/r.sock", {})
    with pytest.raises(StoreRefused, match="does not let us in"):
        closed.attend("q", "a", 600)
    closed.close()
    server.stop()
    gone = RedisStore.open(f"unix://{tmp_path}/none.sock", {})
    with pytest.raises(StoreUnavailable, match=r"none.sock.*No such file") as caught:
        gone.attend("q", "a", 600)
    assert not isinstance(caught.value, StoreRefused), "the server may be started yet"
    gone.close()
