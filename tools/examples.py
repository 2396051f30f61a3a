"""Builds, installs and tests the plug-ins of `examples/` as a stranger would, and one that `directlane new` writes.

    python tools/examples.py                      everything
    python tools/examples.py --wheel FILE         with a wheel of directlane that is built already
    python tools/examples.py directlane-acme      these folders only

One virtual environment gets the wheel of directlane and the wheels of the plug-ins. The tests run in a copy without
`src`, so they meet what is installed and nothing else. ruff and mypy look at each plug-in, too, if they are there.
Ends with status 1 if anything is not well.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
CONSTRAINTS = ROOT / "constraints.txt"
NEW = "brand_new"
"""The name of the provider that is written anew."""


class Stranger:
    """A machine of somebody else: a virtual environment with wheels in it.

    Args:
        home: An empty folder for it.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._python = home / "venv" / "bin" / "python"
        venv.create(home / "venv", with_pip=True)
        self.pip("build", "hatchling")

    def pip(self, *what: str) -> None:
        """Install."""
        run([self._python, "-m", "pip", "install", "-q", "-c", CONSTRAINTS, *what])

    def built(self, project: Path) -> Path:
        """The wheel of a project."""
        # Without isolation: the builder is here, and the index need not be asked once for each project.
        folder = self._home / "wheels" / project.name
        run([self._python, "-m", "build", "-q", "--wheel", "--no-isolation", "--outdir", folder, project])
        (wheel,) = folder.glob("*.whl")
        return wheel

    def new_provider(self, name: str) -> Path:
        """The project that `directlane new provider` writes."""
        folder = self._home / f"directlane-{name.replace('_', '-')}"
        run([self._python, "-m", "directlane.core.cli", "new", "provider", name, "--to", folder])
        return folder

    def test(self, project: Path) -> None:
        """Run the tests of an installed project, with its sources out of the way."""
        copy = self._home / "tests" / project.name
        shutil.copytree(project, copy, ignore=shutil.ignore_patterns("src", ".*", "__pycache__"))
        run([self._python, "-m", "pytest", "-q", "-p", "no:cacheprovider"], folder=copy)

    def check(self, projects: Iterable[Path]) -> None:
        """Let ruff and mypy look at projects, against what is installed here."""
        cache = self._home / "mypy"
        for project in projects:
            for words in (["ruff", "check", "--no-cache", "."], ["ruff", "format", "--check", "--no-cache", "."]):
                run([sys.executable, "-m", *words], folder=project)
            words = ["mypy", "--python-executable", str(self._python), "--cache-dir", str(cache)]
            run([sys.executable, "-m", *words], folder=project)


def run(words: Sequence[str | Path], *, folder: Path = ROOT) -> None:
    """Run a command, and show in one piece what it says.

    Raises:
        CalledProcessError: Its status is not 0.
    """
    command = [str(word) for word in words]
    ran = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    name = "" if folder == ROOT else f"{folder.name}: "
    sys.stdout.write(f"--- {name}{' '.join(command[1:])}\n{ran.stdout}")
    sys.stdout.flush()
    ran.check_returncode()


def projects(names: Iterable[str]) -> list[Path]:
    """The folders of these names; without names, all."""
    every = sorted(path.parent for path in EXAMPLES.glob("*/pyproject.toml"))
    wanted = set(names)
    unknown = wanted - {project.name for project in every}
    if unknown:
        raise SystemExit(f"there is no examples/{min(unknown)} with a pyproject.toml")
    return [project for project in every if not wanted or project.name in wanted]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help="of examples/; default: all, and a new provider")
    parser.add_argument("--wheel", type=Path, help="a wheel of directlane; default: it is built")
    options = parser.parse_args(arguments)
    has_checkers = find_spec("ruff") is not None and find_spec("mypy") is not None
    with tempfile.TemporaryDirectory(prefix="directlane-examples-") as home:
        stranger = Stranger(Path(home))
        own = options.wheel.resolve() if options.wheel else stranger.built(ROOT)
        chosen = projects(options.folders)
        wheels = [f"{stranger.built(project)}[test]" for project in chosen]
        stranger.pip(f"{own}[cli,emulator,new]", "pytest", *wheels)
        if not options.folders:
            new = stranger.new_provider(NEW)
            stranger.pip(f"{stranger.built(new)}[test]")
            chosen.append(new)
        began = time.monotonic()
        with ThreadPoolExecutor(2) as pool:  # the checkers beside the tests
            jobs = [pool.submit(stranger.check, chosen)] if has_checkers else []
            jobs += [pool.submit(stranger.test, project) for project in chosen]
        failures = [error for job in jobs if (error := job.exception()) is not None]
        for error in failures:
            print(f"not well: {error}", file=sys.stderr)
        if not failures:
            print(f"{len(chosen)} plug-ins are well; tests and checks took {time.monotonic() - began:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
