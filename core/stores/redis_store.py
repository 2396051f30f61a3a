"""A store for processes on several hosts: a Redis or Valkey server (from Redis 6 on, not in cluster mode).

Each method is one script inside the server, on the server's clock. What happens when the server loses its memory stands
in `redis_scripts`; what errors mean, in `redis_errors`.
"""

from __future__ import annotations

import importlib.util
import secrets
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from ..forks import on_fork
from ..interfaces.discovery import RateBudget
from ..interfaces.store import Lease, Permit, Saved, Store
from .redis_place import RedisPlace
from .redis_scripts import ATTEND, CANCEL, LEASE, PUBLISH, READ, RELEASE, SETTLE, SPENT, TAKE, Script
from .rules import check_data, check_duration, check_names, merged

if TYPE_CHECKING:
    from .redis_client import RedisClient

__all__ = ["RedisStore"]

_PATIENCE = 2.0
"""Seconds to wait for a connection, and for an answer."""


class RedisStore(Store):
    """Mutable state: the client and the epoch of the server that we know.

    Args:
        place: The server.
        patience: Seconds to wait for a connection, and for each answer.
        clock: Seconds, instead of the server's time. For tests.
    """

    kind: ClassVar[str] = "redis"
    summary: ClassVar[str] = "Among processes on several hosts; a Redis or Valkey server."
    capabilities: ClassVar[frozenset[str]] = frozenset({"hosts", "lasting", "processes"})
    schemes: ClassVar[tuple[str, ...]] = ("redis", "rediss", "unix")

    def __init__(
        self, place: RedisPlace, *, patience: float = _PATIENCE, clock: Callable[[], float] | None = None
    ) -> None:
        self.place = place
        self._patience = patience
        self._clock = clock
        self._client: RedisClient | None = None
        self._epoch = b""
        self._lock = threading.Lock()
        self._of_parent: list[RedisClient] = []
        on_fork(self)

    @classmethod
    def open(cls, place: str, environment: Mapping[str, str]) -> Self:
        del environment
        if importlib.util.find_spec("redis") is None:
            raise ValueError("a Redis store needs a package that is not installed: pip install 'directlane[redis]'")
        # Here, in the caller's thread: a fork while another thread imports leaves the lock of that import closed.
        _client_class()
        return cls(RedisPlace.from_url(place))

    @property
    def identity(self) -> Hashable:
        return self.kind, self.place.identity

    def __str__(self) -> str:
        return str(self.place)

    def after_fork_in_child(self) -> None:
        """A connection must not be used, nor closed, by a child."""
        self._lock = threading.Lock()
        if self._client is not None:
            self._of_parent.append(self._client)
            self._client = None

    def lease(self, name: str, holder: str, ttl: float) -> Lease | float:
        check_names(name, holder)
        check_duration("ttl", ttl)
        word, value = self._run(LEASE, [self.place.key("lease", name)], holder, _micros(ttl))
        return _seconds(value) if word == b"held" else Lease(name, holder, int(value))

    def release(self, lease: Lease) -> None:
        self._run(RELEASE, [self.place.key("lease", lease.name)], lease.holder, lease.fence)

    def attend(self, name: str, holder: str, ttl: float) -> int:
        check_names(name, holder)
        check_duration("ttl", ttl)
        _, count = self._run(ATTEND, [self.place.key("there", name)], holder, _micros(ttl))
        return int(count)

    def take(self, budgets: Sequence[RateBudget], hold: float) -> Permit | float:
        check_duration("hold", hold)
        by_name = merged(budgets)
        permit = Permit(secrets.token_hex(8), tuple(by_name))
        limits: list[int] = []
        for number, group in enumerate(by_name.values(), start=1):
            for budget in group:
                limits += [number, budget.limit, _micros(budget.window)]
        word, *rest = self._run(TAKE, self._budget_keys(permit), permit.id, _micros(hold), *limits)
        return permit if word == b"taken" else _seconds(rest[0])

    def settle(self, permit: Permit) -> None:
        self._run(SETTLE, self._budget_keys(permit), permit.id)

    def cancel(self, permit: Permit) -> None:
        self._run(CANCEL, self._budget_keys(permit), permit.id)

    def spent(self, budget: RateBudget) -> int:
        check_names(budget.name)
        word, *rest = self._run(SPENT, [self.place.key("spent", budget.name)], _micros(budget.window))
        return budget.limit if word == b"lost" else int(rest[0])

    def publish(self, lease: Lease, data: bytes) -> bool:
        check_data(data)
        keys = [self.place.key("lease", lease.name), self.place.key("saved", lease.name)]
        (word,) = self._run(PUBLISH, keys, lease.holder, lease.fence, secrets.token_hex(8), data)
        return word == b"saved"

    def read(self, name: str, *, unless: str = "") -> Saved | None:
        check_names(name)
        word, *rest = self._run(READ, [self.place.key("saved", name)], unless)
        if word != b"saved":
            return None
        version, age, data = rest
        return Saved(data, version.decode(), _seconds(age))

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    # --- the server ---------------------------------------------------------------------------------------------------

    def _run(self, script: Script, keys: list[str], *arguments: str | int | bytes) -> list[bytes]:
        now = 0 if self._clock is None else _micros(self._clock())
        head: tuple[str | int | bytes, ...] = (now, self._epoch, secrets.token_hex(8))
        epoch, *answer = self._ready().run(script, [self.place.key("epoch"), *keys], [*head, *arguments])
        # Threads that meet a new epoch together all say so: the server takes it once.
        self._epoch = epoch
        return answer

    def _ready(self) -> RedisClient:
        client = self._client
        if client is None:
            make = _client_class()
            with self._lock:
                client = self._client = self._client or make(self.place, self._patience)
        return client

    def _budget_keys(self, permit: Permit) -> list[str]:
        return [self.place.key(word, name) for name in permit.budgets for word in ("spent", "window")]


def _client_class() -> type[RedisClient]:
    """Imports redis-py, which is an extra."""
    from .redis_client import RedisClient

    return RedisClient


def _micros(seconds: float) -> int:
    return max(1, round(seconds * 1e6))


def _seconds(micros: bytes) -> float:
    return int(micros) / 1e6
