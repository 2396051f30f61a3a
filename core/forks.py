"""What must happen around a fork: the child has no threads, and locks that other threads held stay locked for ever.

Objects that own a thread, a lock or connections register here and are told in the child before anything else runs. What
must come to rest before, such as a C library that a thread may be in the middle of, is told in the parent, too.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

__all__ = ["Forkable", "RestsAtFork", "on_fork"]


class Forkable(Protocol):
    """Something that must be made fit for life in a child process."""

    def after_fork_in_child(self) -> None:
        """Drop what belongs to the parent. Must not do I/O and must not take a lock. May be called more than once."""
        ...


@runtime_checkable
class RestsAtFork(Forkable, Protocol):
    """Something that must not be in the middle of anything while the process forks."""

    def before_fork(self) -> None:
        """Come to rest within moments, and stay so until `after_fork_in_parent`. In the thread that forks."""
        ...

    def after_fork_in_parent(self) -> None:
        """Go on. In the thread that forked."""
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
            os.register_at_fork(
                before=self._before, after_in_parent=self._after_in_parent, after_in_child=self._after_in_child
            )

    def _before(self) -> None:
        self._tell(owner.before_fork for owner in list(self._owners) if isinstance(owner, RestsAtFork))

    def _after_in_parent(self) -> None:
        self._tell(owner.after_fork_in_parent for owner in list(self._owners) if isinstance(owner, RestsAtFork))

    def _after_in_child(self) -> None:
        self._tell(owner.after_fork_in_child for owner in list(self._owners))

    @staticmethod
    def _tell(hooks: Iterable[Callable[[], None]]) -> None:
        failed: list[Exception] = []
        for hook in hooks:
            try:
                hook()
            except Exception as error:  # noqa: BLE001 - the others must be told all the same
                failed.append(error)
        if failed:
            raise failed[0]  # the interpreter prints it


# `os.register_at_fork` is a thing of the whole process and cannot be taken back: one entry for all.
_watch = _Watch()


def on_fork(owner: Forkable) -> None:
    """Tell `owner` in each child process, as long as it lives; if it `RestsAtFork`, also around each fork."""
    _watch.add(owner)
