"""A store for the clients of one process, and for tests. Ends with the process."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from ..forks import on_fork
from ..interfaces.discovery import RateBudget
from ..interfaces.store import Lease, Permit, Saved, Store
from .host_clock import HostClock, StoreClock
from .rules import check_data, check_duration, check_names, merged, wait_for

__all__ = ["MemoryStore"]


@dataclass(slots=True)
class _Held:
    lease: Lease
    ends: float


@dataclass(slots=True)
class _Spent:
    longest: float = 0.0
    """The longest window that was asked for: until then a query is remembered."""
    ends: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class _Published:
    data: bytes
    version: str
    at: float


class MemoryStore(Store):
    """Mutable state: leases, who is there, budgets and lists; all under `_lock`.

    Args:
        clock: Source of time. Default: the host's.
    """

    kind = "memory"
    summary = "Within one process; nothing is kept when it ends."

    def __init__(self, clock: StoreClock | None = None) -> None:
        self._now = (clock if clock is not None else HostClock()).now
        self._held: dict[str, _Held] = {}
        self._there: dict[str, dict[str, float]] = {}
        self._spent: dict[str, _Spent] = {}
        self._published: dict[str, _Published] = {}
        self._numbers = itertools.count(1)
        self._place = object()  # nobody else has the same memory
        self._lock = threading.Lock()
        on_fork(self)

    @classmethod
    def open(cls, place: str, environment: Mapping[str, str]) -> Self:
        del environment
        if place:
            raise ValueError(f"a memory store has no place, so write 'memory:' without {place!r}")
        return cls()

    @property
    def identity(self) -> Hashable:
        return self.kind, self._place

    def after_fork_in_child(self) -> None:
        """The child goes on with a copy: another thread of the parent may have held the lock."""
        self._lock = threading.Lock()

    def lease(self, name: str, holder: str, ttl: float) -> Lease | float:
        check_names(name, holder)
        check_duration("ttl", ttl)
        with self._lock:
            now, held = self._now(), self._held.get(name)
            if held is not None and held.ends > now:
                if held.lease.holder != holder:
                    return held.ends - now
                held.ends = now + ttl
                return held.lease
            lease = Lease(name, holder, held.lease.fence + 1 if held is not None else 1)
            self._held[name] = _Held(lease, now + ttl)
            return lease

    def release(self, lease: Lease) -> None:
        with self._lock:
            held = self._held.get(lease.name)
            if held is not None and held.lease == lease:
                # The next fence must be higher all the same; and nobody publishes with this one any more.
                self._held[lease.name] = _Held(Lease(lease.name, "", lease.fence), self._now())

    def attend(self, name: str, holder: str, ttl: float) -> int:
        check_names(name, holder)
        check_duration("ttl", ttl)
        with self._lock:
            now, there = self._now(), self._there.get(name, {})
            self._there[name] = {one: ends for one, ends in there.items() if ends > now} | {holder: now + ttl}
            return len(self._there[name])

    def take(self, budgets: Sequence[RateBudget], hold: float) -> Permit | float:
        check_duration("hold", hold)
        by_name = merged(budgets)
        with self._lock:
            now, wait = self._now(), 0.0
            for name, group in by_name.items():
                spent = self._spent.setdefault(name, _Spent())
                spent.longest = max(spent.longest, *(budget.window for budget in group))
                spent.ends = {one: end for one, end in spent.ends.items() if end + spent.longest > now}
                ends = sorted(spent.ends.values())
                wait = max(wait, *(wait_for(_from_last(ends, budget.limit), budget.window, now) for budget in group))
            if wait > 0:
                return wait
            permit = Permit(str(next(self._numbers)), tuple(by_name))
            for name in by_name:
                self._spent[name].ends[permit.id] = now + hold
            return permit

    def settle(self, permit: Permit) -> None:
        with self._lock:
            for name in permit.budgets:
                self._spent.setdefault(name, _Spent()).ends[permit.id] = self._now()

    def cancel(self, permit: Permit) -> None:
        with self._lock:
            for name in permit.budgets:
                self._spent.setdefault(name, _Spent()).ends.pop(permit.id, None)

    def spent(self, budget: RateBudget) -> int:
        check_names(budget.name)
        with self._lock:
            known, now = self._spent.get(budget.name), self._now()
            return 0 if known is None else sum(end + budget.window > now for end in known.ends.values())

    def publish(self, lease: Lease, data: bytes) -> bool:
        check_data(data)
        with self._lock:
            held = self._held.get(lease.name)
            if held is None or held.lease != lease:
                return False
            self._published[lease.name] = _Published(data, str(next(self._numbers)), self._now())
            return True

    def read(self, name: str, *, unless: str = "") -> Saved | None:
        check_names(name)
        with self._lock:
            found = self._published.get(name)
            if found is None or found.version == unless:
                return None
            return Saved(found.data, found.version, max(0.0, self._now() - found.at))

    def close(self) -> None:
        """Nothing to let go of."""


def _from_last(ends: Sequence[float], number: int) -> float | None:
    """The last one (1), the one before it (2), and so on; None if there are not so many."""
    return ends[-number] if number <= len(ends) else None
