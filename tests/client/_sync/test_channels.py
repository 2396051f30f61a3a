# Made by tools/unasync.py from tests/client/_async/test_channels.py. Change that file, then run the tool.
"""The channels of a service. For sync code."""

from __future__ import annotations

import pytest
from client_lab import Fleet

from directlane import Client, ClosedError

pytestmark = pytest.mark.anyio


def test_what_goes_on_after_the_end_opens_no_connection(fleet: Fleet) -> None:
    """Work on the side may come a moment after everything was closed: nobody would close what it opens."""
    address = fleet.servers[0].server.url
    routes = [{"provider": "static", "addresses": [address]}]
    with Client.from_data({"services": {"svc": {"routes": routes}}}) as client:
        service = client.service("svc")
        service.send(b"x")
        member = service.routes[0].pool.members()[0]
        channels = service._channels  # pyright: ignore[reportPrivateUsage]  # a late errand cannot be had by calls alone
        assert channels.to(member) is channels.to(member)
    for _ in range(2):
        with pytest.raises(ClosedError):
            channels.to(member)
