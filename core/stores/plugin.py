"""Brings the built-in stores."""

from __future__ import annotations

from ..interfaces.store import Store
from ..plugins.hooks import hookimpl
from .memory_store import MemoryStore
from .sqlite_store import SqliteStore

__all__ = ["directlane_stores"]


@hookimpl
def directlane_stores() -> list[type[Store]]:
    """Within one process, and among the processes of one user on one host."""
    return [MemoryStore, SqliteStore]
