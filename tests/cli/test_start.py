"""How the command begins and ends as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_lab import MODULE, begun

from directlane import __version__


def python(code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("package", ["click", "rich", "h11"])
def test_a_missing_package_is_told_in_one_line(package: str) -> None:
    result = python(f"import sys; sys.modules[{package!r}] = None; from directlane.core.cli import main; main()")
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert "pip install 'directlane[cli]'" in result.stderr


def test_importing_the_package_needs_none_of_them() -> None:
    names = ("click", "rich", "h11")
    blocks = "; ".join(f"sys.modules[{name!r}] = None" for name in names)
    assert python(f"import sys; {blocks}; import directlane.core.cli").returncode == 0


def test_as_a_module(tmp_path: Path) -> None:
    with begun("--version", folder=tmp_path) as process:
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, f"directlane {__version__}\n")


def test_a_reader_who_has_enough_is_no_error(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    read, write = os.pipe()
    os.close(read)
    try:
        result = subprocess.run(
            [*MODULE, "schema"], env=environment, stdout=write, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(write)
    assert result.stderr == ""


def test_a_terminal_without_utf_8_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('[[services.s.routes]]\nprovider = "static"\naddresses = ["http://127.0.0.1:9"]\n')
    with begun("check", "-c", "x.toml", folder=tmp_path, PYTHONIOENCODING="ascii") as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "x.toml: 1 service" in out
