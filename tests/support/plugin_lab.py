"""Plug-ins' distributions, installed without an installer: pip would need the index, and much more time."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import cast

__all__ = ["environment_with", "install", "run_python"]


def install(project: Path, site: Path) -> None:
    """Write what `pip install --no-deps -e PROJECT` writes: the metadata with the entry points.

    Args:
        project: A folder with a `pyproject.toml` and `src`.
        site: A folder that is to be searched for modules, beside `src`.
    """
    about = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    name, version = cast("str", about["name"]), cast("str", about["version"])
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")
    groups = cast("Mapping[str, Mapping[str, str]]", about["entry-points"])
    lines = [line for group, points in groups.items() for line in (f"[{group}]", *_pairs(points))]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", "utf-8")


def _pairs(points: Mapping[str, str]) -> list[str]:
    return [f"{name} = {value}" for name, value in points.items()]


def environment_with(project: Path, site: Path) -> dict[str, str]:
    """The environment of a process that has the distribution, besides all that we have."""
    path = [str(project / "src"), str(site), *filter(None, sys.path)]
    # Not CI and BUILD_NUMBER: with one of them pytest says more, and the pages show what it says at a developer's desk.
    foreign = ("PYTEST_", "COV_", "CI", "BUILD_NUMBER")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    # Of the pytest plug-ins that we have, only the one that the kit needs: loading all takes longer than the tests of a
    # small distribution.
    pytest = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "anyio.pytest_plugin"}
    return {**kept, **pytest, "PYTHONPATH": os.pathsep.join(path)}


def run_python(*arguments: str, project: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in the folder of a distribution that `install` has installed."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env=environment_with(project, site),
        capture_output=True,
        text=True,
        check=False,
    )
