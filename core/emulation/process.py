"""An emulated instance in a process of its own: the parent's side.

The process is `instance_process.py`. It is told things by JSON lines on its standard input (the first is its
configuration, so that no secret stands on a command line) and answers each with one JSON line. It ends when that pipe
closes, so it cannot outlive its parent, however the parent ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import cast

from .faults import Fault, fault_to_json
from .instance import ModelInstance
from .model import Rule

__all__ = ["ProcessInstance"]

_MODULE = f"{__package__}.instance_process"
_STOP_SECONDS = 5.0


class ProcessInstance(ModelInstance):
    """An instance in a process of its own. `kill` is SIGKILL.

    Args:
        name: As for `ModelInstance`, like `gate`, `application` and `ledger`.
        host: Address to listen on: on Linux any of 127.0.0.0/8, as another host. Default `127.0.0.1`.
        port: Port to listen on, such as that of one that was killed. Default 0: any free one.
    """

    _process: subprocess.Popen[str] | None = None
    _lock: threading.Lock

    def __init__(
        self,
        name: str,
        *,
        gate: Rule | None = None,
        application: Rule | None = None,
        ledger: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(name, gate=gate, application=application, ledger=ledger)
        self._lock = threading.Lock()
        self._host = host
        self._port = port

    @property
    def host(self) -> str:
        return self._host

    @property
    def port(self) -> int:
        return self._port

    @property
    def pid(self) -> int | None:
        """The process id; None before the start."""
        return self._process.pid if self._process is not None else None

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        if self._process is not None:
            raise RuntimeError(f"instance {self.name} was started before; make a new one")
        configuration = {
            "name": self.name,
            "host": self._host,
            "port": self._port,
            "ledger": str(self._made_ledger()),
            "gate": _as_json(self._gate),
            "application": _as_json(self._application),
        }
        # The child must find the modules that its rules name, wherever the parent found them.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            [sys.executable, "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        with suppress(OSError):  # it is gone already: `wait_ready` says so
            self._write(configuration)

    def wait_ready(self) -> None:
        answer = self._read()
        if answer is None or "port" not in answer:
            reason = answer["error"] if answer else "it ended; its standard error may say why"
            self._end()
            raise RuntimeError(f"instance {self.name} could not start: {reason}")
        self._port = cast("int", answer["port"])

    def set_fault(self, fault: Fault, times: int | None = None) -> None:
        with self._lock:
            try:
                self._write({"fault": fault_to_json(fault), "times": times})
                answer = self._read()
            except (OSError, ValueError):  # ValueError: the pipe was closed by `kill` or `stop`
                answer = None
        if answer is None:
            raise RuntimeError(f"instance {self.name} is not running")

    def kill(self) -> None:
        process = self._process
        if process is not None:
            process.kill()
            process.wait()
            self._close_pipes()

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        self._close_pipes()  # the sign to end
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _close_pipes(self) -> None:
        if self._process is None or self._process.stdin is None or self._process.stdout is None:
            return
        with suppress(BrokenPipeError):  # something was still buffered for a process that is gone
            self._process.stdin.close()
        self._process.stdout.close()

    def _write(self, message: object) -> None:
        if self._process is None or self._process.stdin is None:
            raise RuntimeError(f"instance {self.name} was not started")
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def _read(self) -> dict[str, object] | None:
        if self._process is None or self._process.stdout is None:
            raise RuntimeError(f"instance {self.name} was not started")
        line = self._process.stdout.readline()
        return cast("dict[str, object]", json.loads(line)) if line else None


def _as_json(rule: Rule | None) -> dict[str, object] | None:
    return None if rule is None else {"factory": rule.factory, "settings": dict(rule.settings)}
