"""A child of the benchmark that is talked to by lines."""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["ChildFailedError", "Process"]

PATIENCE = 60.0
"""Seconds that a process may take to answer: more is a defect, and ends the benchmark."""


class ChildFailedError(Exception):
    """A child ended, hung, or told an error."""


class Process:
    """A child that answers a JSON line with a JSON line, and ends when its standard input closes."""

    def __init__(self, command: Sequence[str | Path], *arguments: str) -> None:
        # Proxies and the vendor's switches for pods must not change what is measured.
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("NAMESPACE", "POD_NAME") and not name.lower().endswith("_proxy")
        }
        self._script = Path(command[-1]).name
        self._process = subprocess.Popen(
            [*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=0
        )

    def pin(self, processors: Iterable[int]) -> None:
        """Run on these processors only, threads that are begun from now on included. Does nothing where it cannot."""
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self._process.pid, processors)

    def tell(self, message: object) -> None:
        """Send one line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    def answer(self) -> dict[str, Any]:
        """The next line.

        Raises:
            ChildFailedError: There is none, or it tells an error.
        """
        assert self._process.stdout is not None
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
            piece = self._process.stdout.read(1 << 20) if ready else b""
            if not piece:
                raise ChildFailedError(f"{self._script}: {'it ended' if ready else f'no answer in {PATIENCE:g} s'}")
            line += piece
            # The SDK writes its log to standard output; the answer is the last line, and an object.
            if line.endswith(b"\n") and not line.splitlines()[-1].startswith(b"{"):
                line = b""
        told: dict[str, Any] = json.loads(line.splitlines()[-1])
        if "error" in told:
            raise ChildFailedError(f"{self._script}: {told['error']}")
        return told

    def close(self) -> None:
        """Let it end; make it end if it does not."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
