"""A control plane, a hub, and a watch over secrets and threads for every test of this folder."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest
from discovery_lab import SECRET, ControlPlane, hub_threads

from directlane.core.discovery.hub import DiscoveryHub


@pytest.fixture
def plane() -> Iterator[ControlPlane]:
    """A control plane that lists two hosts."""
    yield from ControlPlane.running("10.0.0.1", "10.0.0.2")


@pytest.fixture
def hub() -> DiscoveryHub:
    return DiscoveryHub()


@pytest.fixture(autouse=True)
def watch(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No secret in any log record of any library, and no thread left behind."""
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, logger="directlane")
    yield
    assert SECRET not in caplog.text
    for thread in threading.enumerate():
        if thread.name == "directlane-lookup":
            thread.join(10)  # nobody waits for it at a close, and it ends by itself
    assert hub_threads() == []
