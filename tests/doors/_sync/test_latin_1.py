# Made by tools/unasync.py from tests/doors/_async/test_latin_1.py. Change that file, then run the tool.
"""Header values outside of ASCII pass the door. For sync code."""

from __future__ import annotations

from typing import Any

import pytest
from client_lab import Fleet
from door_lab import answering, open_door

from directlane import Client

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # over the wire


def test_headers_outside_of_ascii_pass_both_ways(library: Any, single: Fleet) -> None:
    with Client.from_data(single.data()) as client, open_door(library, client, "svc") as http:
        http.get("/", headers={"X-Name": "Zoë".encode("latin-1")})
    assert single.seen()[0].header("x-name") == "Zoë"
    with answering("HTTP/1.1 200 OK\r\nX-Name: Zoë\r\nContent-Length: 0\r\n\r\n".encode("latin-1")) as url:
        data = {"services": {"svc": {"routes": [{"provider": "static", "addresses": [url]}]}}}
        with Client.from_data(data) as client, open_door(library, client, "svc") as http:
            assert (http.get("/")).headers["x-name"] == "Zoë"
