"""Instances that speak other protocols than HTTP, each a process of its own that can be killed."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Instance", "Instances", "instances_of"]

_PROGRAMS = Path(__file__).resolve().parent.parent / "lease"


@dataclass(frozen=True)
class Instance:
    """One process.

    Args:
        process: It.
        port: Where it listens.
        ledger: What it ran, one request on a line; outlives it.
    """

    process: subprocess.Popen[str]
    port: int
    ledger: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """End it without a word to anybody."""
        self.process.kill()
        self.process.wait()


@dataclass(frozen=True)
class Instances:
    """Some processes, and the configuration of a service that is made of them."""

    members: list[Instance]

    def __getitem__(self, number: int) -> Instance:
        return self.members[number]

    def data(self, **service: object) -> dict[str, Any]:
        """A configuration with one service `svc`."""
        addresses = [f"http://127.0.0.1:{instance.port}" for instance in self.members]
        route = {"provider": "static", "addresses": addresses, "name": "main"}
        # A second to connect is short on a busy machine; a port where nobody listens refuses at once all the same.
        return {"services": {"svc": {"routes": [route], "connect_timeout": "20s", **service}}}

    def runs(self) -> Counter[str]:
        """How many times each request was run, over all instances, dead ones included."""
        return Counter(line for instance in self.members for line in instance.ledger.read_text().splitlines())


@contextmanager
def instances_of(program: str, count: int, folder: Path) -> Generator[Instances, None, None]:
    """Start this many processes of a program in tests/lease."""
    members: list[Instance] = []
    started: list[subprocess.Popen[str]] = []
    try:
        for number in range(count):
            ledger = folder / f"ledger-{number}"
            ledger.touch()
            command = [sys.executable, str(_PROGRAMS / program), str(ledger)]
            started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        for number, process in enumerate(started):
            assert process.stdout is not None
            members.append(Instance(process, int(process.stdout.readline()), folder / f"ledger-{number}"))
        yield Instances(members)
    finally:
        for process in started:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
