"""One process that imports directlane once and forks the processes of a fleet: cheap, and as gunicorn does it.

Started as a program with the path of a plan (JSON). Reads one word per line: `start` forks one more process. The end of
its input ends all of them. Each process writes what it sees to a file of its own, one JSON line for each change.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from fleet_question import Question

import directlane
from directlane.core.clock import SYSTEM_CLOCK
from directlane.core.config.load import load_data
from directlane.core.config.model import DiscoverySettings
from directlane.core.discovery.belief import Belief
from directlane.core.discovery.hub import DiscoveryHub

_TICK = 0.1
_CLOCK_IS_OFF = 600.0


class _Report:
    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def write(self, **facts: object) -> None:
        self._file.write(json.dumps({"at": time.monotonic(), **facts}) + "\n")


def _run_client(plan: Mapping[str, object], report: _Report, parent: int) -> None:
    """A program that has a client, and looks at its endpoints."""
    config = cast("dict[str, object]", plan["config"])
    with directlane.Client.from_data(config, environment=cast("dict[str, str]", plan["environment"])) as client:
        services = [client.service(name) for name in cast("dict[str, object]", config["services"])]
        seen: dict[str, list[str]] = {}
        latest, before = 0.5, time.monotonic()
        while os.getppid() == parent:
            late, before = time.monotonic() - before - _TICK, time.monotonic()
            if late > latest:  # the machine has other things to do
                latest = late
                report.write(late=late)
            for service in services:
                hosts = sorted(view.endpoint.id for view in service.endpoints())
                error = next((str(route.belief.error) for route in service.routes if route.belief.error), "")
                if seen.get(service.name) != [*hosts, error]:
                    seen[service.name] = [*hosts, error]
                    report.write(service=service.name, hosts=hosts, error=error)
            time.sleep(_TICK)


def _run_hub(plan: Mapping[str, object], report: _Report, parent: int) -> None:
    """The questions alone: every list that is told."""
    store = load_data(
        {
            "store": plan["store"],
            "services": {"s": {"routes": [{"provider": "static", "addresses": ["http://10.0.0.1:80"]}]}},
        },
        source="plan",
        environment={},
    ).store
    hub = DiscoveryHub()
    settings = DiscoverySettings.model_validate(plan["settings"])
    for name in cast("list[str]", plan["questions"]):

        def listen(belief: Belief, name: str = name) -> None:
            report.write(question=name, version=int(belief.endpoints[0].port))

        hub.subscribe(name, Question(str(plan["url"]), name), settings, listen, store)
    while os.getppid() == parent:
        time.sleep(_TICK)


def _full_disk(_number: int, _frame: object) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))


def _free_disk(_number: int, _frame: object) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _begin(plan: Mapping[str, object], number: int) -> int:
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        os.close(0)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        faulthandler.register(signal.SIGQUIT)
        signal.signal(signal.SIGUSR1, _full_disk)
        signal.signal(signal.SIGUSR2, _free_disk)
        if number in cast("list[int]", plan.get("clocks_off", [])):
            truth = time.time
            time.time = lambda: truth() + _CLOCK_IS_OFF
            SYSTEM_CLOCK.__class__.unix = staticmethod(time.time)  # type: ignore[method-assign,assignment]
        report = _Report(Path(str(plan["folder"])) / f"{number}.log")
        report.write(pid=os.getpid())
        (_run_hub if plan["kind"] == "hub" else _run_client)(plan, report, parent)
    except BaseException as error:  # noqa: BLE001 - it is told, and the process ends
        print(f"process {number} broke: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def main() -> None:
    plan = cast("dict[str, object]", json.loads(Path(sys.argv[1]).read_text()))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    if plan["kind"] == "client":
        # What a configuration imports is imported once for all.
        load_data(
            cast("dict[str, object]", plan["config"]),
            source="plan",
            environment=cast("dict[str, str]", plan["environment"]),
        )
    if find_spec("redis") is not None:
        import_module("redis")
    children: list[int] = []
    for line in sys.stdin:
        if line.strip() == "start":
            children.append(_begin(plan, len(children)))
            print(children[-1], flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
