"""What a call costs: directlane, well-known clients, the vendor's SDK and bare sockets, side by side on one upstream.

    pip install -e '.[bench]'
    python benchmarks/calls.py [--quick] [--only PATTERN] [--json] [--write]

The upstream (`upstream.py`) and every contender (`contenders.py`, `contenders_async.py`) are processes of their own.
The contenders run one after the other and round after round (A B C, A B C, ...), so whatever else the machine does hits
all of them, and each ratio is the median of ratios of the same round. CPU is user and system time of the caller's
process alone, background threads included. Processors are kept awake (`awake.py`), and one caller stays on one of them,
together with the upstream. How busy the upstream was is told with each table: near 100 % it, and not the caller, set
the rate.
Nothing is asserted: the numbers are the machine's, the ratios matter. `--write` puts tables and charts into the docs.

The SDK needs an environment of its own: `python tools/vendor_envs.py eas` makes it. Contenders whose package is not
there are left out, and named.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from figures import Figures, as_data, bars_of, show, show_bars
from ladder import ladders
from pages import write
from process import ChildFailedError, Process
from tables import TABLES, Entry, Table

HERE = Path(__file__).resolve().parent
SDK_PYTHON = HERE.parent / ".vendor" / "eas" / "bin" / "python"
SDK = "eas-prediction"
NEEDS = {"urllib3": "urllib3", "httpx2": "httpx2", "aiohttp": "aiohttp"}
"""What the names of contenders begin with, and the package that they need."""


def missing() -> list[str]:
    """What is left out, and how to get it."""
    left_out = [f"{name} (`pip install -e '.[bench]'`)" for name in NEEDS if not has(NEEDS[name])]
    if not has("uvloop"):
        left_out.append("uvloop (`pip install -e '.[bench]'`); the upstream is slower without it")
    if not SDK_PYTHON.exists():
        left_out.append(f"{SDK} (`python tools/vendor_envs.py eas`)")
    return left_out


def has(package: str) -> bool:
    """Whether a package is installed."""
    return importlib.util.find_spec(package) is not None


def is_there(entry: Entry) -> bool:
    """Whether a contender can run here."""
    if entry.contender.startswith(SDK):
        return SDK_PYTHON.exists()
    if entry.loop == "uvloop" and not has("uvloop"):
        return False
    return all(has(package) for name, package in NEEDS.items() if entry.contender.startswith(name))


class Field:
    """The upstream, and the workers that the table at hand needs."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._upstream = stack.enter_context(Process([sys.executable, HERE / "upstream.py"]))
        self._ports: list[int] = self._upstream.answer()["ports"]
        self._workers: dict[Entry, Process] = {}
        self.failures: list[str] = []
        self._processors = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        if hasattr(os, "SCHED_IDLE"):
            for number in self._processors:
                stack.enter_context(Process([sys.executable, HERE / "awake.py"], str(number)))
        stack.callback(self._keep, ())

    def _keep(self, entries: Sequence[Entry]) -> None:
        for entry in [each for each in self._workers if each not in entries]:
            self._workers.pop(entry).close()

    def _gather(self, entries: Sequence[Entry]) -> None:
        """Have a worker for each of these, and no others."""
        self._keep(entries)
        new = [entry for entry in entries if entry not in self._workers]
        for entry in new:
            is_sdk = entry.contender.startswith(SDK)
            command = [SDK_PYTHON, "-W", "ignore::FutureWarning"] if is_sdk else [sys.executable]
            worker = self._workers[entry] = Process([*command, HERE / "worker.py"])
            worker.tell(
                {
                    "contender": entry.contender,
                    "load": entry.load,
                    "loop": entry.loop,
                    "ports": self._ports[: entry.endpoints],
                }
            )
        for entry in new:
            try:
                self._workers[entry].answer()
            except ChildFailedError as error:
                self._fail(entry, error)

    def _fail(self, entry: Entry, error: ChildFailedError) -> None:
        """Go on without a contender that failed, and say so at the end."""
        self.failures.append(f"{entry.label} ({entry.load}, {entry.endpoints} endpoints) failed: {error}")
        self._workers.pop(entry).close()

    def _upstream_cpu(self) -> float:
        self._upstream.tell({})
        return float(self._upstream.answer()["cpu"])

    def measure(self, table: Table, rounds: int, seconds: float) -> dict[Entry, Figures]:
        """Run the rounds of one table. A first round warms up and does not count."""
        entries = [entry for entry in table.entries if is_there(entry)]
        self._gather(entries)
        # One caller and the upstream never run at the same time: on one processor they do not have to wake another one,
        # which costs more than a call, and is the machine's. Many callers go where the system puts them.
        processors = self._processors[:1] if table.parallel == 1 else self._processors
        self._upstream.pin(processors)
        for worker in self._workers.values():
            worker.pin(processors)
        figures = {entry: Figures() for entry in entries if entry in self._workers}
        for number in range(rounds + 1):
            for entry in list(figures):
                before = self._upstream_cpu()
                self._workers[entry].tell({"seconds": seconds, "parallel": table.parallel})
                try:
                    took = self._workers[entry].answer()
                except ChildFailedError as error:
                    self._fail(entry, error)
                    del figures[entry]
                    continue
                if number:
                    figures[entry].add(took, self._upstream_cpu() - before)
        return figures


def main() -> None:
    """Run the tables and print them."""
    parser = argparse.ArgumentParser(description="What a call costs, side by side.")
    parser.add_argument("--quick", action="store_true", help="about a minute, and rough numbers")
    parser.add_argument("--only", metavar="PATTERN", default="", help="only tables whose name has this in it")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of each table (default: 9, quick: 3)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--write", action="store_true", help="write tables and charts into docs/ (needs all tables)")
    options = parser.parse_args()
    if options.write and options.only:
        parser.error("--write needs all tables: leave --only out")
    rounds, seconds = (3, 0.1) if options.quick else (9, 0.15)
    rounds = options.rounds or rounds
    left_out = missing()
    if left_out and not options.json:
        print("left out: " + "; ".join(left_out))
    chosen = [table for table in TABLES if options.only in table.name]
    if not chosen:
        parser.error(
            f"no table has {options.only!r} in its name; there are {', '.join(table.name for table in TABLES)}"
        )
    data: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        field = Field(stack)
        for table in chosen:
            data[table.name] = as_data(table, field.measure(table, rounds, seconds))
            if not options.json:
                show(data[table.name], rounds)
    left_out += field.failures
    if field.failures and not options.json:
        print("\n" + "\n".join(field.failures))
    bars = bars_of(data)
    found = {"rounds": rounds, "seconds": seconds, "left_out": left_out, "tables": data, "bars": bars}
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        show_bars(bars)
    if options.write:
        write(found, ladders(quick=options.quick))


if __name__ == "__main__":
    main()
