"""The whole suite runs in several processes; a folder or a file in one, which starts sooner and is easier to debug."""

from __future__ import annotations

import os

import pytest

WORKERS = 3
"""Fits two cores: many tests wait for a socket or for a process of their own."""


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Set what `-n 3 --dist worksteal` sets, unless the caller names tests, or says how many processes."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return  # a worker comes by here too, and would start workers of its own, without end
    option = config.option
    names_none = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if names_none and config.pluginmanager.hasplugin("xdist") and option.numprocesses is None and not option.usepdb:
        option.numprocesses = WORKERS
        option.dist = "worksteal"
