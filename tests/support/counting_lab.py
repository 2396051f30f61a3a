"""Instances that count how many calls they have at once, and many calls at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
from client_lab import Fleet

from directlane.core.emulation.server import ServerReply, ServerRequest

__all__ = ["Counted", "counted", "together", "together_async"]

T = TypeVar("T")


@dataclass
class Counted:
    """What each instance of a fleet has at once, and the most that it ever had."""

    now: Counter[str] = field(default_factory=Counter[str])
    most: Counter[str] = field(default_factory=Counter[str])
    is_open: bool = True
    """While this is False no call ends."""

    def reply(self, name: str) -> ServerReply:
        self.now[name] += 1
        self.most[name] = max(self.most[name], self.now[name])
        return ServerReply(content=self._work(name))

    async def _work(self, name: str) -> AsyncIterator[bytes]:
        for _ in range(3):  # the others get their turn
            await asyncio.sleep(0.001)
        while not self.is_open:
            await asyncio.sleep(0.001)
        # Before the last piece: once the caller has it, the next call may come.
        self.now[name] -= 1
        yield b"done"


def counted(fleet: Fleet) -> Counted:
    """Let the servers of a fleet count."""
    count = Counted()
    for server in fleet.servers:

        def behaviour(_: ServerRequest, name: str = server.name) -> ServerReply:
            return count.reply(name)

        server.behaviour = behaviour
    return count


def together(function: Callable[[int], T], times: int) -> list[T]:
    """Call a function in so many threads at once."""
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(function, range(times)))


async def together_async(function: Callable[[int], Awaitable[T]], times: int) -> list[T]:
    """Call a function in so many tasks at once."""
    results: list[T] = []

    async def run(number: int) -> None:
        results.append(await function(number))

    async with anyio.create_task_group() as group:
        for number in range(times):
            group.start_soon(run, number)
    return results
