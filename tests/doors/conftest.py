from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from client_lab import Fleet, fleet_of
from door_lab import Llm, llm_of

MISSING = "{0} is missing: pip install -c constraints.txt -e '.[test]'"


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    yield from fleet_of(3)


@pytest.fixture
def single() -> Iterator[Fleet]:
    yield from fleet_of(1)


@pytest.fixture
def llm() -> Iterator[Llm]:
    with llm_of(3) as service:
        yield service


@pytest.fixture
def mortal_llm() -> Iterator[Llm]:
    with llm_of(2, processes=True) as service:
        yield service


def package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return pytest.skip(MISSING.format(name))


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    return package(str(request.param))


@pytest.fixture
def openai() -> Any:
    return package("openai")


@pytest.fixture
def anthropic() -> Any:
    return package("anthropic")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)
