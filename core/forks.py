"""What must happen in the child after a fork: threads are gone, and locks that other threads held stay locked for ever.

Objects that own a thread, a lock or connections register here and are told in the child before anything else runs.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["Forkable", "on_fork"]


class Forkable(Protocol):
    """Something that must be made fit for life in a child process."""

    def after_fork_in_child(self) -> None:
        """Drop what belongs to the parent. Must not do I/O and must not take a lock. May be called more than once."""
        ...


class _Watch:
    """Remembers, weakly, who wants to be told. Registers with the interpreter when the first one comes."""

    def __init__(self) -> None:
        self._owners: weakref.WeakSet[Forkable] = weakref.WeakSet()
        self._is_registered = False

    def add(self, owner: Forkable) -> None:
        self._owners.add(owner)
        if not self._is_registered and hasattr(os, "register_at_fork"):
            self._is_registered = True
            os.register_at_fork(after_in_child=self._tell)

    def _tell(self) -> None:
        failed: list[Exception] = []
        for owner in list(self._owners):
            try:
                owner.after_fork_in_child()
            except Exception as error:  # noqa: BLE001 - the others must be told all the same
                failed.append(error)
        if failed:
            raise failed[0]  # the interpreter prints it


# `os.register_at_fork` is a thing of the whole process and cannot be taken back: one entry for all.
_watch = _Watch()


def on_fork(owner: Forkable) -> None:
    """Tell `owner` in each child process, as long as it lives."""
    _watch.add(owner)
