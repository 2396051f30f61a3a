"""A fleet of real processes, what each of them saw, and how much time they took."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self, cast

__all__ = ["Fleet", "most_in_a_window", "until"]

_SUPPORT = Path(__file__).parent


class Fleet:
    """Processes that share a store. Use it as a context manager.

    Args:
        folder: An empty folder of its own.
        plan: What each process does; see `fleet_process`.
    """

    def __init__(self, folder: Path, plan: Mapping[str, object]) -> None:
        self.folder = folder
        self.pids: list[int] = []
        self._path = folder / "plan.json"
        self._path.write_text(json.dumps({**plan, "folder": str(folder)}))
        self._root: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        path = os.pathsep.join([str(_SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])])
        with (self.folder / "stderr.txt").open("w") as complaints:
            self._root = subprocess.Popen(
                [sys.executable, str(_SUPPORT / "fleet_process.py"), str(self._path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                env={**os.environ, "PYTHONPATH": path},
            )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._root is not None
        for pid in self.living:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._root.communicate(timeout=20)

    def start(self, times: int = 1) -> None:
        """Start so many more processes."""
        assert self._root is not None
        assert self._root.stdin is not None
        assert self._root.stdout is not None
        for _ in range(times):
            self._root.stdin.write("start\n")
            self._root.stdin.flush()
            self.pids.append(int(self._root.stdout.readline()))

    @property
    def living(self) -> list[int]:
        """The processes that have not ended."""
        return [pid for pid in self.pids if _state(pid) not in ("", "Z")]

    def signal(self, pid: int, number: int) -> None:
        """Send a signal to one of the processes."""
        assert pid in self.pids
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    def seen(self, number: int) -> list[dict[str, object]]:
        """What the process with this number wrote, in order."""
        path = self.folder / f"{number}.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [cast("dict[str, object]", json.loads(line)) for line in lines]

    @property
    def complaints(self) -> str:
        """What the processes wrote to stderr."""
        return (self.folder / "stderr.txt").read_text()

    def cpu_seconds(self) -> float:
        """How much time of the processor the living processes took."""
        total = 0.0
        for pid in self.living:
            with suppress(OSError, IndexError):
                words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
        return total


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def until(true: Callable[[], bool], limit: float, what: str) -> float:
    """Wait until something is true; how long it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < limit, what
        time.sleep(0.25)
    return time.monotonic() - began


def most_in_a_window(moments: Sequence[float], window: float) -> int:
    """The most of these moments that any window holds."""
    return max((sum(start <= one < start + window for one in moments) for start in moments), default=0)
