"""One etcd for all tests of a run; each test has a prefix of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from etcd_lab import Etcd


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    made = Etcd(tmp_path_factory.mktemp("etcd"))
    made.start()
    yield made
    made.close()


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """One that the test may break."""
    made = Etcd(tmp_path_factory.mktemp("etcd"))
    made.start()
    yield made
    made.close()
