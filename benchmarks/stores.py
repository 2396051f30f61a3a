"""What one question to a store costs while eight processes use it: SQLite, Redis, memory (eight threads).

    python benchmarks/stores.py [--seconds N] [--only KIND] [--write]

Every process does what a client does: it renews or asks for the lease, says that it is there, takes and settles a
query, and looks for a newer list; the one with the lease publishes. The budget holds 2,000 queries, as that of a
ModelArts tenant does, and is never used up, so that every take writes. **paced**: 25 rounds a second in each process:
that is a hundred times what discovery does. **flat out**: without a pause, so that each change waits for the seven
others. The bar: 99 of 100 takes from a budget in a SQLite store last less than 2 ms while it is used at that pace.

Each round on SQLite also does two transactions in another file, by bare SQL: an empty one, and one that writes a row.
They tell what the machine itself gives eight processes at that moment. `--write` puts the tables into
docs/how-to/many-processes.md. Redis needs a `redis-server`; it is started on loopback.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import ParamSpec, Protocol, TypeVar

from directlane.core.interfaces.discovery import RateBudget
from directlane.core.interfaces.store import Lease, Permit, Store
from directlane.core.stores.memory_store import MemoryStore
from directlane.core.stores.redis_store import RedisStore
from directlane.core.stores.sqlite_store import SqliteStore

PAGE = Path(__file__).resolve().parent.parent / "docs" / "how-to" / "many-processes.md"
BEGIN, END = "<!-- figures: made by benchmarks/stores.py --write -->", "<!-- end of figures -->"

WORKERS = 8
PACE = 25
BAR_MS = 2.0
BUDGET = RateBudget("user", 2000, 1.0)
LIST = b"x" * 2000

Times = dict[str, list[float]]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Barrier(Protocol):
    """Lets nobody go on before all are there."""

    def wait(self) -> int:
        """Wait for the others."""
        ...


class Bare:
    """SQLite without a store: what a transaction costs among these processes. Waits as the store does."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=10, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, n INTEGER)")
        self._db.execute("INSERT OR IGNORE INTO t VALUES (1, 0)")
        self._db.execute("PRAGMA busy_timeout = 0")

    def empty(self) -> None:
        """A transaction that does nothing."""
        self._begin()
        self._db.execute("COMMIT")

    def row(self) -> None:
        """A transaction that writes one row."""
        self._begin()
        self._db.execute("UPDATE t SET n = n + 1")
        self._db.execute("COMMIT")

    def _begin(self) -> None:
        while True:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
            time.sleep(0.000_1)


def rounds(store: Store, name: str, seconds: float, pause: float, together: Barrier, bare: Bare | None = None) -> Times:
    """Use the store for so long; how long each method took, in seconds."""
    words = ("lease", "attend", "take", "settle", "read", "publish", "empty", "row")
    times: Times = {word: [] for word in words}
    chance = Random(name)
    known = ""

    def timed(method: Callable[_P, _T], *arguments: _P.args, **options: _P.kwargs) -> _T:
        start = time.perf_counter()
        result = method(*arguments, **options)
        times[method.__name__].append(time.perf_counter() - start)
        return result

    store.attend("q", name, 60)
    together.wait()
    time.sleep(chance.random() * pause)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        lease = timed(store.lease, "q", name, 0.5)
        timed(store.attend, "q", name, 60)
        permit = timed(store.take, [BUDGET], 5)
        if isinstance(permit, Permit):
            timed(store.settle, permit)
        if isinstance(lease, Lease):
            timed(store.publish, lease, LIST)
        saved = store.read("q", unless=known)
        known = saved.version if saved is not None else known
        timed(store.read, "q", unless=known)
        if bare is not None:
            timed(bare.empty)
            timed(bare.row)
        if pause:
            time.sleep(max(0.0, start + pause * chance.uniform(0.5, 1.5) - time.perf_counter()))
    return times


def opened(kind: str, place: str) -> Store:
    """The store in a new process."""
    return SqliteStore(Path(place)) if kind == "sqlite" else RedisStore.open(place, {})


def worker(kind: str, place: str, name: str, seconds: float, pause: float, together: Barrier, pipe: object) -> None:
    """One process."""
    store = opened(kind, place)
    bare = Bare(Path(place).parent.parent / "bare.sqlite") if kind == "sqlite" else None
    pipe.send(rounds(store, name, seconds, pause, together, bare))  # type: ignore[attr-defined]
    store.close()


def in_processes(kind: str, place: str, seconds: float, pause: float) -> Times:
    """What eight processes measured, together."""
    context = multiprocessing.get_context("forkserver")  # imports once for all
    context.set_forkserver_preload([SqliteStore.__module__, RedisStore.__module__])
    together = context.Barrier(WORKERS)
    pairs = [context.Pipe(duplex=False) for _ in range(WORKERS)]
    processes = [
        context.Process(target=worker, args=(kind, place, f"w{number}", seconds, pause, together, sender))
        for number, (_, sender) in enumerate(pairs)
    ]
    for process, (_, sender) in zip(processes, pairs, strict=True):
        process.start()
        sender.close()  # so that the end of a worker is noticed
    found = merged([receiver.recv() for receiver, _ in pairs])
    for process in processes:
        process.join()
    return found


def in_threads(seconds: float, pause: float) -> Times:
    """What eight threads measured on one memory store."""
    store, found, together = MemoryStore(), list[Times](), threading.Barrier(WORKERS)
    threads = [
        threading.Thread(target=lambda name=f"w{number}": found.append(rounds(store, name, seconds, pause, together)))
        for number in range(WORKERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return merged(found)


def merged(parts: Sequence[Times]) -> Times:
    """All measurements, in rising order."""
    return {word: sorted(value for part in parts for value in part[word]) for word in parts[0]}


@contextmanager
def redis_server() -> Iterator[str]:
    """The URL of a server of our own; empty if there is none to start."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        yield ""
        return
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    words = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if b"Ready to accept" in line:
                break
        yield f"redis://127.0.0.1:{port}/0"
        process.terminate()


def row(kind: str, load: str, times: Times, seconds: float) -> str:
    """One line of the table, in milliseconds."""
    changes = sorted(value for word in ("lease", "attend", "take", "settle") for value in times[word])
    total = sum(len(values) for word, values in times.items() if word not in ("empty", "row"))
    take, read = times["take"], times["read"]
    cells = [at(take, 0.5), at(take, 0.99), take[-1], at(changes, 0.99), at(read, 0.5), at(read, 0.99)]
    numbers = " | ".join(f"{cell * 1e3:.2f}" for cell in cells)
    return f"| {kind} | {load} | {total / seconds:,.0f} | {numbers} |"


def beside(load: str, times: Times) -> list[str]:
    """Takes, and bare transactions of the same processes: lines of the second table."""
    base = at(times["empty"], 0.99)
    lines: list[str] = []
    for word, what in (("take", "take from a budget"), ("row", "bare SQL, one row"), ("empty", "bare SQL, empty")):
        low, high = at(times[word], 0.5), at(times[word], 0.99)
        lines.append(f"| {what} | {load} | {low * 1e3:.2f} | {high * 1e3:.2f} | {high / base:.1f} |")
    return lines


def at(values: Sequence[float], share: float) -> float:
    """The value below which this share of all lies."""
    return values[min(len(values) - 1, int(len(values) * share))]


def main() -> None:
    """Measure, print, and write if wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each line (default 5)")
    parser.add_argument("--only", choices=["memory", "sqlite", "redis"])
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    options = parser.parse_args()
    lines = [
        "| store | load | questions/s | take, p50 ms | p99 | max | any change, p99 | read, p50 ms | p99 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    more = ["| on SQLite, side by side | load | p50 ms | p99 | times the empty one |", "|---|---|---|---|---|"]
    before = os.getloadavg()[0]
    print("\n".join(lines))
    for kind in [options.only] if options.only else ["memory", "sqlite", "redis"]:
        for load, pause in (("paced", 1 / PACE), ("flat out", 0.0)):
            with tempfile.TemporaryDirectory() as folder, redis_server() as url:
                if kind == "redis" and not url:
                    continue
                place = url if kind == "redis" else f"{folder}/run/store.sqlite"
                times = (
                    in_threads(options.seconds, pause)
                    if kind == "memory"
                    else in_processes(kind, place, options.seconds, pause)
                )
            lines.append(row(kind, load, times, options.seconds))
            print(lines[-1], flush=True)
            if kind == "sqlite":
                more += beside(load, times)
    print("\n".join(["", *more]))
    if options.write:
        write(lines, more, before)


def verdict(lines: Sequence[str], load: str) -> str:
    """Whether the bar is met, as the table says."""
    line = next(line for line in lines if line.startswith(f"| sqlite | {load} |"))
    return "met" if float(line.split("|")[5]) < BAR_MS else "**missed**"


def write(lines: Sequence[str], more: Sequence[str], load: float) -> None:
    """Put the tables in their place.

    Args:
        lines: The table of all stores.
        more: The table of SQLite beside bare SQL.
        load: The load average of the machine before all this.

    Raises:
        ValueError: The page has no place for it.
    """
    before, begin, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no place for figures: {BEGIN!r} and {END!r}")
    about = (
        f"Measured with Python {platform.python_version()} and SQLite {sqlite3.sqlite_version} on {platform.system()}, "
        f"a virtual machine with {os.cpu_count()} processors and a load average of {load:.1f} before we began: "
        f"{WORKERS} processes (memory: threads) on one store, its file among the temporary files. Each asks for the "
        "lease, says that it is there, takes, settles and reads. Paced: "
        f"{PACE} rounds a second in each, a hundred times what discovery does. Flat out: without a pause; then "
        f"{WORKERS} processes want all processors all the time, and the upper figures are waits for one of them. Our "
        f"bar, {BAR_MS:g} ms for 99 of 100 takes from a budget in SQLite: paced {verdict(lines, 'paced')}, flat out "
        f"{verdict(lines, 'flat out')} in this run."
    )
    note = (
        "The same processes, in the same rounds, also did transactions of bare SQL (`BEGIN IMMEDIATE; COMMIT`) in "
        "another file of the same folder. They show what the machine gives to any transaction:"
    )
    text = "\n\n".join([about, "\n".join(lines), note, "\n".join(more)])
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
