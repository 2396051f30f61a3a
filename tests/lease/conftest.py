from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lease_lab import Instances, instances_of


@pytest.fixture
def echoes(tmp_path: Path) -> Iterator[Instances]:
    """Three TCP instances."""
    with instances_of("tcp_instance.py", 3, tmp_path) as instances:
        yield instances


@pytest.fixture
def rpcs(tmp_path: Path) -> Iterator[Instances]:
    """Three gRPC instances."""
    pytest.importorskip("grpc", reason="needs grpcio: pip install 'directlane[grpc]'")
    with instances_of("grpc_instance.py", 3, tmp_path) as instances:
        yield instances


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
