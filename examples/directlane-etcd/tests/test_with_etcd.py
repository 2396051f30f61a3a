"""Servers that register themselves in a real etcd, and a client that is configured by a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from directlane import Client
from directlane.emulation import ThreadInstance

from etcd_lab import Etcd, until


@contextmanager
def servers(count: int) -> Iterator[list[ThreadInstance]]:
    made = [ThreadInstance(f"server-{number}") for number in range(1, count + 1)]
    for each in made:
        each.start()
    yield made
    for each in made:
        each.stop()


def client_of(etcd: Etcd, prefix: str, folder: Path, interval: str = "1h", confirm: str = "30s") -> Client:
    file = folder / "directlane.toml"
    file.write_text(
        f"""
[services.chat]
repeatable = true
discovery = {{ interval = "{interval}" }}

[[services.chat.routes]]
provider = "etcd"
servers = ["{etcd.url}"]
prefix = "{prefix}"
confirm = "{confirm}"
"""
    )
    return Client.from_file(file)


def who(client: Client) -> str:
    return str(client.service("chat").send(b"x").json()["instance"])


def listed(client: Client) -> set[int]:
    return {view.endpoint.port for view in client.service("chat").endpoints() if view.state != "leaving"}


def age(client: Client) -> float:
    """Seconds since the list was confirmed."""
    return client.service("chat").endpoints()[0].list_age or 0.0


def test_calls_follow_registrations_without_polling(shared: Etcd, tmp_path: Path) -> None:
    with servers(3) as (one, two, three), client_of(shared, "/follow/", tmp_path) as client:
        shared.put("/follow/one", one.url)
        shared.put("/elsewhere/two", two.url)
        assert who(client) == "server-1"
        # The interval is an hour: whatever comes now, comes by the watch.
        shared.put("/follow/two", f'{{"Addr": "127.0.0.1:{two.port}"}}')
        until(lambda: listed(client) == {one.port, two.port})
        shared.put("/follow/two", f'{{"host": "127.0.0.1", "port": {three.port}, "weight": 2}}')
        until(lambda: listed(client) == {one.port, three.port})
        shared.delete("/follow/one")
        until(lambda: listed(client) == {three.port})
        assert who(client) == "server-3"


def test_a_server_whose_lease_ends_gets_no_calls(shared: Etcd, tmp_path: Path) -> None:
    with servers(2) as (one, two), client_of(shared, "/lease/", tmp_path) as client:
        shared.put("/lease/one", one.url)
        shared.put("/lease/two", two.url, lease=shared.lease(1))
        assert who(client).startswith("server-")
        until(lambda: listed(client) == {one.port})
        assert who(client) == "server-1"


def test_an_etcd_that_starts_again_is_watched_again(own: Etcd, tmp_path: Path) -> None:
    with servers(2) as (one, two), client_of(own, "/again/", tmp_path, interval="200ms") as client:
        own.put("/again/one", one.url)
        assert who(client) == "server-1"
        own.stop()
        assert who(client) == "server-1", "the last list stays in use"
        own.start()
        own.put("/again/two", two.url)
        own.delete("/again/one")
        until(lambda: listed(client) == {two.port})
        assert who(client) == "server-2"


def test_a_quiet_watch_is_confirmed_by_another_read(shared: Etcd, tmp_path: Path) -> None:
    with servers(2) as (one, two), client_of(shared, "/quiet/", tmp_path, confirm="1s") as client:
        shared.put("/quiet/one", one.url)
        assert who(client) == "server-1"
        shared.put("/quiet/one", one.url)
        until(lambda: age(client) > 0.5)
        until(lambda: age(client) < 0.5)
        shared.put("/quiet/one", two.url)
        until(lambda: listed(client) == {two.port})
