"""Sixteen processes, three services, one IAM user: nobody is refused, and all see each change in time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from fleet_lab import Fleet, most_in_a_window, until

from directlane.providers.huawei_modelarts.emulator import ModelArtsEmulator

PROCESSES = 16
FEW = 8
SECONDS = float(os.environ.get("DIRECTLANE_FLEET_SECONDS", "62"))
SEEN_WITHIN = 12.0


def plan_for(cloud: ModelArtsEmulator, store: str, **environment: str) -> dict[str, object]:
    services = {
        f"s{number}": {"routes": [cloud.settings("direct", "password", service)], "discovery": {"interval": "5s"}}
        for number, service in enumerate(cloud.service_ids)
    }
    return {
        "kind": "client",
        "config": {"store": store, "services": services},
        "environment": {**cloud.environment_of("password"), **environment},
    }


def lists(fleet: Fleet, number: int) -> dict[str, list[str]]:
    """What a process has in use now, for each service."""
    return {str(one["service"]): list(one["hosts"]) for one in fleet.seen(number) if "service" in one}  # type: ignore[call-overload]


def lateness(fleet: Fleet, number: int) -> float:
    """By how many seconds the machine let this process wait at most."""
    return max((float(str(one["late"])) for one in fleet.seen(number) if "late" in one), default=0.0)


@pytest.mark.timeout(SECONDS + 300)
def test_sixteen_processes_spend_one_budget_and_see_each_change(tmp_path: Path, store: str) -> None:
    with ModelArtsEmulator(1, services=3) as cloud, Fleet(tmp_path, plan_for(cloud, store)) as fleet:
        fleet.start(PROCESSES)

        def all_have(count: dict[str, int]) -> bool:
            return all(
                {name: len(hosts) for name, hosts in lists(fleet, number).items()} == count
                for number in range(PROCESSES)
            )

        expected = {f"s{number}": 1 for number in range(3)}
        until(lambda: all_have(expected), 120, "not everybody got a first list")
        took: list[float] = []
        began = time.monotonic()
        turn = 0
        while time.monotonic() - began < SECONDS:
            name = f"s{turn % 3}"
            cloud.add_instance(service=cloud.service_ids[turn % 3])
            expected[name] += 1
            took.append(until(lambda: all_have(expected), 90, f"{expected} was not seen by everybody"))
            turn += 1
            time.sleep(0.7 * turn % 3)  # another phase each time
        cpu = fleet.cpu_seconds()
        late = max(lateness(fleet, number) for number in range(PROCESSES))
        assert len(fleet.living) == PROCESSES
    # A machine that lets a process wait for a second is allowed to be as late itself, at each of the steps.
    assert max(took) <= SEEN_WITHIN + 4 * late, took
    moments = [query.at for query in cloud.list_queries]
    assert [query for query in cloud.list_queries if query.status == 429] == []
    assert most_in_a_window(moments, 60.0) <= 20
    assert len(cloud.logins) <= 3 + turn  # who leads logs in, and nobody else
    print(f"changes seen after {min(took):.1f} to {max(took):.1f} s, {late:.1f} s of it the machine's own")
    print(f"{len(moments)} queries, {cpu:.1f} s of processor")


@pytest.mark.timeout(300)
def test_wrong_password_is_tried_twice_at_most(tmp_path: Path, store: str) -> None:
    with ModelArtsEmulator(1, services=3) as cloud:
        wrong = dict.fromkeys(cloud.environment_of("password"), "wrong")
        with Fleet(tmp_path, plan_for(cloud, store, **wrong)) as fleet:
            fleet.start(FEW)

            def knows(number: int) -> bool:
                errors = {str(one["service"]): str(one["error"]) for one in fleet.seen(number) if "service" in one}
                return len(errors) == 3 and all("password" in error for error in errors.values())

            until(lambda: all(map(knows, range(FEW))), 120, "not everybody was told")
            fleet.start(2)
            until(lambda: knows(FEW) and knows(FEW + 1), 60, "who comes later was not told")
        assert 1 <= len(cloud.logins) <= 2
