"""Where the microseconds of a call over the wire go, found by building the call up.

    python benchmarks/ladder.py [--quick]

Each step does all that the step before it does, and one thing more, on the same upstream; the difference is what that
thing costs. (A piece that runs alone in a loop costs half of what it costs in a call, where other code has used the
processor's caches meanwhile.) The steps run one after the other, round after round; a number is the best of its rounds.
Processes stay on one processor, as in `calls.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contenders import SYNC, Site, configuration
from contenders_async import ASYNC
from loads import LOADS, SERVICE, TOKEN, TYPE
from process import Process

import directlane
from directlane.core.endpoint import Endpoint
from directlane.core.interfaces import Timeouts
from directlane.core.message import Request
from directlane.core.transports.wire.head import HeadMaker
from directlane.core.transports.wire.reader import ResponseReader
from directlane.core.transports.wire_transport import WireTransport

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Step:
    """One step: CPU µs per call up to here, and what it adds."""

    name: str
    total: float
    own: float


def ladders(*, quick: bool = False) -> dict[str, list[Step]]:
    """Both ladders, sync and async."""
    with ExitStack() as stack:
        upstream = stack.enter_context(Process([sys.executable, HERE / "upstream.py"]))
        site = Site(upstream.answer()["ports"][:1], LOADS["small"])
        processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()
        if processors:
            upstream.pin(sorted(processors)[:1])
            os.sched_setaffinity(0, sorted(processors)[:1])
            stack.callback(os.sched_setaffinity, 0, processors)
        rounds, calls = (5, 500) if quick else (25, 1500)
        return {"sync": _sync(site, rounds, calls), "asyncio": _asyncio(site, rounds, calls)}


def _climb(parts: Mapping[str, Callable[[int], None]], rounds: int, calls: int) -> list[Step]:
    seconds: dict[str, list[float]] = {name: [] for name in parts}
    for part in parts.values():
        part(calls)
    for _ in range(rounds):
        for name, part in parts.items():
            start = time.process_time()
            part(calls)
            seconds[name].append(time.process_time() - start)
    steps: list[Step] = []
    for name, each in seconds.items():
        total = min(each) / calls * 1e6
        steps.append(Step(name, total, total - (steps[-1].total if steps else 0.0)))
    return steps


def _sync(site: Site, rounds: int, calls: int) -> list[Step]:
    body, target, fields = site.load.body, site.load.target, tuple(site.headers.items())
    endpoint = Endpoint("127.0.0.1", site.ports[0])
    with ExitStack() as stack:
        raw = SYNC["raw socket loop"](site, stack)
        heads, reader = HeadMaker(endpoint), ResponseReader(65536)
        answer = _answer_of(site)
        channel = WireTransport().open(endpoint)
        stack.callback(channel.close)
        request = Request("POST", target, fields, body)
        client = stack.enter_context(
            directlane.Client.from_data(configuration(site, "plain", "wire"), environment={"TOKEN": TOKEN})
        )
        service = client.service(SERVICE)
        signed_client = stack.enter_context(
            directlane.Client.from_data(configuration(site, "signed", "wire"), environment={"TOKEN": TOKEN})
        )
        signed = signed_client.service(SERVICE)
        own = (("content-type", TYPE),)

        def with_head() -> None:
            heads.make("POST", target, fields, body)
            raw()

        def with_parser() -> None:
            heads.make("POST", target, fields, body)
            raw()
            reader.begin(is_head=False)
            reader.feed(answer)
            reader.take()
            _ = reader.headers

        steps: dict[str, Callable[[], object]] = {
            "raw socket: send, wait, receive": raw,
            "the head of the request": with_head,
            "the parser: status, fields, body": with_parser,
            "the channel: pool, look before reuse, time limits, the reply": lambda: channel.send(
                request, Timeouts(1.0, 60.0)
            ),
            "the framework: pick, lease, counts, verdict, deadline (`send` without fields)": lambda: service.send(body),
            "a header field of the caller, checked and merged": lambda: service.send(body, headers=own),
            "the EAS signature, if it is on": lambda: signed.send(body, headers=own),
        }
        return _climb({name: _loop(step) for name, step in steps.items()}, rounds, calls)


def _loop(step: Callable[[], object]) -> Callable[[int], None]:
    def loop(calls: int) -> None:
        for _ in range(calls):
            step()

    return loop


def _asyncio(site: Site, rounds: int, calls: int) -> list[Step]:
    body, target, fields = site.load.body, site.load.target, tuple(site.headers.items())
    with asyncio.Runner() as runner:

        async def begin() -> tuple[dict[str, Callable[[], Awaitable[object]]], AsyncExitStack]:
            stack = AsyncExitStack()
            bare = await ASYNC["bare protocol"](site, stack)
            channel = WireTransport().open_async(Endpoint("127.0.0.1", site.ports[0]))
            stack.push_async_callback(channel.aclose)
            request = Request("POST", target, fields, body)
            environment = {"TOKEN": TOKEN}
            client = await stack.enter_async_context(
                directlane.AsyncClient.from_data(configuration(site, "plain", "wire"), environment=environment)
            )
            service = client.service(SERVICE)
            own = (("content-type", TYPE),)
            return {
                "bare protocol: send, the loop, receive": bare,
                "the channel: head, parser, pool, time limits, the reply": lambda: channel.send(
                    request, Timeouts(1.0, 60.0)
                ),
                "the framework: pick, lease, counts, verdict, deadline (`send` without fields)": lambda: service.send(
                    body
                ),
                "a header field of the caller, checked and merged": lambda: service.send(body, headers=own),
            }, stack

        steps, stack = runner.run(begin())
        found = _climb({name: _run(runner, step) for name, step in steps.items()}, rounds, calls)
        runner.run(stack.aclose())
    return found


def _run(runner: asyncio.Runner, step: Callable[[], Awaitable[object]]) -> Callable[[int], None]:
    async def loop(calls: int) -> None:
        for _ in range(calls):
            await step()

    def run(calls: int) -> None:
        made: Coroutine[Any, Any, None] = loop(calls)
        runner.run(made)

    return run


def _answer_of(site: Site) -> bytes:
    """What the upstream says, as bytes."""
    with socket.create_connection(("127.0.0.1", site.ports[0])) as connection:
        connection.sendall(site.request(site.ports[0]))
        return connection.recv(65536)


def main() -> None:
    """Print both ladders."""
    parser = argparse.ArgumentParser(description="Where the microseconds of a call over the wire go.")
    parser.add_argument("--quick", action="store_true", help="a few seconds, and rough numbers")
    for title, steps in ladders(quick=parser.parse_args().quick).items():
        print(f"\n{title:<84}{'CPU µs':>8}{'step':>8}")
        for step in steps:
            print(f"  {step.name:<82}{step.total:>8.1f}{step.own:>+8.1f}")


if __name__ == "__main__":
    main()
