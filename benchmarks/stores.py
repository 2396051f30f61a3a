"""What one question to a store costs while eight processes use it: SQLite, Redis, memory (eight threads).

    python benchmarks/stores.py [--seconds N] [--only KIND] [--write]

Every process does what a client does: it renews or asks for the lease, says that it is there, takes and settles a
query, and looks for a newer list; the one with the lease publishes. **paced**: 25 rounds a second in each process: that
is a hundred times what discovery does. **flat out**: without a pause, so that each change waits for the seven
others. The bar: 99 of 100 changes of a SQLite store take less than 2 ms while it is used at that pace. `--write` puts
the table into docs/how-to/many-processes.md. Redis needs a `redis-server`; it is started on loopback.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import ParamSpec, TypeVar

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
BUDGET = RateBudget("user", 1_000_000, 1.0)
LIST = b"x" * 2000

Times = dict[str, list[float]]

_P = ParamSpec("_P")
_T = TypeVar("_T")


def rounds(store: Store, name: str, seconds: float, pause: float) -> Times:
    """Use the store for so long; how long each method took, in seconds."""
    times: Times = {"lease": [], "attend": [], "take": [], "settle": [], "read": [], "publish": []}
    chance = Random(name)
    known = ""

    def timed(method: Callable[_P, _T], *arguments: _P.args, **options: _P.kwargs) -> _T:
        start = time.perf_counter()
        result = method(*arguments, **options)
        times[method.__name__].append(time.perf_counter() - start)
        return result

    store.attend("q", name, 60)
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
        if pause:
            time.sleep(max(0.0, start + pause * chance.uniform(0.5, 1.5) - time.perf_counter()))
    return times


def opened(kind: str, place: str) -> Store:
    """The store in a new process."""
    return SqliteStore(Path(place)) if kind == "sqlite" else RedisStore.open(place, {})


def worker(kind: str, place: str, name: str, seconds: float, pause: float, pipe: object) -> None:
    """One process."""
    store = opened(kind, place)
    pipe.send(rounds(store, name, seconds, pause))  # type: ignore[attr-defined]
    store.close()


def in_processes(kind: str, place: str, seconds: float, pause: float) -> Times:
    """What eight processes measured, together."""
    context = multiprocessing.get_context("spawn")
    pairs = [context.Pipe(duplex=False) for _ in range(WORKERS)]
    processes = [
        context.Process(target=worker, args=(kind, place, f"w{number}", seconds, pause, sender))
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
    store, found = MemoryStore(), list[Times]()
    threads = [
        threading.Thread(target=lambda name=f"w{number}": found.append(rounds(store, name, seconds, pause)))
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
    total = sum(len(values) for values in times.values())
    cells = [at(changes, 0.5), at(changes, 0.99), changes[-1], at(times["read"], 0.5), at(times["read"], 0.99)]
    numbers = " | ".join(f"{cell * 1e3:.2f}" for cell in cells)
    return f"| {kind} | {load} | {total / seconds:,.0f} | {numbers} |"


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
        "| store | load | questions/s | change, p50 ms | p99 | max | read, p50 ms | p99 |",
        "|---|---|---|---|---|---|---|---|",
    ]
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
    if options.write:
        write(lines)


def is_met(lines: Sequence[str]) -> bool:
    """Whether the bar is met, as the table says."""
    paced = next(line for line in lines if line.startswith("| sqlite | paced |"))
    return float(paced.split("|")[5]) < BAR_MS


def write(lines: Sequence[str]) -> None:
    """Put the table in its place.

    Raises:
        ValueError: The page has no place for it.
    """
    before, begin, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no place for figures: {BEGIN!r} and {END!r}")
    about = (
        f"Measured with Python {platform.python_version()} on {platform.system()}, a virtual machine with "
        f"{os.cpu_count()} processors: {WORKERS} processes (memory: threads) on one store. Paced: {PACE} rounds a "
        "second in each, a hundred times what discovery does. Flat out: without a pause. The load average of the "
        f"machine was {os.getloadavg()[0]:.0f}, other programs included, so the upper figures hold waits for a "
        f"processor. Our bar, {BAR_MS:g} ms for 99 of 100 changes of a SQLite store at that pace, was "
        f"{'met' if is_met(lines) else '**missed**'} in this run."
    )
    table = "\n".join(lines)
    PAGE.write_text(f"{before}{BEGIN}\n\n{about}\n\n{table}\n\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
