"""Each built-in store keeps to the contract."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_lab import RedisServer
from store_lab import HostClock

from directlane.core.interfaces.store import Store
from directlane.core.stores.memory_store import MemoryStore
from directlane.core.stores.redis_place import RedisPlace
from directlane.core.stores.redis_store import RedisStore
from directlane.core.stores.sqlite_store import SqliteStore
from directlane.testing import ManualClock, StoreContract


class OnOneHost(StoreContract):
    """The clock of a host can tell a restart of the host."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return HostClock()


class TestMemory(OnOneHost):
    def make_store(self, clock: ManualClock, folder: Path) -> Store:
        assert isinstance(clock, HostClock)
        return MemoryStore(clock)


class TestSqlite(OnOneHost):
    def make_store(self, clock: ManualClock, folder: Path) -> Store:
        assert isinstance(clock, HostClock)
        return SqliteStore(folder / "run" / "store.sqlite", clock)

    def another(self, store: Store, clock: ManualClock) -> Store:
        assert isinstance(store, SqliteStore)
        assert isinstance(clock, HostClock)
        return SqliteStore(store.path, clock)


class TestRedis(StoreContract):
    @pytest.fixture
    def store(self, clock: ManualClock, shared_redis: RedisServer) -> Iterator[Store]:  # pyright: ignore[reportIncompatibleMethodOverride] - it needs the server
        place = RedisPlace.from_url(f"{shared_redis.url}?prefix=t{secrets.token_hex(4)}")
        made = RedisStore(place, patience=30, clock=clock.monotonic)
        yield made
        made.close()

    def another(self, store: Store, clock: ManualClock) -> Store:
        assert isinstance(store, RedisStore)
        return RedisStore(store.place, patience=30, clock=clock.monotonic)
