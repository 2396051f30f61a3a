"""An emulated instance: a real server that runs a `Model`, can be told to misbehave, and can be killed.

One interface, two ways to run it: `ThreadInstance` here (a thread of this process: quick to start), `ProcessInstance`
in `process.py` (a process of its own, which SIGKILL really ends).

    instance = ThreadInstance("instance-1", gate=Rule("acme.emulator:make_gate", {"token": "..."}))
    instance.start()
    instance.set_fault(Status(503), times=2)
    instance.url, instance.requests, instance.ledger()
    instance.kill()     # a crash; the ledger is still there
    instance.stop()     # the end; harmless after kill
"""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from ..endpoint import authority
from .faults import Fault
from .model import NO_ID, Model, Rule
from .server import LoopbackServer

__all__ = ["ModelInstance", "ThreadInstance", "open_ledger", "start_together"]


class ModelInstance(ABC):
    """One emulated instance. Fulfils `core.interfaces.Instance`; also a context manager.

    Args:
        name: Stands in every answer.
        gate: Makes the gate (authentication, known paths). Default: all requests come in.
        application: Makes the application. Default: the echo.
        ledger: Where to write what was run. Default: a file of its own, removed by `stop` (what it said is kept).
    """

    def __init__(
        self, name: str, *, gate: Rule | None = None, application: Rule | None = None, ledger: Path | None = None
    ) -> None:
        self.name = name
        self._gate = gate
        self._application = application
        self._owns_ledger = ledger is None
        self._ledger_path = ledger
        self._last_lines: list[str] = []

    @property
    @abstractmethod
    def host(self) -> str:
        """Address it listens on."""

    @property
    @abstractmethod
    def port(self) -> int:
        """Port it listens on; 0 before the start. Kept after the end, so that a call to it finds nobody."""

    @property
    @abstractmethod
    def is_alive(self) -> bool:
        """Whether it serves: started, not killed, not stopped."""

    @abstractmethod
    def launch(self) -> None:
        """Begin to start, without waiting. Once only."""

    @abstractmethod
    def wait_ready(self) -> None:
        """Wait until it accepts connections.

        Raises:
            RuntimeError: It could not start.
        """

    @abstractmethod
    def set_fault(self, fault: Fault, times: int | None = None) -> None:
        """Misbehave from now on, or for the next `times` requests that pass the gate. `NONE` mends it.

        Returns when it holds.
        """

    @abstractmethod
    def kill(self) -> None:
        """End it at once, as a crash does. What it has run is still in the ledger. Harmless when called again."""

    @abstractmethod
    def _end(self) -> None:
        """End it in good order."""

    @property
    def url(self) -> str:
        """`http://host:port`."""
        return f"http://{authority(self.host, self.port)}"

    @property
    def requests(self) -> int:
        """How many requests it has run."""
        return len(self._lines())

    def ledger(self) -> list[str]:
        """The ids (`X-Request-Id`) of the requests it has run, in order; requests without id are left out."""
        return [line for line in self._lines() if line != NO_ID]

    def start(self) -> None:
        """Start; returns when connections are accepted."""
        self.launch()
        self.wait_ready()

    def stop(self) -> None:
        """End it in good order and tidy up. Harmless when called again, and after `kill`."""
        self._end()
        self._last_lines = self._lines()
        if self._owns_ledger and self._ledger_path is not None:
            self._ledger_path.unlink(missing_ok=True)
            self._ledger_path = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.url}, {'alive' if self.is_alive else 'not running'}>"

    def _made_ledger(self) -> Path:
        """The ledger's path; makes the file if it is ours."""
        if self._ledger_path is None:
            descriptor, path = tempfile.mkstemp(prefix="directlane-ledger-", text=True)
            os.close(descriptor)
            self._ledger_path = Path(path)
        return self._ledger_path

    def _lines(self) -> list[str]:
        if self._ledger_path is None:
            return self._last_lines
        try:
            text = self._ledger_path.read_text("latin-1")
        except FileNotFoundError:
            return self._last_lines
        return text.split("\n")[:-1]


class ThreadInstance(ModelInstance):
    """An instance in a thread of this process."""

    _server: LoopbackServer | None = None
    _model: Model
    _descriptor = -1
    _was_ended = False

    @property
    def host(self) -> str:
        return "127.0.0.1"

    @property
    def port(self) -> int:
        return self._server.port if self._server is not None else 0

    @property
    def is_alive(self) -> bool:
        return self._server is not None and self._server.is_running

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return self._server.open_connections if self._server is not None else 0

    @property
    def accepted_connections(self) -> int:
        """How many connections were ever accepted."""
        return self._server.accepted_connections if self._server is not None else 0

    def launch(self) -> None:
        if self._server is not None:
            raise RuntimeError(f"instance {self.name} was started before; make a new one")
        gate = self._gate.gate() if self._gate is not None else None
        application = self._application.application() if self._application is not None else None
        self._descriptor = open_ledger(self._made_ledger())
        self._model = Model(self.name, self._descriptor, gate=gate, application=application)
        self._server = LoopbackServer(self._model, self.host)
        self._server.start()

    def wait_ready(self) -> None:
        pass  # `launch` is quick enough to wait

    def set_fault(self, fault: Fault, times: int | None = None) -> None:
        if not self.is_alive:
            raise RuntimeError(f"instance {self.name} is not running")
        self._model.set_fault(fault, times)

    def kill(self) -> None:
        self._end()

    def _end(self) -> None:
        if self._server is None or self._was_ended:
            return
        self._was_ended = True
        self._server.stop()
        os.close(self._descriptor)


def open_ledger(path: Path) -> int:
    """A file descriptor for a `Model`: each write goes to the end, in one piece."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def start_together(instances: Iterable[ModelInstance]) -> None:
    """Start instances side by side: several processes need hardly longer than one."""
    launched: list[ModelInstance] = []
    for instance in instances:
        instance.launch()
        launched.append(instance)
    for instance in launched:
        instance.wait_ready()
