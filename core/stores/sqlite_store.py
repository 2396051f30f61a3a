"""A store for the processes of one user on one host: a SQLite file, private to the user.

Every change is one transaction, and the time is read inside it, so all processes see one order of events. The file is
checked before each use: one that was deleted or replaced is noticed, and made anew. What was spent before that is not
known any more, so the new file lets no query go for one window.

Not for network file systems: the write-ahead log of SQLite needs shared memory.
"""

from __future__ import annotations

import hashlib
import os
import random
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self, TypeVar

from ..forks import on_fork
from ..interfaces.discovery import RateBudget
from ..interfaces.store import Lease, Permit, Saved, Store, StoreRefused, StoreUnavailable
from .host_clock import HostClock, StoreClock
from .private_file import default_folder, identities, make_private
from .rules import check_data, check_duration, check_names, merged, wait_for
from .sqlite_file import FOLD_AT, FOLD_SOON, open_file

__all__ = ["SqliteStore"]

T = TypeVar("T")

_PATIENCE = 2.0
"""Seconds to wait for the other processes at most."""

_REST = 1.0
"""Seconds that a fork waits at most for a call that is under way."""

_FIRST_PAUSE = 0.000_1
_LONGEST_PAUSE = 0.000_5
"""Seconds between two looks whether the file is free. A change takes about 0.1 ms."""

_GRACE = 1.0
"""Seconds that what was spent stays in the file after it stopped to count: nothing depends on the last digit."""

_KEPT = 30 * 86400.0
"""Seconds after which a list that nobody renewed, and a lease with its fence, are thrown away."""


class SqliteStore(Store):
    """Mutable state: the connection and what identifies its file; all under `_lock`.

    Args:
        path: The file. It and its folder (but not the folder's folder) are made when they are first needed.
        clock: The clock that all processes share. Default: the host's.
    """

    kind = "sqlite"
    summary = "Among the processes of one user on one host; a private file."
    capabilities: ClassVar[frozenset[str]] = frozenset({"lasting", "processes"})

    def __init__(self, path: Path, clock: StoreClock | None = None) -> None:
        self.path = path
        self._clock = clock if clock is not None else HostClock()
        self._connection: sqlite3.Connection | None = None
        self._files: tuple[tuple[int, int] | None, ...] = ()
        self._epoch = ""
        self._lock = threading.Lock()
        self._of_parent: list[sqlite3.Connection] = []
        self._resting: set[int] = set()
        on_fork(self)

    @classmethod
    def open(cls, place: str, environment: Mapping[str, str]) -> Self:
        if not place:
            return cls(default_folder(environment) / "store.sqlite")
        path = Path(place).expanduser()
        if not path.is_absolute():
            raise ValueError(
                f"{place!r} is not an absolute path; write one, such as 'sqlite:/run/scorecard/store.sqlite'"
            )
        return cls(path)

    @property
    def identity(self) -> Hashable:
        return self.kind, os.path.realpath(self.path)

    def __str__(self) -> str:
        return f"{self.kind}:{self.path}"

    def before_fork(self) -> None:
        """Close the connection, and open none before the fork is over.

        A fork in the middle of a call leaves locks of SQLite closed in the child, for ever. And SQLite in the child
        takes the locks on an open file for its own, which they are not: others would fold the log away under it.
        """
        if self._lock.acquire(timeout=_REST):
            self._resting.add(threading.get_ident())
            self._drop()

    def after_fork_in_parent(self) -> None:
        """The next use opens again."""
        if threading.get_ident() in self._resting:
            self._resting.discard(threading.get_ident())
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """A connection that was open all the same must not be used, nor closed, by a child."""
        self._lock = threading.Lock()
        self._resting = set()
        if self._connection is not None:
            self._of_parent.append(self._connection)
            self._connection = None

    def lease(self, name: str, holder: str, ttl: float) -> Lease | float:
        check_names(name, holder)
        check_duration("ttl", ttl)

        def work(db: sqlite3.Connection, now: float) -> Lease | float:
            row = db.execute("SELECT holder, fence, ends FROM lease WHERE name = ?", (name,)).fetchone()
            owner, fence, ends = row or ("", 0, 0.0)
            if ends > now and owner != holder:
                return float(ends - now)
            if not ends > now:
                fence += 1
            db.execute("INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?)", (name, holder, fence, now + ttl))
            return Lease(name, holder, fence)

        return self._change(work)

    def release(self, lease: Lease) -> None:
        def work(db: sqlite3.Connection, now: float) -> None:
            # The row stays: the next fence must be higher.
            db.execute(
                "UPDATE lease SET holder = '', ends = ? WHERE name = ? AND holder = ? AND fence = ?",
                (now, lease.name, lease.holder, lease.fence),
            )

        self._change(work)

    def attend(self, name: str, holder: str, ttl: float) -> int:
        check_names(name, holder)
        check_duration("ttl", ttl)

        def work(db: sqlite3.Connection, now: float) -> int:
            db.execute("DELETE FROM present WHERE ends <= ?", (now,))
            db.execute("INSERT OR REPLACE INTO present VALUES (?, ?, ?)", (name, holder, now + ttl))
            (count,) = db.execute("SELECT count(*) FROM present WHERE name = ?", (name,)).fetchone()
            return int(count)

        # Nobody waits for this change: a process says it every few seconds, in the background.
        def change_and_fold(db: sqlite3.Connection) -> int:
            db.execute(f"PRAGMA wal_autocheckpoint = {FOLD_SOON}")
            count = self._transaction(db, work)
            db.execute(f"PRAGMA wal_autocheckpoint = {FOLD_AT}")
            return count

        return self._with_file(change_and_fold)

    def take(self, budgets: Sequence[RateBudget], hold: float) -> Permit | float:
        check_duration("hold", hold)
        by_name = merged(budgets)

        def work(db: sqlite3.Connection, now: float) -> Permit | float:
            (lost_at,) = db.execute("SELECT lost_at FROM file").fetchone()
            free_at = None if lost_at is None else lost_at + hold  # a query of then may have been under way
            wait = max((_wait(db, name, group, free_at, now) for name, group in by_name.items()), default=0.0)
            if wait > 0:
                return wait
            permit = Permit(secrets.token_hex(8), tuple(by_name))
            _spend(db, permit, now + hold)
            return permit

        return self._change(work)

    def settle(self, permit: Permit) -> None:
        def work(db: sqlite3.Connection, now: float) -> None:
            _forget(db, permit)
            _spend(db, permit, now)

        self._change(work)

    def cancel(self, permit: Permit) -> None:
        def work(db: sqlite3.Connection, now: float) -> None:
            del now
            _forget(db, permit)

        self._change(work)

    def spent(self, budget: RateBudget) -> int:
        check_names(budget.name)

        def work(db: sqlite3.Connection) -> int:
            since = self._clock.now() - budget.window
            (lost_at,) = db.execute("SELECT lost_at FROM file").fetchone()
            if lost_at is not None and lost_at > since:  # as if all of it had been spent then
                return budget.limit
            counted = db.execute("SELECT count(*) FROM spent WHERE budget = ? AND ends > ?", (budget.name, since))
            return int(counted.fetchone()[0])

        return self._with_file(work)

    def publish(self, lease: Lease, data: bytes) -> bool:
        check_data(data)

        def work(db: sqlite3.Connection, now: float) -> bool:
            row = db.execute("SELECT holder, fence FROM lease WHERE name = ?", (lease.name,)).fetchone()
            if row != (lease.holder, lease.fence):
                return False
            db.execute("DELETE FROM saved WHERE at < ?", (now - _KEPT,))
            db.execute("DELETE FROM lease WHERE ends < ?", (now - _KEPT,))
            db.execute(
                "INSERT OR REPLACE INTO saved VALUES (?, ?, ?, ?, ?)",
                (lease.name, data, f"{secrets.token_hex(8)}.{_digest(data)}", now, self._clock.unix()),
            )
            return True

        return self._change(work)

    def read(self, name: str, *, unless: str = "") -> Saved | None:
        check_names(name)

        def work(db: sqlite3.Connection) -> Saved | None:
            row = db.execute(
                "SELECT data, version, at FROM saved WHERE name = ? AND version <> ?", (name, unless)
            ).fetchone()
            if row is None:
                return None
            data, version, at = row
            if version.rpartition(".")[2] != _digest(data):  # SQLite has no checksums: a bad disk gives bad addresses
                raise sqlite3.DatabaseError("a saved list was changed")
            return Saved(data, version, max(0.0, self._clock.now() - at))

        return self._with_file(work)

    def close(self) -> None:
        with self._lock:
            self._drop()

    # --- the file -----------------------------------------------------------------------------------------------------

    def _change(self, work: Callable[[sqlite3.Connection, float], T]) -> T:
        return self._with_file(lambda db: self._transaction(db, work))

    def _transaction(self, db: sqlite3.Connection, work: Callable[[sqlite3.Connection, float], T]) -> T:
        db.execute("BEGIN IMMEDIATE")
        # Only now: the time of a change is after that of every change before it.
        result = work(db, self._clock.now())
        db.execute("COMMIT")
        return result

    def _with_file(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            try:
                return self._patiently(work)
            except sqlite3.Error as error:
                self._drop()
                raise self._trouble(error) from error
            except OSError as error:
                self._drop()
                raise StoreUnavailable(f"{self.path}: {_reason(error)}") from error
            except BaseException:
                self._drop()  # an open transaction ends with its connection
                raise

    def _patiently(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Wait for the other processes by short sleeps: those of SQLite begin at 1 ms and grow to 100 ms."""
        deadline, pause = time.monotonic() + _PATIENCE, _FIRST_PAUSE
        while True:
            try:
                return work(self._ready())
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                if self._connection is not None and self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            time.sleep(random.uniform(0.5, 1.5) * pause)
            pause = min(pause * 1.1, _LONGEST_PAUSE)

    def _trouble(self, error: sqlite3.Error) -> StoreUnavailable:
        if isinstance(error, sqlite3.OperationalError):  # busy, full, unreadable, gone
            return StoreUnavailable(f"{self.path}: {error}")
        return StoreRefused(f"{self.path} is damaged, or not ours: {error}. Next: delete it")

    def _ready(self) -> sqlite3.Connection:
        if self._connection is not None:
            found = identities(self.path)
            if found != self._files:
                if found[0] == self._files[0]:
                    # Its log is gone, as cleaners of temporary files do it. Who opens the file now does not meet those
                    # who have it open. So all begin with a new one.
                    self.path.unlink(missing_ok=True)
                self._drop()
        if self._connection is None:
            self._connection = self._opened()
        return self._connection

    def _opened(self) -> sqlite3.Connection:
        file = make_private(self.path)
        connection, self._epoch = open_file(self.path, self._clock, self._epoch)
        # The log is there only now. The file may be another one by now: so it counts as what it was before.
        self._files = (file, *identities(self.path)[1:])
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _reason(error: OSError) -> str:
    said = error.strerror or type(error).__name__
    if isinstance(error, FileNotFoundError | PermissionError):
        return f"{said}. Next: look at the folder it stands in, and at XDG_RUNTIME_DIR; or choose another path"
    return said


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def _wait(db: sqlite3.Connection, name: str, group: Sequence[RateBudget], free_at: float | None, now: float) -> float:
    """Every step here holds up all other processes: so the file counts, and hands out one row."""
    (known,) = db.execute("SELECT max(longest) FROM budget WHERE name = ?", (name,)).fetchone()
    longest = max(known or 0.0, *(budget.window for budget in group))
    if longest != known:
        db.execute("INSERT OR REPLACE INTO budget VALUES (?, ?)", (name, longest))
    db.execute("DELETE FROM spent WHERE budget = ? AND ends <= ?", (name, now - longest - _GRACE))
    waits = [wait_for(_from_last(db, name, budget.limit), budget.window, now) for budget in group]
    if free_at is not None:  # as if all of it had been spent then
        waits += [free_at + budget.window - now for budget in group]
    return max(0.0, *waits)


def _from_last(db: sqlite3.Connection, name: str, number: int) -> float | None:
    """When the last query of a budget (1), the one before it (2), and so on ended; None if there are not so many."""
    row = db.execute(
        "SELECT ends FROM spent WHERE budget = ? ORDER BY ends DESC LIMIT 1 OFFSET ?", (name, number - 1)
    ).fetchone()
    return None if row is None else float(row[0])


def _spend(db: sqlite3.Connection, permit: Permit, end: float) -> None:
    rows = [(name, end, permit.id) for name in permit.budgets]
    db.executemany("INSERT OR REPLACE INTO spent VALUES (?, ?, ?)", rows)


def _forget(db: sqlite3.Connection, permit: Permit) -> None:
    rows = [(name, permit.id) for name in permit.budgets]
    db.executemany("DELETE FROM spent WHERE budget = ? AND id = ?", rows)
