from __future__ import annotations

import pytest

pytest.importorskip("trustme", reason="trustme is not installed: pip install trustme")

from tls_lab import WAYS, Authority, Way


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest) -> Way:
    if request.param == "aiohttp":
        pytest.importorskip("aiohttp", reason="pip install 'directlane[aiohttp]'")
    return WAYS[request.param]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
