"""The whole suite runs in several processes; a folder or a file in one, which starts sooner and is easier to debug."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL, Popen

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no failure: neither a slow example nor slow making of examples is.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Every run tries other examples, so fewer of them each time find as much in the end. A folder by itself tries 100.
settings.register_profile("suite", settings.get_profile("busy"), max_examples=40)
settings.load_profile("suite" if "PYTEST_XDIST_WORKER" in os.environ else "busy")

WORKERS = 5
"""Fits two cores: while some wait for a fleet of processes, a socket or a process of their own, the others work."""

FOREIGN = ("CI", "BUILD_NUMBER", "GITHUB_ACTIONS", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "COLUMNS", "LINES")
"""With these in the environment programs print more, less, in colours or in other lines."""

# Collecting makes a million objects that stay: walking them again and again for garbage is a third of its time.
gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Set what `-n 5 --dist worksteal` sets, unless the caller names tests, or says how many processes."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return  # a worker comes by here too, and would start workers of its own, without end
    option = config.option
    names_none = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if names_none and config.pluginmanager.hasplugin("xdist") and option.numprocesses is None and not option.usepdb:
        option.numprocesses = WORKERS
        option.dist = "worksteal"
        # Some machines forbid compiled modules. Then each worker would compile and rewrite all tests anew each time.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        _compile()


def _compile() -> None:
    """In a fresh tree all workers would compile the same at the same time: it is done here, in two halves."""
    folders = sorted(path for path in Path(__file__).parent.iterdir() if any(path.rglob("test_*.py")))
    if not any(folder.joinpath("__pycache__").exists() for folder in folders):
        words = [sys.executable, "-m", "pytest", "--collect-only", "-qq"]
        halves = [Popen([*words, *map(str, half)], stdout=DEVNULL) for half in (folders[::2], folders[1::2])]
        for half in halves:
            half.wait()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let two workers begin with the fleets, since each begins with a part of its own."""
    if len(items) < 4000:
        return
    fleets = [item for item in items if item.path.parent.name == "fleet"]
    others = [item for item in items if item.path.parent.name != "fleet"]
    middle = len(items) // 2 - len(fleets[::2])
    items[:] = [*fleets[::2], *others[:middle], *fleets[1::2], *others[middle:]]


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """From here on garbage is what tests make; what was collected stays, and is not looked at again."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _at_a_desk() -> Iterator[None]:
    """The commands and other programs that tests start print what they print at a developer's desk."""
    with pytest.MonkeyPatch.context() as patch:
        for name in FOREIGN:
            patch.delenv(name, raising=False)
        yield
