"""A file that only its owner can read or change: who can write it can say where calls go."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from ..interfaces.store import StoreRefused

__all__ = ["default_folder", "identities", "make_private"]

_BESIDE = ("-wal", "-shm")
"""SQLite keeps its write-ahead log beside the file, and what processes share about it."""

_LOCK_LIMIT = 1.0


def default_folder(environment: Mapping[str, str]) -> Path:
    """`directlane` in the user's runtime directory; without one, a folder of this user among the temporary files."""
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    if Path(runtime).is_absolute():
        return Path(runtime) / "directlane"
    return Path(tempfile.gettempdir()) / f"directlane-{_user()}"


def make_private(path: Path) -> tuple[int, int]:
    """Make the file (0600) and its folder (0700) if they are not there. Returns what identifies the file.

    The file is never opened where it stands: closing it would drop the locks that SQLite has on it in this process.

    Raises:
        StoreRefused: The folder or the file is not ours alone.
        OSError: It cannot be made.
    """
    path.parent.mkdir(mode=0o700, exist_ok=True)
    folder = path.parent.lstat()
    _check(path.parent, folder, is_right=stat.S_ISDIR(folder.st_mode), kind="a folder", forbidden=0o022)
    if not path.is_symlink() and not path.exists():
        _make(path)
    file = path.lstat()
    _check(path, file, is_right=stat.S_ISREG(file.st_mode), kind="a plain file", forbidden=0o077)
    return file.st_dev, file.st_ino


def identities(path: Path) -> tuple[tuple[int, int] | None, ...]:
    """What tells the file, its log, and what is shared about it from others at their places; None for one that is gone.

    A file that was deleted goes on to work for who has it open.
    """
    return tuple(_identity(f"{path}{ending}") for ending in ("", *_BESIDE))


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _make(path: Path) -> None:
    """An empty file, there at once with its rights, and without what a deleted one left beside it."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        _lock(folder)  # nobody may have the new file open while the rest of the old one goes
        if path.is_symlink() or path.exists():
            return
        for ending in _BESIDE:
            Path(f"{path}{ending}").unlink(missing_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        draft.rename(path)
    finally:
        os.close(folder)  # and with it the lock


def _lock(folder: int) -> None:
    """Waits for other processes, which need it for some microseconds; not for one that stands still."""
    ends_at = time.monotonic() + _LOCK_LIMIT
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > ends_at:
                raise
        time.sleep(0.001)


def _check(path: Path, found: os.stat_result, *, is_right: bool, kind: str, forbidden: int) -> None:
    if not is_right:
        raise StoreRefused(f"{path} is not {kind}. Next: remove it, or choose another path")
    if found.st_uid != _user():
        raise StoreRefused(f"{path} belongs to another user (id {found.st_uid}). Next: choose another path")
    if found.st_mode & forbidden:
        rights = f"{stat.S_IMODE(found.st_mode):04o}"
        raise StoreRefused(
            f"{path} has the rights {rights}, so that others can use it. Next: run `chmod go-rwx` on it, "
            "if you trust what it holds; otherwise delete it"
        )


def _user() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0
