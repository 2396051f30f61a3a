"""Instances on loopback, and a file that names them: what a sidecar or a deployment tool would write.

The file is the control plane. It is replaced as a whole, by renaming a new one into its place. A file cannot hang or
reset, so these faults have forms of their own; see `FileEmulator.break_control_plane`.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...core.emulation import Fleet, ModelInstance, token_gate
from ...core.interfaces import ControlFault, Emulator, Instance

__all__ = ["FileEmulator"]

EMULATED_TOKEN = "emulated-file-token"  # noqa: S105  # opens nothing but the emulator
_VARIABLE = "EMULATED_FILE_TOKEN"


class FileEmulator(Emulator):
    """Some instances that share a token, and the file that lists them.

    Args:
        instances: How many to start. Default 3.
        token: What the instances demand, as `Authorization: Bearer {token}`. None: nothing.
        processes: Whether each instance is a process of its own. Default: threads.
    """

    def __init__(self, instances: int = 3, *, token: str | None = EMULATED_TOKEN, processes: bool = False) -> None:
        self._count = instances
        self._token = token
        self._weights: dict[str, int | None] = {}
        self._fault = ControlFault.NONE
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()
        self._fleet = Fleet(gate=token_gate(token), processes=processes, prefix="file")

    def start(self) -> None:
        """Start the instances and write the file."""
        self._fleet.start(self._count)
        self._folder = tempfile.TemporaryDirectory(prefix="directlane-file-")
        self._write()

    def stop(self) -> None:
        """Stop the instances and remove the file."""
        self._fleet.stop()
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()

    @property
    def path(self) -> Path:
        """The file.

        Raises:
            RuntimeError: The emulator is not running.
        """
        if self._folder is None:
            raise RuntimeError("the emulator is not running, so there is no file")
        return Path(self._folder.name) / "endpoints.json"

    @property
    def instances(self) -> Sequence[ModelInstance]:
        """The instances that the file names."""
        return self._fleet.listed

    def add_instance(self, *, weight: int | None = None) -> ModelInstance:
        """Start one more and write it into the file."""
        instance = self._fleet.add()
        self._weights[instance.name] = weight
        self._write()
        return instance

    def remove_instance(self, instance: Instance) -> None:
        """As `Emulator.remove_instance`."""
        self._fleet.remove(instance)
        self._write()

    def break_control_plane(self, fault: ControlFault) -> None:
        """Spoil the file.

        404: it is gone. 500 and reset: a folder stands in its place. hang: a pipe that nobody writes into does. The
        others are written into the file.
        """
        self._fault = fault
        self._write()

    def route(self) -> Mapping[str, object]:
        """Settings with the path of the file."""
        route: dict[str, object] = {"provider": "file", "path": str(self.path), "check_every": "200ms"}
        if self._token is not None:
            route["token"] = f"${{{_VARIABLE}}}"
        return route

    @property
    def environment(self) -> Mapping[str, str]:
        """The token that `route` refers to."""
        return {} if self._token is None else {_VARIABLE: self._token}

    def _write(self) -> None:
        with self._lock:
            path = self.path
            if path.is_dir():
                path.rmdir()
            new = path.with_suffix(".new")
            match self._fault:
                case ControlFault.NOT_FOUND:
                    path.unlink(missing_ok=True)
                    return
                case ControlFault.ERROR_500 | ControlFault.RESET:
                    path.unlink(missing_ok=True)
                    path.mkdir()
                    return
                case ControlFault.HANG:
                    os.mkfifo(new)
                case _:
                    new.write_bytes(self._content())
            new.replace(path)

    def _content(self) -> bytes:
        entries = [self._entry(instance) for instance in self._fleet.listed]
        match self._fault:
            case ControlFault.EMPTY:
                return b"[]\n"
            case ControlFault.HTML:
                return b"<html><body>Welcome</body></html>"
            case ControlFault.HALF_JSON:
                whole = json.dumps(entries)
                return whole[: len(whole) // 2].encode()
            case ControlFault.WRONG_TYPES:
                return json.dumps({"endpoints": {"host": ["127.0.0.1"], "port": "many"}}).encode()
            case _:
                return json.dumps(entries, indent=2).encode() + b"\n"

    def _entry(self, instance: ModelInstance) -> dict[str, object]:
        entry: dict[str, object] = {"host": instance.host, "port": instance.port, "labels": {"name": instance.name}}
        weight = self._weights.get(instance.name)
        return entry if weight is None else {**entry, "weight": weight}
