"""A store for a fleet: a SQLite file, or a Redis server of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_lab import RedisServer, need_redis


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    need_redis()
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The setting `store`."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'store' / 'store.sqlite'}"
    server: RedisServer = request.getfixturevalue("redis")
    return server.url
