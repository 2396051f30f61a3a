"""A lock, in both colours."""

from __future__ import annotations

from threading import Lock

from anyio import Lock as AsyncLock

__all__ = ["AsyncLock", "Lock"]
