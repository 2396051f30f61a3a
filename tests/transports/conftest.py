from __future__ import annotations

from collections.abc import Iterator

import pytest
from transport_lab import LABS, Lab


@pytest.fixture(params=list(LABS))
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    kind = LABS[request.param]
    if kind.needs is not None:
        pytest.importorskip(kind.needs, reason=f"pip install 'directlane[{kind.needs}]'")
    if kind.one_colour not in (None, request.path.parent.name):
        pytest.skip(
            f"{request.param} is {kind.one_colour} only; test_{request.param}.py shows how the other side refuses"
        )
    yield from kind().running()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
