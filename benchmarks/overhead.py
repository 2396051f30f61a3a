"""The framework's own share of a call: everything but the transport.

    python benchmarks/overhead.py [--quick] [--json]

The calls go over the in-memory transport, whose channel costs about nothing and is measured by itself; what is left is
ours: taking the call in, picking, dispatching, counting, shell. CPU time of the process, in microseconds per call. All
parts run one after the other, round after round, and each number is the best of its rounds, since anything else that
runs on the machine only ever adds time. Nothing is asserted; the bar we set ourselves is 40 us.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from random import Random
from typing import Any

import directlane
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.client.intake import Intake
from directlane.core.clock import SYSTEM_CLOCK
from directlane.core.discovery.hub import DiscoveryHub
from directlane.core.dispatch.call import Attempt
from directlane.core.dispatch.dispatch import Dispatcher
from directlane.core.dispatch.route import Route
from directlane.core.dispatch.routing import Routing
from directlane.core.transports.memory import Scripted
from directlane.core.transports.memory_transport import MemoryTransport
from directlane.providers.alibaba_eas.provider import AlibabaEasProvider
from directlane.providers.static.provider import StaticProvider

SIZES = (1, 10, 256)
BAR_US = 40
SAFEGUARDS_BAR_US = 5
BODY = b'[{"money_credit": 3000000, "age": 42}]'
HEADERS = (("content-type", "application/json"),)
LIMITS = directlane.Timeouts(1.0, 30.0)
ANSWER = Scripted(200, HEADERS, (b'[{"score": 0.1234}]',))
NOBODY: frozenset[str] = frozenset()

Part = Callable[[int], float]
"""Runs so many calls and returns the CPU seconds that they took."""


def plan_of(size: int, tiers: int = 1, **calls: object) -> directlane.ServicePlan:
    """A service with so many endpoints in memory, and an authentication header as most services have one.

    Args:
        size: Endpoints of each tier.
        tiers: How many tiers of one route each, all to the same endpoints.
        calls: Settings of `CallSettings`; the defaults for what is not named.
    """
    addresses = [f"10.0.{place // 250}.{place % 250}:80" for place in range(size)]
    provider = StaticProvider.model_validate({"addresses": [f"http://{each}" for each in addresses], "token": "t"})
    transport = MemoryTransport(servers=dict.fromkeys(addresses, lambda _request, _timeouts: ANSWER))
    routes = tuple(directlane.RoutePlan(f"tier {tier}", provider, tier=tier) for tier in range(tiers))
    settings = directlane.CallSettings.model_validate(calls)
    return directlane.ServicePlan("bench", routes, WeightedRoundRobin(), transport=transport, calls=settings)


def config_of(plan: directlane.ServicePlan) -> directlane.Config:
    """A configuration with one service."""
    return directlane.Config("benchmark", {plan.name: plan})


def loop_of(work: Callable[[], object]) -> Part:
    """Time a function, call after call."""

    def part(calls: int) -> float:
        start = time.process_time()
        for _ in range(calls):
            work()
        return time.process_time() - start

    return part


def tasks_of(runner: asyncio.Runner, work: Callable[[], Coroutine[Any, Any, object]]) -> Part:
    """Time a coroutine function, call after call, in one task."""

    async def together(calls: int) -> float:
        start = time.process_time()
        for _ in range(calls):
            await work()
        return time.process_time() - start

    return lambda calls: runner.run(together(calls))


def best(parts: Mapping[str, Part], rounds: int, calls: int) -> dict[str, float]:
    """Microseconds per call of each part, without the loop around it."""
    timed = {"nothing": loop_of(lambda: None), **parts}
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(rounds):
        for name, part in timed.items():
            gc.collect()
            seconds[name].append(part(calls))
    empty = min(seconds.pop("nothing"))
    return {name: (min(each) - empty) / calls * 1e6 for name, each in seconds.items()}


def wholes(plan: directlane.ServicePlan, rounds: int, calls: int) -> dict[str, float]:
    """Whole calls in both colours, and what the bare channel takes of them."""
    data = config_of(plan)
    request = directlane.Request("POST", "/", HEADERS, BODY)
    with asyncio.Runner() as runner, directlane.Client(data) as client:
        service = client.service("bench")
        endpoint = service.endpoints()[0].endpoint
        channel = plan.transport.open(endpoint)
        async_client = directlane.AsyncClient(data)
        async_service = async_client.service("bench")
        async_channel = plan.transport.open_async(endpoint)
        parts: dict[str, Part] = {
            "sync": loop_of(lambda: service.send(BODY, headers=HEADERS)),
            "sync channel": loop_of(lambda: channel.send(request, LIMITS)),
            "async": tasks_of(runner, lambda: async_service.send(BODY, headers=HEADERS)),
            "async channel": tasks_of(runner, lambda: async_channel.send(request, LIMITS)),
        }
        figures = best(parts, rounds, calls)
        runner.run(async_client.aclose())
    return figures


def pieces(plan: directlane.ServicePlan, rounds: int, calls: int) -> dict[str, float]:
    """What the pieces of a sync call take, driven by hand; the shell is what is left of the whole."""
    random = Random(1)
    hub = DiscoveryHub(SYSTEM_CLOCK, random)
    routing = Routing([Route(route, plan, hub, SYSTEM_CLOCK, random) for route in plan.routes], random)
    dispatcher = Dispatcher("bench", routing, plan.calls, SYSTEM_CLOCK, random)
    intake = Intake(plan.calls, SYSTEM_CLOCK)

    def take_in() -> Any:
        return intake.call(BODY, "", "POST", HEADERS, key=None, timeout=None, repeatable=None)

    member = routing.pick(None, NOBODY)
    assert member is not None
    call = take_in()
    lane = member.lane
    outcome = directlane.Outcome(directlane.Phase.DONE, 0.001, reply=directlane.Reply(200))
    signing = AlibabaEasProvider.model_validate(
        {"service": "bench", "discovery_host": "127.0.0.1", "token": "t", "auth": "signed"}
    )
    sign = signing.wire(member.endpoint).sign
    assert sign is not None

    def dispatch() -> None:
        flow = dispatcher.dispatch(call)
        effect = next(flow)
        assert type(effect) is Attempt
        try:
            flow.send(outcome)
        except StopIteration:
            return

    return best(
        {
            "intake": loop_of(take_in),
            "pick": loop_of(lambda: routing.pick(None, NOBODY)),
            "complete the request": loop_of(lambda: lane.complete(call.request, 0.0)),
            "whole dispatch": loop_of(dispatch),
            "EAS signature, if on": loop_of(lambda: sign(call.request, 1_700_000_000.0)),
        },
        rounds,
        calls,
    )


BARE: Mapping[str, object] = {"ejection": {"enabled": False}, "slow_start": "0s"}
SAFEGUARDS: Mapping[str, tuple[int, Mapping[str, object]]] = {
    "nothing (no ejection, no slow start)": (1, BARE),
    "ejection and slow start: the defaults": (1, {}),
    "a second tier": (2, BARE),
    "slots and a queue": (1, {**BARE, "slots": {"per_endpoint": 100}}),
    "hedging": (1, {**BARE, "hedge": {"after": "10s"}, "repeatable": True}),
    "ejection, tiers and slots": (2, {"slots": {"per_endpoint": 100}}),
}
"""What can be on, while nothing is wrong. The first one is what the others are compared with."""


def safeguards(rounds: int, calls: int) -> dict[str, tuple[float, float]]:
    """Whole calls, sync and async, with this and that safeguard."""
    with asyncio.Runner() as runner, contextlib.ExitStack() as open_clients:
        parts: dict[str, Part] = {}
        asynchronous: list[directlane.AsyncClient] = []
        for name, (tiers, settings) in SAFEGUARDS.items():
            data = config_of(plan_of(10, tiers, **settings))
            service = open_clients.enter_context(directlane.Client(data)).service("bench")
            asynchronous.append(directlane.AsyncClient(data))
            async_service = asynchronous[-1].service("bench")
            parts[f"sync {name}"] = loop_of(partial(service.send, BODY, headers=HEADERS))
            parts[f"async {name}"] = tasks_of(runner, partial(async_service.send, BODY, headers=HEADERS))
        figures = best(parts, rounds, calls)
        for client in asynchronous:
            runner.run(client.aclose())
    return {name: (figures[f"sync {name}"], figures[f"async {name}"]) for name in SAFEGUARDS}


def breakdown(whole: Mapping[str, float], parts: Mapping[str, float]) -> dict[str, float]:
    """The pieces as parts that sum up to the framework's share."""
    share = whole["sync"] - whole["sync channel"]
    return {
        "intake": parts["intake"],
        "pick": parts["pick"],
        "complete the request": parts["complete the request"],
        "rest of the dispatch (lease, counts, verdict)": parts["whole dispatch"]
        - parts["pick"]
        - parts["complete the request"],
        "shell (channel look-up, outcome, end)": share - parts["intake"] - parts["whole dispatch"],
    }


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="The framework's own share of a call.")
    parser.add_argument("--quick", action="store_true", help="two seconds, and rough numbers")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    options = parser.parse_args()
    rounds, calls = (3, 3_000) if options.quick else (9, 20_000)
    table = {size: wholes(plan_of(size), rounds, calls) for size in SIZES}
    parts = pieces(plan_of(10), rounds, calls)
    split = breakdown(table[10], parts)
    safe = safeguards(rounds, calls)
    bare = next(iter(safe.values()))
    added = {name: (both[0] - bare[0], both[1] - bare[1]) for name, both in safe.items()}
    shares = {
        size: {colour: whole[colour] - whole[f"{colour} channel"] for colour in ("sync", "async")}
        for size, whole in table.items()
    }
    worst = max(share for both in shares.values() for share in both.values())
    if options.json:
        found = {
            "whole_us": table,
            "share_us": shares,
            "pieces_us": split,
            "signature_us": parts["EAS signature, if on"],
            "worst_us": worst,
            "safeguards_us": {name: dict(zip(("sync", "async"), both, strict=True)) for name, both in added.items()},
        }
        print(json.dumps(found, indent=2))
        return
    print("CPU us per call, in memory" + "".join(f"{f'N = {size}':>10}" for size in SIZES))
    for colour in ("sync", "async"):
        lines = {
            "whole call": [whole[colour] for whole in table.values()],
            "bare channel": [whole[f"{colour} channel"] for whole in table.values()],
            "ours": [both[colour] for both in shares.values()],
        }
        for name, values in lines.items():
            print(f"{f'{colour}: {name}':<26}" + "".join(f"{value:>10.2f}" for value in values))
    print(f"\nours, sync, N = 10 {'':<29}{'us':>8}")
    for name, value in split.items():
        print(f"  {name:<46}{value:>8.2f}")
    print(f"  {'(on top, if on: EAS signature)':<46}{parts['EAS signature, if on']:>8.2f}")
    print(f"\nwhole call with, N = 10 {'':<24}{'sync us':>9}{'more':>7}{'async us':>10}{'more':>7}")
    for name, (sync, asynchronous) in safe.items():
        print(f"  {name:<46}{sync:>8.2f}{added[name][0]:>7.2f}{asynchronous:>10.2f}{added[name][1]:>7.2f}")
    print(f"the bar for ejection, tiers and queue together is {SAFEGUARDS_BAR_US} us")
    print(f"\nworst: {worst:.1f} us per call; the bar is {BAR_US} us")


if __name__ == "__main__":
    main()
