"""One door serves many threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from client_lab import Fleet
from door_lab import open_door

from directlane import Client

THREADS = 64
CALLS_PER_THREAD = 20


def test_64_threads_share_a_door(library: Any, fleet: Fleet) -> None:
    together = threading.Barrier(THREADS)

    with Client.from_data(fleet.data()) as client, open_door(library, client, "svc") as http:

        def call(number: int) -> None:
            together.wait(30)
            for turn in range(CALLS_PER_THREAD):
                body = b"x" * (number * CALLS_PER_THREAD + turn)
                reply = http.post(f"/{number}/{turn}", content=body)
                facts = reply.json()
                assert (facts["path"], facts["bytes"]) == (f"/{number}/{turn}", len(body)), "its own answer"

        with ThreadPoolExecutor(THREADS) as pool:
            for ended in [pool.submit(call, number) for number in range(THREADS)]:
                ended.result()
        assert all(view.open_calls == 0 for view in client.service("svc").endpoints())
    assert len(fleet.seen()) == THREADS * CALLS_PER_THREAD
