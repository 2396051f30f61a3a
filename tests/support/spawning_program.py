"""A program that has a client as a global, and gives work to a process that is started anew (`spawn`).

The variable `LANE` holds the configuration as JSON. Prints what both found.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Mapping
from multiprocessing.connection import Connection

import directlane
from directlane.core.discovery.hub import process_hub

data: Mapping[str, object] = json.loads(os.environ["LANE"])
client = directlane.Client.from_data(data)

Found = tuple[str, bool, list[str]]
"""How it was called, whether the call went well, and under which names the process is known in the store."""


def call(number: int) -> Found:
    """Over the client that each process makes when it imports this file."""
    return f"global {number}", client.service("svc").send(b"{}").ok, _names()


def call_with(settings: Mapping[str, object]) -> Found:
    """Over a client that is made from what was handed over, beside the global one."""
    with directlane.Client.from_data(settings) as mine:
        return "handed over", mine.service("svc").send(b"{}").ok, _names()


def _names() -> list[str]:
    links = process_hub()._links.values()  # pyright: ignore[reportPrivateUsage]  # a store tells no names
    return [link.holder for link in links if link.is_up]


def work(pipe: Connection) -> None:
    """What the other process does."""
    pipe.send([call(1), call_with(data)])


def main() -> None:
    mine = call(0)
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(sender,))
    process.start()
    others = receiver.recv()
    process.join(60)  # it ends by itself, though nobody closed its client
    assert process.exitcode == 0, process.exitcode
    print(json.dumps([mine, *others]))


if __name__ == "__main__":
    main()
