"""Several hubs, as several processes, with one store: one of them asks, all of them know."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from discovery_lab import Ask, ControlPlane, Told, quick

from directlane.core.config.model import DiscoverySettings
from directlane.core.discovery.belief import Belief
from directlane.core.discovery.hub import DiscoveryHub, Subscription
from directlane.core.interfaces.discovery import Discovery
from directlane.core.interfaces.store import Store
from directlane.core.stores.sqlite_store import SqliteStore

Open = Callable[..., Subscription]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "store.sqlite"


@pytest.fixture
def process(path: Path) -> Iterator[Open]:
    """Begin one more process: a hub of its own, with a connection of its own to the one store."""
    with ExitStack() as stack:

        def begin(
            discovery: Discovery, settings: DiscoverySettings | None = None, listener: Told | None = None
        ) -> Subscription:
            store: Store = SqliteStore(path)
            stack.callback(store.close)
            share = DiscoveryHub().subscribe("svc", discovery, settings or quick(), listener or Told(), store)
            stack.callback(share.release)
            return share

        yield begin


def hosts(belief: Belief) -> list[str]:
    return [endpoint.host for endpoint in belief.endpoints]


def until(true: Callable[[], bool], limit: float = 10.0) -> None:
    ends_at = time.monotonic() + limit
    while not true():
        assert time.monotonic() < ends_at, "it did not come true"
        time.sleep(0.01)


def test_one_asks_and_all_know(process: Open, plane: ControlPlane) -> None:
    settings = quick(interval=3600.0)
    shares = [process(Ask(plane.url), settings) for _ in range(4)]
    assert all(share.wait_ready(10) for share in shares)
    assert {tuple(hosts(share.belief)) for share in shares} == {("10.0.0.1", "10.0.0.2")}
    assert len(plane.asked) == 1


def test_change_reaches_all(process: Open, plane: ControlPlane) -> None:
    shares = [process(Ask(plane.url), quick(interval=0.2)) for _ in range(3)]
    assert all(share.wait_ready(10) for share in shares)
    plane.behaviour = plane.serve("10.0.0.7")
    until(lambda: all(hosts(share.belief) == ["10.0.0.7"] for share in shares))
