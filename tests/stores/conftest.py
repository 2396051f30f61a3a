"""Every store, on a clock that the test owns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from store_lab import ManualClock

from directlane.core.interfaces.store import Store
from directlane.core.stores.memory_store import MemoryStore
from directlane.core.stores.sqlite_store import SqliteStore


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "store.sqlite"


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, clock: ManualClock, path: Path) -> Iterator[Store]:
    made: Store = MemoryStore(clock) if request.param == "memory" else SqliteStore(path, clock)
    yield made
    made.close()
