"""The whole suite runs in several processes; a folder or a file in one, which starts sooner and is easier to debug."""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no failure: neither a slow example nor slow making of examples is.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Every run tries other examples, so fewer of them each time find as much in the end. A folder by itself tries 100.
settings.register_profile("suite", settings.get_profile("busy"), max_examples=40)
settings.load_profile("suite" if "PYTEST_XDIST_WORKER" in os.environ else "busy")

WORKERS = 4
"""Fits two cores: while some wait for a fleet of processes, a socket or a process of their own, the others work."""

# Collecting makes a million objects that stay: walking them again and again for garbage is a third of its time.
gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Set what `-n 4 --dist worksteal` sets, unless the caller names tests, or says how many processes."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return  # a worker comes by here too, and would start workers of its own, without end
    option = config.option
    names_none = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if names_none and config.pluginmanager.hasplugin("xdist") and option.numprocesses is None and not option.usepdb:
        option.numprocesses = WORKERS
        option.dist = "worksteal"
        # Some machines forbid compiled modules. Then each worker would compile and rewrite all tests anew each time.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


LONG = (
    "tests/soak/",
    "tests/faults/test_rolling_restart.py",
    "tests/fleet/test_fleet_in_trouble.py",
    "tests/fleet/test_fleet.py::test_wrong_password",
    "tests/simulation/test_bars_of_least_loaded.py",
    "tests/cli/test_demo.py::test_an_interrupted_demo",
)
"""What a run of the whole suite leaves out, unless DIRECTLANE_LONG is set: it takes minutes. By itself it runs."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is long; and let two workers begin with the fleets, since each begins with a part of its own."""
    if len(items) < 4000:
        return
    if "DIRECTLANE_LONG" not in os.environ:
        left_out = [item for item in items if item.nodeid.startswith(LONG)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.nodeid.startswith(LONG)]
    fleets = [item for item in items if item.path.parent.name == "fleet"]
    others = [item for item in items if item.path.parent.name != "fleet"]
    middle = len(items) // 2 - len(fleets[::2])
    items[:] = [*fleets[::2], *others[:middle], *fleets[1::2], *others[middle:]]


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """From here on garbage is what tests make; what was collected stays, and is not looked at again."""
    gc.freeze()
    gc.enable()
