from __future__ import annotations

from collections.abc import Iterator

import pytest
from client_lab import Fleet, fleet_of


@pytest.fixture
def single() -> Iterator[Fleet]:
    yield from fleet_of(1)


@pytest.fixture
def pair() -> Iterator[Fleet]:
    yield from fleet_of(2)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)
