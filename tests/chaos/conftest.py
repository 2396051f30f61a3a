"""Options for long runs: `pytest tests/chaos --chaos-runs 20000`."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("chaos")
    group.addoption("--chaos-runs", type=int, help="how many seeds to try")
    group.addoption("--chaos-first", type=int, help="the first of them")
