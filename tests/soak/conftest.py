"""Three real instances, each a process of its own: what they hold is not in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from directlane.providers.alibaba_eas.emulator import EasEmulator


@pytest.fixture(scope="module")
def fleet() -> Iterator[EasEmulator]:
    with EasEmulator(3, processes=True) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def configuration(fleet: EasEmulator) -> Mapping[str, object]:
    # A thousand tasks on a busy machine may wait for seconds before it is their turn to connect: that is no failure.
    return {"services": {"soak": {"routes": [fleet.route()], "timeout": "100s", "connect_timeout": "60s"}}}
