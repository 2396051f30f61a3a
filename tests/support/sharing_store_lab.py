"""A store server in virtual time that may lose its memory, or begin again with an old one.

Each process sees it through a view of its own, as through a client: like the real stores, the server knows that its
memory was lost by what the views remember of it.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Self

from directlane.core.interfaces.discovery import RateBudget
from directlane.core.interfaces.store import Lease, Permit, Saved, Store
from directlane.core.stores.host_clock import StoreClock
from directlane.core.stores.memory_store import MemoryStore

__all__ = ["Server", "ServerView"]

_KEPT = ("_held", "_there", "_spent", "_published")


class Server:
    """What stands in the memory, and how often it was asked for."""

    def __init__(self, clock: StoreClock) -> None:
        self._clock = clock
        self._epochs = 0
        self.asked: Counter[str] = Counter()
        self._begin()
        self._run: int = 0
        self._saved_run: int = 0
        self._saved: dict[str, object] = {}

    def _begin(self) -> None:
        self.memory = MemoryStore(self._clock)
        self._epochs += 1
        self.epoch = self._epochs
        self._born_at: float | None = None
        self._lost_at = -math.inf

    def lose_memory(self) -> None:
        """As if its file was deleted, or the server began empty."""
        self._begin()
        self._saved = {}

    def save(self) -> None:
        """Write the memory to a disk."""
        self._saved = {name: copy.deepcopy(getattr(self.memory, name)) for name in _KEPT}

    def begin_with_what_was_saved(self) -> None:
        """As if the server broke down and began again with what it had on its disk: some moments are missing."""
        if self._saved:
            for name, value in copy.deepcopy(self._saved).items():
                setattr(self.memory, name, value)
            self._run += 1

    def met(self, view: ServerView, what: str) -> MemoryStore:
        self.asked[what] += 1
        now = self._clock.now()
        if self._born_at is None:
            self._born_at = now
        if view.epoch not in (None, self.epoch):
            self._lost_at = max(self._lost_at, self._born_at)
        view.epoch = self.epoch
        return self.memory

    def wait(self, budgets: Sequence[RateBudget], hold: float) -> float:
        if self._run != self._saved_run:
            self._saved_run = self._run
            self._lost_at = self._clock.now()
        return max(self._lost_at + hold + budget.window - self._clock.now() for budget in budgets)


class ServerView(Store):
    """The server, as one process sees it."""

    kind = "virtual"
    summary = "In virtual time."

    def __init__(self, server: Server) -> None:
        self._server = server
        self.epoch: int | None = None

    @classmethod
    def open(cls, place: str, environment: Mapping[str, str]) -> Self:
        raise NotImplementedError

    @property
    def identity(self) -> Hashable:
        return id(self)

    def lease(self, name: str, holder: str, ttl: float) -> Lease | float:
        return self._server.met(self, "lease").lease(name, holder, ttl)

    def release(self, lease: Lease) -> None:
        self._server.met(self, "release").release(lease)

    def attend(self, name: str, holder: str, ttl: float) -> int:
        return self._server.met(self, "attend").attend(name, holder, ttl)

    def take(self, budgets: Sequence[RateBudget], hold: float) -> Permit | float:
        memory = self._server.met(self, "take")
        wait = self._server.wait(budgets, hold)
        return wait if wait > 0 else memory.take(budgets, hold)

    def settle(self, permit: Permit) -> None:
        self._server.met(self, "settle").settle(permit)

    def cancel(self, permit: Permit) -> None:
        self._server.met(self, "cancel").cancel(permit)

    def spent(self, budget: RateBudget) -> int | None:
        return self._server.met(self, "spent").spent(budget)

    def publish(self, lease: Lease, data: bytes) -> bool:
        return self._server.met(self, "publish").publish(lease, data)

    def read(self, name: str, *, unless: str = "") -> Saved | None:
        return self._server.met(self, "read").read(name, unless=unless)

    def close(self) -> None:
        pass
