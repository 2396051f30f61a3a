"""A Redis store and its server: one that stops, hangs, forgets, asks for a password, or is no Redis at all."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trustme
from redis_lab import RedisServer, free_port, need_redis
from store_lab import HostClock

from directlane.core.interfaces.discovery import RateBudget
from directlane.core.interfaces.store import Lease, Permit, StoreRefused, StoreUnavailable
from directlane.core.stores.redis_place import RedisPlace
from directlane.core.stores.redis_store import RedisStore

USER = RateBudget("user", 2, 60.0)
PASSWORD = "pass-word-of-the-server"


def opened(url: str, *, patience: float = 30, clock: HostClock | None = None) -> RedisStore:
    return RedisStore(RedisPlace.from_url(url), patience=patience, clock=clock.now if clock is not None else None)


@pytest.fixture
def store(own_redis: RedisServer) -> Iterator[RedisStore]:
    made = opened(own_redis.url)
    yield made
    made.close()


# --- its time ---------------------------------------------------------------------------------------------------------


def test_time_is_the_servers_and_fences_grow_with_it(store: RedisStore) -> None:
    first = store.lease("q", "a", 600)
    assert isinstance(first, Lease)
    wait = store.lease("q", "b", 600)
    assert isinstance(wait, float)
    assert 0 < wait <= 600
    store.release(first)
    second = store.lease("q", "b", 600)
    assert isinstance(second, Lease)
    assert second.fence > first.fence > 1_700_000_000_000_000, "microseconds since 1970"


def test_lease_ends_by_the_clock_of_the_server(store: RedisStore) -> None:
    assert isinstance(store.lease("q", "a", 0.05), Lease)
    while not isinstance(got := store.lease("q", "b", 600), Lease):
        assert got <= 0.05
    assert got.holder == "b"


def test_every_key_has_an_end(own_redis: RedisServer, store: RedisStore) -> None:
    lease = store.lease("q", "a", 10)
    assert isinstance(lease, Lease)
    store.publish(lease, b"list")
    store.attend("q", "a", 10)
    permit = store.take([USER], 5)
    assert isinstance(permit, Permit)
    store.settle(permit)
    keys = [line for line in own_redis.ask("KEYS", "*").decode().split("\r\n") if line.startswith("{")]
    ends = {key: int(own_redis.ask("PTTL", key).strip(b":\r\n")) / 1000 for key in keys}
    assert ends.keys() == {
        f"{{directlane}}:{key}" for key in ("epoch", "lease:q", "saved:q", "there:q", "spent:user", "window:user")
    }
    month = 30 * 86400
    assert all(0 < left <= month + 120 for left in ends.values()), ends
    assert ends["{directlane}:there:q"] <= 11
    assert ends["{directlane}:spent:user"] <= 66
    assert ends["{directlane}:saved:q"] > month - 600


# --- when it goes -----------------------------------------------------------------------------------------------------


def test_server_that_is_away_is_told_and_served_again_when_it_is_back(
    own_redis: RedisServer, store: RedisStore
) -> None:
    assert store.attend("q", "a", 600) == 1
    own_redis.stop()
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match=rf"^redis://127.0.0.1:{own_redis.port}/0: .*refused") as caught:
            store.attend("q", "a", 600)
        assert not isinstance(caught.value, StoreRefused)
    own_redis.start()
    assert store.attend("q", "a", 600) == 1


def test_server_that_hangs_is_told_in_time_and_used_again(own_redis: RedisServer) -> None:
    store = opened(own_redis.url, patience=0.2)
    fresh = opened(own_redis.url, patience=0.2)
    # The first answer may come late on a busy machine.
    while True:
        try:
            assert store.attend("q", "a", 600) == 1
            break
        except StoreUnavailable:
            continue
    own_redis.pause()
    for one in (store, fresh):
        with pytest.raises(StoreUnavailable, match="no answer in time"):
            one.attend("q", "a", 600)
    own_redis.go_on()
    after = opened(own_redis.url)
    assert after.attend("q", "a", 600) == 1
    for one in (store, fresh, after):
        one.close()


def test_connection_that_was_closed_meanwhile_is_made_again_unseen(own_redis: RedisServer, store: RedisStore) -> None:
    assert store.attend("q", "a", 600) == 1
    own_redis.ask("CLIENT", "KILL", "TYPE", "normal")
    assert store.attend("q", "b", 600) == 2
    own_redis.ask("SCRIPT", "FLUSH")
    assert store.attend("q", "c", 600) == 3


@pytest.mark.parametrize("loss", ["restart", "flush"])
def test_server_that_lost_its_memory_lets_no_query_go_for_one_window(
    own_redis: RedisServer, clock: HostClock, loss: str
) -> None:
    store = opened(own_redis.url, clock=clock)
    lease = store.lease("q", "a", 600)
    assert isinstance(lease, Lease)
    store.publish(lease, b"old")
    assert isinstance(store.take([USER], 5), Permit)
    clock.move(3)
    if loss == "restart":
        own_redis.stop()
        own_redis.start()
    else:
        own_redis.ask("FLUSHALL")
    assert store.take([USER], 5) == pytest.approx(65), "what was spent, and is under way, is not known any more"
    assert not store.publish(lease, b"late word of the time before")
    assert store.read("q") is None
    again = store.lease("q", "a", 600)
    assert isinstance(again, Lease)
    assert again.fence > lease.fence
    assert store.spent(USER) == USER.limit
    clock.move(64)
    assert store.take([USER], 5) == pytest.approx(1)
    clock.move(1)
    assert store.spent(USER) == 0
    assert isinstance(store.take([USER], 5), Permit)
    store.close()


def test_server_that_begins_again_with_an_old_memory_lets_no_query_go_for_one_window(
    own_redis: RedisServer, clock: HostClock
) -> None:
    store = opened(own_redis.url, clock=clock)
    assert isinstance(store.take([USER], 5), Permit)
    own_redis.ask("SAVE")
    assert isinstance(store.take([USER], 5), Permit), "this one will be forgotten"
    own_redis.stop()
    own_redis.start()
    clock.move(3)
    assert store.take([USER], 5) == pytest.approx(65)
    clock.move(65)
    assert isinstance(store.take([USER], 5), Permit)
    store.close()


def test_newcomer_to_a_new_memory_may_ask_until_somebody_knows_of_the_old_one(
    own_redis: RedisServer, clock: HostClock
) -> None:
    old, new = opened(own_redis.url, clock=clock), opened(own_redis.url, clock=clock)
    assert isinstance(old.take([USER], 5), Permit)
    own_redis.ask("FLUSHALL")
    assert isinstance(new.take([USER], 5), Permit)
    clock.move(20)
    assert old.attend("q", "old", 10) == 1, "any method tells"
    assert new.take([USER], 5) == pytest.approx(45)
    for store in (old, new):
        store.close()


# --- who may come in --------------------------------------------------------------------------------------------------


@pytest.fixture
def locked_redis(tmp_path: Path) -> Iterator[RedisServer]:
    need_redis()
    server = RedisServer(tmp_path, "--requirepass", PASSWORD)
    yield server
    server.stop()


def with_password(server: RedisServer, password: str, options: str = "") -> RedisStore:
    return opened(f"redis://:{password}@127.0.0.1:{server.port}/0{options}")


def test_right_password_lets_in_and_stands_in_no_key(locked_redis: RedisServer, tmp_path: Path) -> None:
    store = with_password(locked_redis, PASSWORD)
    lease = store.lease("q", "a", 600)
    assert isinstance(lease, Lease)
    assert store.publish(lease, b"list")
    assert isinstance(store.take([USER], 5), Permit)
    store.close()
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    from_file = opened(f"redis://127.0.0.1:{locked_redis.port}/0?password_file={file}")
    assert isinstance(from_file.lease("q", "b", 600), float)
    for shown in (repr(store), str(store), repr(vars(store)), repr(vars(from_file))):
        assert PASSWORD not in shown
    from_file.close()
    assert saved_memory(locked_redis, tmp_path).count(PASSWORD.encode()) == 0


def saved_memory(server: RedisServer, folder: Path) -> bytes:
    """All that the server holds, as it would write it to its disk."""
    command = b"AUTH " + PASSWORD.encode() + b"\r\nSAVE\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(command)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
    assert answer == b"+OK\r\n+OK\r\n"
    return (folder / "dump.rdb").read_bytes()


@pytest.mark.parametrize("password", ["", "wrong-pass"])
def test_wrong_or_missing_password_is_refused_with_the_next_step(locked_redis: RedisServer, password: str) -> None:
    store = with_password(locked_redis, password)
    with pytest.raises(StoreRefused, match=r"does not let us in.*Next: check the user and the password") as caught:
        store.attend("q", "a", 10)
    assert "wrong-pass" not in str(caught.value)
    assert caught.value.__cause__ is None
    store.close()


def test_password_file_that_is_gone_is_refused_by_its_name(locked_redis: RedisServer, tmp_path: Path) -> None:
    store = opened(f"redis://127.0.0.1:{locked_redis.port}?password_file={tmp_path}/none")
    with pytest.raises(StoreRefused, match=r"No such file.*Next: look at .*/none"):
        store.attend("q", "a", 10)
    store.close()


COMMANDS = (
    "+eval +evalsha +time +info +pexpire +get +set +hget +hset +hmget "
    "+zadd +zcard +zcount +zrem +zscore +zrevrange +zremrangebyscore +select"
)
"""What the page on many processes says that a user needs."""


def test_user_with_the_listed_rights_can_do_everything_and_one_without_is_told(own_redis: RedisServer) -> None:
    own_redis.ask("ACL", "SETUSER", "lane", "on", ">secret", "~{directlane}:*", *COMMANDS.split())
    store = opened(f"redis://lane:secret@127.0.0.1:{own_redis.port}/0")
    lease = store.lease("q", "a", 600)
    assert isinstance(lease, Lease)
    assert store.publish(lease, b"list")
    assert store.read("q") is not None
    assert store.attend("q", "a", 600) == 1
    for end in (store.settle, store.cancel):
        permit = store.take([USER], 5)
        assert isinstance(permit, Permit)
        end(permit)
    own_redis.ask("ACL", "SETUSER", "lane", "-info")
    assert isinstance(store.take([USER], 5), Permit), "without it, a server that began again is not known as one"
    store.release(lease)
    store.close()
    other = opened(f"redis://lane:secret@127.0.0.1:{own_redis.port}/0?prefix=other")
    with pytest.raises(StoreRefused, match=r"access list forbids it.*Next: allow the user the keys `\{other\}:\*`"):
        other.attend("q", "a", 10)
    other.close()


def test_the_page_lists_the_rights() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "many-processes.md"
    assert COMMANDS in " ".join(page.read_text("utf-8").split())


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ca(tmp_path: Path) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return authority


@pytest.fixture
def tls_redis(tmp_path: Path, ca: trustme.CA) -> Iterator[tuple[RedisServer, int]]:
    need_redis()
    certificate = ca.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    tls_port = free_port()
    files = ["--tls-cert-file", f"{tmp_path}/cert.pem", "--tls-key-file", f"{tmp_path}/key.pem"]
    server = RedisServer(tmp_path, "--tls-port", str(tls_port), *files, "--tls-auth-clients", "no")
    yield server, tls_port
    server.stop()


def test_tls_checks_the_server_and_says_what_to_do(tls_redis: tuple[RedisServer, int], tmp_path: Path) -> None:
    _, port = tls_redis
    store = opened(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={tmp_path}/ca.pem")
    assert store.attend("q", "a", 600) == 1
    store.close()
    stranger = opened(f"rediss://127.0.0.1:{port}/0")
    with pytest.raises(StoreRefused, match=r"certificate is not accepted.*Next: name the authority with \?ssl_ca"):
        stranger.attend("q", "a", 600)
    stranger.close()
    lost = opened(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={tmp_path}/none.pem")
    with pytest.raises(StoreRefused, match=r"a file cannot be used: No such file.*Next: look at .*none.pem"):
        lost.attend("q", "a", 600)
    lost.close()


def test_tls_to_a_plain_server_and_the_other_way_round_fail_without_harm(tls_redis: tuple[RedisServer, int]) -> None:
    server, tls_port = tls_redis
    for url in (f"rediss://127.0.0.1:{server.port}", f"redis://127.0.0.1:{tls_port}"):
        store = opened(url, patience=0.3)
        with pytest.raises(StoreUnavailable, match=r"^rediss?://127.0.0.1:\d+/0: "):
            store.attend("q", "a", 600)
        store.close()


# --- what is no store -------------------------------------------------------------------------------------------------


def test_node_of_a_cluster_is_refused(tmp_path: Path) -> None:
    need_redis()
    server = RedisServer(tmp_path, "--cluster-enabled", "yes")
    store = opened(server.url)
    with pytest.raises(StoreRefused, match=r"is a node of a Redis Cluster.*Next: use a server without cluster mode"):
        store.attend("q", "a", 600)
    store.close()
    server.stop()


def test_key_of_somebody_else_is_refused(own_redis: RedisServer, store: RedisStore) -> None:
    own_redis.ask("SET", "{directlane}:epoch", "mine")
    with pytest.raises(StoreRefused, match=r"WRONGTYPE.*Next: choose another database or \?prefix="):
        store.attend("q", "a", 600)


def test_server_that_speaks_something_else_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with suppress(OSError):  # it asks once or twice, and the end of the test closes the listener
                for _ in range(2):
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(1000)
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        store = opened(f"redis://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(StoreUnavailable):
            store.attend("q", "a", 600)
        store.close()


def test_full_server_that_takes_no_list_is_told(own_redis: RedisServer, store: RedisStore) -> None:
    lease = store.lease("q", "a", 600)
    assert isinstance(lease, Lease)
    own_redis.ask("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreUnavailable, match="memory"):
        store.publish(lease, b"list")
    own_redis.ask("CONFIG", "SET", "maxmemory", "0")
    assert store.publish(lease, b"list")


# --- threads and forks ------------------------------------------------------------------------------------------------


def test_threads_share_one_store_and_no_window_holds_more_than_the_limit(shared_redis: RedisServer) -> None:
    store = opened(f"{shared_redis.url}?prefix=t{secrets.token_hex(4)}")
    budget = RateBudget("user", 10, 600.0)
    got: list[Permit | float] = []

    def work() -> None:
        got.extend(store.take([budget], 5) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    permits = [one for one in got if isinstance(one, Permit)]
    assert len(got) == 40
    assert len(permits) == 10
    assert len({permit.id for permit in permits}) == 10
    store.close()


def test_child_makes_a_connection_of_its_own(shared_redis: RedisServer) -> None:
    store = opened(f"{shared_redis.url}?prefix=t{secrets.token_hex(4)}")
    assert isinstance(store.lease("q", "parent", 600), Lease)
    child = os.fork()
    if child == 0:
        try:
            is_held = isinstance(store.lease("q", "child", 600), float)
            os._exit(0 if is_held and isinstance(store.lease("r", "child", 600), Lease) else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert isinstance(store.lease("r", "parent", 600), float)
    assert isinstance(store.lease("q", "parent", 600), Lease)
    store.close()
