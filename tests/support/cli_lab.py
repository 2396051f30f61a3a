"""Runs commands, in this process or in one of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from directlane.core.cli.app import app
from directlane.core.cli.clouds import Cloud
from directlane.core.emulation import ModelInstance

__all__ = ["MODULE", "Lab", "begun", "children_of", "is_there", "needs_proc", "run"]

MODULE = (sys.executable, "-m", "directlane.core.cli")


@dataclass(frozen=True, slots=True)
class Lab:
    """A running cloud with a configuration file for it."""

    cloud: Cloud
    file: Path
    environment: dict[str, str]

    @property
    def instances(self) -> list[ModelInstance]:
        return [each for each in self.cloud.emulator.instances if isinstance(each, ModelInstance)]

    def run(self, *arguments: str, data: bytes | None = None, **variables: str) -> Result:
        return run(*arguments, data=data, **{**self.environment, **variables})


def run(*arguments: str, data: bytes | None = None, **variables: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, list(arguments), input=data, env={"COLUMNS": "120", **variables})


def begun(*arguments: str, folder: Path, **variables: str) -> subprocess.Popen[str]:
    """Begin a command in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    return subprocess.Popen(
        [*MODULE, *arguments],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for child processes in /proc")


def children_of(pid: int) -> list[int]:
    """The child processes of all threads of a process."""
    tasks = Path(f"/proc/{pid}/task")
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]


def is_there(pid: int) -> bool:
    """Whether there is a process with this id."""
    return Path(f"/proc/{pid}").exists()
