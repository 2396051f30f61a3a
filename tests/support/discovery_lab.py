"""A control plane that behaves as told, a question to it, and virtual time."""

from __future__ import annotations

import asyncio
import json
import selectors
import ssl
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Hashable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from directlane import (
    AddressSource,
    Conversation,
    DiscoveryRefused,
    DiscoveryThrottled,
    DiscoveryUnreadable,
    EmptyAnswer,
    Endpoint,
    PollContext,
    Reply,
    Snapshot,
)
from directlane.core.clock import SYSTEM_CLOCK
from directlane.core.config.model import DiscoverySettings
from directlane.core.discovery.asking import Asker
from directlane.core.discovery.budget import LocalBudgetKeeper
from directlane.core.discovery.local import LocalRunner
from directlane.core.emulation.server import Ending, LoopbackServer, ServerReply, ServerRequest, json_reply
from directlane.core.interfaces.discovery import Query, RateBudget
from directlane.core.retry_after import retry_after

__all__ = [
    "FAULTS",
    "SECRET",
    "Ask",
    "ControlPlane",
    "Told",
    "VirtualLoop",
    "asker",
    "drip",
    "hub_threads",
    "nobody",
    "quick",
    "run_virtual",
]

T = TypeVar("T")

SECRET = "s3cr3t-t0ken"
"""Stands in the query and in a header of every question; must appear nowhere else."""


def quick(**changes: object) -> DiscoverySettings:
    """Settings for tests that do not want to wait."""
    settings: dict[str, object] = {"interval": 0.03, "jitter": 0.0, "timeout": 0.15, **changes}
    return DiscoverySettings.model_validate(settings)


@dataclass(frozen=True)
class Ask:
    """The question: the hosts of the answer are endpoints."""

    url: str
    name: str = "q"
    budgets: tuple[RateBudget, ...] = ()
    addresses: AddressSource = AddressSource.LEARNED
    empty_answer: EmptyAnswer = EmptyAnswer.REFUSE

    @property
    def identity(self) -> Hashable:
        return self.url, self.name

    def poll(self, context: PollContext) -> Conversation:
        headers = (("authorization", f"Bearer {SECRET}"), ("x-renew", str(context.reauthenticate)), ("x-q", self.name))
        reply = yield Query(f"{self.url}/list?token={SECRET}", headers=headers, budgets=self.budgets)
        return read(reply)


@asynccontextmanager
async def asker(limit: float = 30.0, local: LocalRunner | None = None) -> AsyncGenerator[Asker, None]:
    """Asks for one poller, over real sockets."""
    tls = ssl.create_default_context()
    made = Asker("test", tls, LocalBudgetKeeper(SYSTEM_CLOCK), local or LocalRunner(), limit)
    try:
        yield made
    finally:
        await made.close()


def read(reply: Reply) -> Snapshot:
    if reply.status == 429:
        raise DiscoveryThrottled("asked too often", retry_after=retry_after(reply.headers))
    if reply.status != 200:
        raise DiscoveryRefused(f"status {reply.status}", status=reply.status)
    try:
        hosts = reply.json()["hosts"]
        return Snapshot(tuple(Endpoint(host, 80) for host in hosts))
    except (ValueError, TypeError, KeyError) as error:
        raise DiscoveryUnreadable("not the answer that we know") from error


async def drip() -> AsyncIterator[bytes]:
    while True:
        yield b" "
        await asyncio.sleep(0.01)


Behaviour = Callable[[ServerRequest], ServerReply]

FAULTS: dict[str, Behaviour] = {
    "500": lambda _: ServerReply(500),
    "404": lambda _: ServerReply(404),
    "empty list": lambda _: json_reply({"hosts": []}),
    "html": lambda _: ServerReply(content=b"<html>hello</html>"),
    "half json": lambda _: ServerReply(content=b'{"hosts": ["10.0.'),
    "wrong types": lambda _: json_reply({"hosts": [1, None, "x:y"]}),
    "strangers": lambda _: json_reply({"hosts": ["8.8.8.8"]}),
    "cut off": lambda _: ServerReply(content=b'{"hosts": ["10.0.0.9"]}', ending=Ending.HALF),
    "reset": lambda _: ServerReply(ending=Ending.RESET),
    "hangs": lambda _: ServerReply(ending=Ending.HANG),
    "drips": lambda _: ServerReply(content=drip()),
}


class ControlPlane:
    """A control plane on loopback. `behaviour` may be replaced at any time."""

    def __init__(self, *hosts: str) -> None:
        self.asked: list[ServerRequest] = []
        self.arrived = threading.Semaphore(0)
        self.behaviour: Behaviour = self.serve(*hosts)
        self.server = LoopbackServer(self._handle)

    @staticmethod
    def serve(*hosts: str) -> Behaviour:
        body = json.dumps({"hosts": hosts}).encode()
        return lambda _: ServerReply(content=body)

    def _handle(self, request: ServerRequest) -> ServerReply:
        self.asked.append(request)
        self.arrived.release()
        return self.behaviour(request)

    def wait_asked(self, times: int = 1) -> None:
        """Return when so many more queries have arrived."""
        for _ in range(times):
            assert self.arrived.acquire(timeout=5), "nobody asked"

    @property
    def url(self) -> str:
        return self.server.url

    @classmethod
    def running(cls, *hosts: str) -> Iterator[ControlPlane]:
        plane = cls(*hosts)
        with plane.server:
            yield plane


@dataclass
class Told:
    """A listener that remembers."""

    lists: list[list[str]] = field(default_factory=list[list[str]])

    def __call__(self, belief: object) -> None:
        self.lists.append([endpoint.host for endpoint in getattr(belief, "endpoints")])  # noqa: B009


async def nobody(snapshot: Snapshot) -> None:
    """Takes the lists on the way of a conversation, and forgets them."""


_OURS = ("directlane-discovery", "directlane-lookup", "directlane-store")


def hub_threads() -> list[str]:
    """The threads of discovery that live."""
    return [thread.name for thread in threading.enumerate() if thread.name in _OURS]


class _Jumping(selectors.SelectSelector):
    """Waits for nobody: when nothing is ready, time jumps to the next timer."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "nothing will ever happen"
            self.now += max(timeout, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is virtual; also a clock."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def monotonic(self) -> float:
        return self.time()

    def unix(self) -> float:
        return self.time()


def run_virtual(main: Callable[[VirtualLoop], Coroutine[object, object, T]]) -> T:
    """Run a coroutine in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main(loop))
    finally:
        loop.close()
