"""The form of the SQLite file: making it, knowing it again, and what a restart of the host does to it."""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path

from ..interfaces.store import StoreRefused
from .host_clock import StoreClock

__all__ = ["FOLD_AT", "FOLD_SOON", "FORM", "open_file"]

FORM = 2
"""Of the tables. Raised when they change; a file of another form is refused, not translated."""

_APPLICATION = 0x646C616E
"""Marks the file as ours (`dlan`), in the header that SQLite has for this."""

FOLD_SOON = 4000
FOLD_AT = 16_000
"""The write-ahead log is folded into the file when it has so many pages of 4 KiB. Folding waits for the disk, often for
tens of milliseconds. So the change that nobody waits for does it soon, and any other only when that one never comes."""

_TABLES = (
    # One row. `born` and `lost_at` are on the clock of the host, as all times here but `unix` are.
    "CREATE TABLE file (epoch TEXT NOT NULL, boot TEXT NOT NULL, born REAL NOT NULL, lost_at REAL)",
    # WITHOUT ROWID: a row stands in one tree, not in two, so a change writes one page.
    """CREATE TABLE lease (
        name TEXT PRIMARY KEY, holder TEXT NOT NULL, fence INTEGER NOT NULL, ends REAL NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE present (
        name TEXT, holder TEXT, ends REAL NOT NULL, PRIMARY KEY (name, holder)
    ) WITHOUT ROWID""",
    "CREATE TABLE budget (name TEXT PRIMARY KEY, longest REAL NOT NULL) WITHOUT ROWID",
    "CREATE TABLE spent (budget TEXT, ends REAL, id TEXT, PRIMARY KEY (budget, ends, id)) WITHOUT ROWID",
    """CREATE TABLE saved (
        name TEXT PRIMARY KEY, data BLOB NOT NULL, version TEXT NOT NULL, at REAL NOT NULL, unix REAL NOT NULL
    )""",
)


def open_file(path: Path, clock: StoreClock, known: str) -> tuple[sqlite3.Connection, str]:
    """A connection to the file, which exists and may be empty, and the epoch of the file.

    Args:
        path: The file.
        clock: The clock of the host.
        known: The epoch of the file that this process used before; empty if there was none.

    Raises:
        StoreRefused: The file is not ours, or of another form.
        sqlite3.Error: It cannot be used, or (`SQLITE_BUSY`) not at this moment: no call here or later waits.
    """
    db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        # A power cut may take away the changes since the log was folded in last; the file stays whole.
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA wal_autocheckpoint = {FOLD_AT}")
        db.execute("BEGIN IMMEDIATE")
        epoch = _prepare(db, path, clock, known)
        db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    return db, epoch


def _prepare(db: sqlite3.Connection, path: Path, clock: StoreClock, known: str) -> str:
    now, boot = clock.now(), clock.boot()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (form,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not (application or form or tables):
        for statement in _TABLES:
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
        db.execute(f"PRAGMA user_version = {FORM}")
        db.execute("INSERT INTO file VALUES (?, ?, ?, NULL)", (secrets.token_hex(8), boot, now))
    elif (application, form) != (_APPLICATION, FORM):
        raise StoreRefused(
            f"{path} is not a store of this version of directlane. Next: delete it, or choose another path"
        )
    epoch, old_boot = db.execute("SELECT epoch, boot FROM file").fetchone()
    (latest,) = db.execute("SELECT max(at) FROM saved").fetchone()
    if old_boot != boot or (latest or 0.0) > now:
        _after_boot(db, now, clock.unix(), boot)
    if known and known != epoch:
        # The file that we used is gone, and with it what was spent, at the latest when this one was made.
        db.execute("UPDATE file SET lost_at = born")
    return str(epoch)


def _after_boot(db: sqlite3.Connection, now: float, unix: float, boot: str) -> None:
    """The clock of the host began anew: leases are over, nobody is there, what was spent counts as of now.

    Lists keep their age, as the date tells it.
    """
    db.execute("UPDATE file SET boot = ?, born = ?, lost_at = NULL", (boot, now))
    db.execute("UPDATE lease SET ends = ?", (now,))
    db.execute("DELETE FROM present")
    db.execute("UPDATE spent SET ends = ?", (now,))
    db.execute("UPDATE saved SET at = ? - max(0.0, ? - unix)", (now, unix))
