"""A time limit around a block, in both colours."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import anyio

__all__ = ["limit", "limit_async"]


def limit_async(seconds: float) -> AbstractContextManager[object]:
    """Cancels the block after this time and raises TimeoutError."""
    return anyio.fail_after(seconds)


def limit(seconds: float) -> AbstractContextManager[object]:
    """Nothing can cancel a blocked thread: sync code relies on the timeouts of its sockets."""
    del seconds
    return nullcontext()
