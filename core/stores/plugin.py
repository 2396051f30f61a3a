"""Brings the built-in stores."""

from __future__ import annotations

from ..interfaces.store import Store
from ..plugins.hooks import hookimpl
from .memory_store import MemoryStore
from .redis_store import RedisStore
from .sqlite_store import SqliteStore

__all__ = ["directlane_stores"]


@hookimpl
def directlane_stores() -> list[type[Store]]:
    """Within one process, among the processes of one user on one host, and among several hosts."""
    return [MemoryStore, SqliteStore, RedisStore]
