"""Instances on loopback, and a file that names them: what a sidecar or a deployment tool would write.

The file is the control plane. It is replaced as a whole, by renaming a new one into its place. A file cannot hang or
reset, so these faults have forms of their own; see `FileEmulator.break_control_plane`.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from ...core.emulation import ModelInstance
from ...core.emulation.plain_servers import EMULATED_TOKEN, PlainServersEmulator
from ...core.interfaces import ControlFault

__all__ = ["FileEmulator"]


class FileEmulator(PlainServersEmulator):
    """Instances, and the file that lists them."""

    kind: ClassVar[str] = "file"

    def __init__(self, instances: int = 3, *, token: str | None = EMULATED_TOKEN, processes: bool = False) -> None:
        super().__init__(instances, token=token, processes=processes)
        self._fault = ControlFault.NONE
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the instances and write the file."""
        self._folder = tempfile.TemporaryDirectory(prefix="directlane-file-")
        super().start()

    def stop(self) -> None:
        """Stop the instances and remove the file."""
        super().stop()
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

    def break_control_plane(self, fault: ControlFault) -> None:
        """Spoil the file.

        404: it is gone. 500 and reset: a folder stands in its place. hang: a pipe that nobody writes into does. The
        others are written into the file.
        """
        self._fault = fault
        self.publish()

    def route(self) -> Mapping[str, object]:
        """Settings with the path of the file."""
        return self.route_with(path=str(self.path), check_every="200ms")

    def publish(self) -> None:
        """Write the file."""
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
        entries = [self._entry(instance) for instance in self.instances]
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
        weight = self.weight_of(instance)
        return entry if weight is None else {**entry, "weight": weight}
