"""Leaders are killed and stopped, a clock is wrong, the store goes and comes.

No window holds too much, no list goes back, and at the end all are up to date.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from fleet_lab import Fleet, most_in_a_window, until
from fleet_question import LIMIT
from redis_lab import RedisServer

from directlane.core.emulation.server import LoopbackServer, ServerReply, ServerRequest

PROCESSES = 6
QUESTIONS = ["a", "b", "c"]
TROUBLE = float(os.environ.get("DIRECTLANE_TROUBLE_SECONDS", "28"))


class Counting:
    """A control plane that counts, and remembers who asked last."""

    def __init__(self) -> None:
        self.version = 1
        self.moments: list[float] = []
        self.askers: dict[str, int] = {}
        self._lock = threading.Lock()
        self.server = LoopbackServer(self._answer)

    def _answer(self, request: ServerRequest) -> ServerReply:
        with self._lock:
            now = time.monotonic()
            self.moments.append(now)
            self.askers[request.header("x-q") or ""] = int(request.header("x-pid") or 0)
            recent = [moment for moment in self.moments if moment > now - LIMIT.window]
            return ServerReply(429) if len(recent) > LIMIT.limit else ServerReply(content=str(self.version).encode())


def versions(fleet: Fleet, number: int) -> dict[str, list[int]]:
    seen: dict[str, list[int]] = {name: [] for name in QUESTIONS}
    for one in fleet.seen(number):
        if "question" in one:
            seen[str(one["question"])].append(int(str(one["version"])))
    return seen


def in_trouble(fleet: Fleet, plane: Counting, break_store: list[Callable[[], None]], chance: Random) -> None:
    """One thing after another happens to the leaders; in between, to the store."""
    ends_at = time.monotonic() + TROUBLE
    store_at = [
        time.monotonic() + TROUBLE * (number + 1) / (len(break_store) + 2) for number in range(len(break_store))
    ]
    stopped: dict[int, float] = {}
    while time.monotonic() < ends_at:
        time.sleep(chance.uniform(0.5, 1.5))
        plane.version += 1
        for pid in [pid for pid, until_when in stopped.items() if time.monotonic() > until_when]:
            del stopped[pid]
            fleet.signal(pid, signal.SIGCONT)
        if store_at and time.monotonic() > store_at[0]:
            del store_at[0]
            break_store.pop(0)()
        leader = plane.askers.get(chance.choice(QUESTIONS))
        if leader is None or leader not in fleet.living or leader in stopped:
            continue
        if chance.random() < 0.3 and len(fleet.living) > 3:
            fleet.signal(leader, signal.SIGKILL)
            fleet.start()
        elif chance.random() < 0.5 and len(stopped) < 2:
            fleet.signal(leader, signal.SIGSTOP)
            stopped[leader] = time.monotonic() + 6.0  # past its lease
    for pid in stopped:
        fleet.signal(pid, signal.SIGCONT)
    for step in break_store:
        step()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_fleet_in_trouble(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    plane, chance = Counting(), Random(1)
    file = tmp_path / "store" / "store.sqlite"
    place = f"sqlite:{file}"
    redis: RedisServer | None = None
    if kind == "redis":
        redis = request.getfixturevalue("redis")
        assert redis is not None
        place = redis.url
    with plane.server:
        plan = {
            "kind": "hub",
            "store": place,
            "url": plane.server.url,
            "questions": QUESTIONS,
            "settings": {"interval": "2s", "timeout": "2s"},
            "clocks_off": [0, 3],
        }
        with Fleet(tmp_path, plan) as fleet:
            fleet.start(PROCESSES)

            def all_up_to_date() -> bool:
                return len(fleet.living) >= PROCESSES and all(
                    (versions(fleet, number)[name] or [0])[-1] == plane.version
                    for number, pid in enumerate(fleet.pids)
                    if pid in fleet.living
                    for name in QUESTIONS
                )

            until(all_up_to_date, 60, "not everybody got a first list")

            def delete() -> None:
                for path in file.parent.iterdir():
                    path.unlink()

            full = fleet.pids[1]
            steps: list[Callable[[], None]]
            if redis is None:
                steps = [
                    lambda: fleet.signal(full, signal.SIGUSR1),
                    lambda: fleet.signal(full, signal.SIGUSR2),
                    delete,
                ]
            else:
                steps = [redis.stop, redis.start]
            in_trouble(fleet, plane, steps, chance)
            # Then nothing more happens. Who was alone may have to wait for a window or two.
            plane.version += 1
            until(all_up_to_date, 4 * LIMIT.window + 30, "not everybody is up to date")
            assert fleet.complaints.count("broke") == 0, fleet.complaints
            for number in range(len(fleet.pids)):
                for seen in versions(fleet, number).values():
                    assert seen == sorted(seen)
            assert most_in_a_window(plane.moments, LIMIT.window) <= LIMIT.limit
