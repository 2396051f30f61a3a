"""The default budget hides a dead instance of a small fleet, also from callers who all come at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from client_lab import Fleet, fleet_of

from directlane import Client


@pytest.fixture
def two() -> Iterator[Fleet]:
    yield from fleet_of(2)


def test_one_of_two_is_dead_from_the_start_and_32_callers_do_not_notice(two: Fleet) -> None:
    two.servers[0].server.stop()
    with Client.from_data(two.data()) as client, ThreadPoolExecutor(32) as pool:
        service = client.service("svc")
        replies = list(pool.map(service.send, [b"x"] * 300))
        assert all(reply.ok for reply in replies)
        assert max(reply.attempts for reply in replies) == 2
