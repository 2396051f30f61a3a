"""Watches a configuration file: a thread looks at it now and then, and says when it has changed.

A change shows in the time of modification, the size or the inode, so a file that is replaced by renaming, or a link
that points elsewhere (as Kubernetes does it), counts too. A file that is not there is no change.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import ClosedError, DirectlaneError

__all__ = ["FileStamp", "FileWatch", "in_thread", "in_thread_async", "stamp_of"]

_log = logging.getLogger("directlane.config")

FileStamp: TypeAlias = tuple[int, int, int]


def stamp_of(path: Path) -> FileStamp | None:
    """What tells one version of a file from the next; None if there is no such file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


class FileWatch:
    """One file and who wants to know.

    Args:
        path: The file.
        stamp: The version that is known.
        interval: Seconds between two looks.
        apply: Takes a new version over; called in the thread. What it raises is logged, once for each change.
    """

    def __init__(self, path: Path, stamp: FileStamp | None, interval: float, apply: Callable[[], None]) -> None:
        self._path = path
        self._stamp = stamp
        self._interval = interval
        self._apply = apply
        self._stop = threading.Event()
        threading.Thread(target=self._run, name="directlane-watch", daemon=True).start()

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            stamp = stamp_of(self._path)
            if stamp is None or stamp == self._stamp:
                continue
            self._stamp = stamp
            try:
                self._apply()
            except ClosedError:
                return
            except DirectlaneError as error:
                _log.error("the configuration has changed and is refused; the old one stays in use: %s", error)
            except Exception as error:  # noqa: BLE001 - the event loop may be gone; a text may quote a secret
                if not self._stop.is_set():
                    _log.error("a changed configuration could not be taken over: %s", type(error).__name__)
            else:
                _log.info("%s: the changed configuration is in use", self._path)

    def close(self) -> None:
        """Look no more. Does not wait for the thread, which may be in the middle of a change."""
        self._stop.set()


def in_thread(reload: Callable[[], None]) -> Callable[[], None] | None:
    """`reload`, to be called in another thread: as it is."""
    return reload


def in_thread_async(reload: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None] | None:
    """`reload`, to be called in another thread, so that it runs in the loop of this one; None if there is none."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        return partial(_in_asyncio, reload, loop)
    trio = sys.modules.get("trio")  # if it runs, it is there
    if trio is None:
        return None
    try:
        token = trio.lowlevel.current_trio_token()
    except RuntimeError:
        return None
    return lambda: trio.from_thread.run(reload, trio_token=token)


def _in_asyncio(reload: Callable[[], Coroutine[Any, Any, None]], loop: asyncio.AbstractEventLoop) -> None:
    if loop.is_closed():
        raise ClosedError("the event loop of the client is closed")
    asyncio.run_coroutine_threadsafe(reload(), loop).result()
