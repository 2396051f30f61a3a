from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from wire_lab import AsyncCaller, Caller, SyncCaller


def _uvloop_caller() -> AsyncCaller:
    try:
        import uvloop
    except ImportError:
        pytest.skip("uvloop is not installed: pip install uvloop")
    return AsyncCaller(uvloop.new_event_loop)


_CALLERS: dict[str, Callable[[], Caller]] = {"sync": SyncCaller, "asyncio": AsyncCaller, "uvloop": _uvloop_caller}


@pytest.fixture(params=list(_CALLERS))
def caller(request: pytest.FixtureRequest) -> Iterator[Caller]:
    with _CALLERS[request.param]() as made:
        yield made


@pytest.fixture(params=["asyncio", "uvloop"])
def tasks(request: pytest.FixtureRequest) -> Iterator[AsyncCaller]:
    with AsyncCaller() if request.param == "asyncio" else _uvloop_caller() as made:
        yield made
