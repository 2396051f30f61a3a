"""Every store, on a clock that the test owns."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis_lab import RedisServer, need_redis
from store_lab import HostClock

from directlane.core.interfaces.store import Store
from directlane.core.stores.memory_store import MemoryStore
from directlane.core.stores.redis_place import RedisPlace
from directlane.core.stores.redis_store import RedisStore
from directlane.core.stores.sqlite_store import SqliteStore

MakeRedis = Callable[..., RedisStore]


@pytest.fixture
def clock() -> HostClock:
    return HostClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "store.sqlite"


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for the tests that do it no harm: each has a prefix of its own."""
    need_redis()
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that the test may stop, pause and empty."""
    need_redis()
    server = RedisServer(tmp_path)
    yield server
    server.stop()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest, clock: HostClock, path: Path) -> Iterator[Store]:
    made: Store
    if request.param == "memory":
        made = MemoryStore(clock)
    elif request.param == "sqlite":
        made = SqliteStore(path, clock)
    else:
        server: RedisServer = request.getfixturevalue("shared_redis")
        place = RedisPlace.from_url(f"{server.url}?prefix=t{secrets.token_hex(4)}")
        made = RedisStore(place, patience=30, clock=clock.now)
    yield made
    made.close()
