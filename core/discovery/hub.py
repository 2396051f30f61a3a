"""The hub: one thread in the process that runs all pollers and timers, and the sharing of pollers between clients.

Two clients that ask the same question in the same way share one poller. The thread starts with the first poller or
timer and ends with the last. It is a daemon and holds nothing that must be saved, so a program that exits without
`close()` is not held up. After a fork the child has no thread and no timers; what was known stays known, and the thread
starts again when the child first needs it.
"""

from __future__ import annotations

import atexit
import math
import ssl
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Protocol

import httpx

from ..clock import SYSTEM_CLOCK, Clock
from ..config.model import DiscoverySettings
from ..forks import on_fork
from ..interfaces.discovery import Discovery, Upkeep
from ..interfaces.store import Store
from ..timers import Cancel, Timers, run_logged
from .budget import BudgetLedger
from .hub_thread import HubThread
from .link import StoreLink
from .local import LocalRunner
from .poller import Listener, Poller, tell
from .subscription import Fixed, Share, Subscription, fixed_belief
from .upkeep import UpkeepPoller

__all__ = ["DiscoveryHub", "PollerRunner", "place_of", "process_hub"]

_JOIN_LIMIT = 5.0


class PollerRunner(Protocol):
    """Runs pollers: in a thread, or in virtual time."""

    def start(self, poller: Poller) -> None:
        """Let the poller ask, from now on."""
        ...

    def stop(self, poller: Poller) -> None:
        """End the poller, whatever it is doing. Harmless when called again."""
        ...


@dataclass(slots=True)
class _Shared:
    poller: Poller
    shares: set[Share]


class _Timer:
    """Something that is to happen in the thread."""

    def __init__(self, hub: DiscoveryHub, when: float, action: Callable[[], None]) -> None:
        self.when = when
        self.action = action
        self._hub = hub

    def ring(self) -> None:
        self._hub.ring(self)

    def cancel(self) -> None:
        self._hub.drop(self)


class DiscoveryHub:
    """Shares pollers, and keeps timers. Mutable state: pollers, timers and the thread; all under `_lock`.

    Args:
        clock: Source of time.
        random: Source of chance for the jitter.
        timers: Who keeps the timers. Default: the thread of the hub.
        runner: Who runs the pollers. Default: the thread of the hub.
    """

    def __init__(
        self,
        clock: Clock = SYSTEM_CLOCK,
        random: Random | None = None,
        *,
        timers: Timers | None = None,
        runner: PollerRunner | None = None,
    ) -> None:
        self._clock = clock
        self._other_timers = timers
        self._other_runner = runner
        self._timers: set[_Timer] = set()
        self._random = random if random is not None else Random()
        self._shared: dict[Hashable, _Shared] = {}
        self._inherited: dict[Hashable, Poller] = {}  # of the parent, after a fork: what it knew
        self._thread: HubThread | None = None
        self._tls: ssl.SSLContext | None = None
        self._ledger = BudgetLedger()  # outlives the thread: so do the limits
        self._local = LocalRunner()  # so does what hangs
        self._links: dict[Hashable, StoreLink] = {}  # and what was spent while a store was gone
        self._lock = threading.Lock()
        on_fork(self)

    def subscribe(
        self,
        name: str,
        discovery: Discovery,
        settings: DiscoverySettings,
        listener: Listener,
        store: Store | None = None,
    ) -> Subscription:
        """A share in the poller for this question. `listener` is told of each list, at once if there is one already.

        Args:
            name: Who asks, for log lines.
            discovery: What to ask.
            settings: How to ask. Only clients with equal settings share a poller.
            listener: Called in the hub's thread, or here and now for what is known already. One that raises is logged.
            store: Share the question and its rate limits with all processes that use this store. Default: this process
                asks for itself.
        """
        fixed = fixed_belief(discovery, settings, self._clock)
        if fixed is not None:
            tell(listener, fixed)
            return Fixed(fixed)
        key = (discovery.identity, settings, place_of(store))
        make = partial(Poller, name, discovery, settings, self._clock, self._random)
        return self._share(key, make, listener, store)

    def keep(
        self,
        name: str,
        upkeep: Upkeep,
        settings: DiscoverySettings,
        listener: Listener,
        store: Store | None = None,
    ) -> Subscription:
        """A share in the poller that runs this upkeep: one for each process, whatever else is shared.

        Args:
            name: Who needs it, for log lines.
            upkeep: What to keep fresh.
            settings: How to ask.
            listener: Called when it has succeeded for the first time; as for `subscribe`.
            store: Share its rate limits with all processes that use this store. Default: nobody.
        """
        key = ("upkeep", upkeep.identity, settings, place_of(store))
        make = partial(UpkeepPoller, name, upkeep, settings, self._clock, self._random)
        return self._share(key, make, listener, store)

    def _share(
        self, key: Hashable, make: Callable[[], Poller], listener: Listener, store: Store | None
    ) -> Subscription:
        with self._lock:
            start = self._starter()
            shared = self._shared.get(key)
            if shared is None:
                poller = self._inherited.pop(key, None)
                if poller is None:
                    poller = make()
                poller.link = self._link(store)
                shared = self._shared[key] = _Shared(poller, set())
                start(poller)
            share = Share(shared.poller, listener, partial(self.leave, key))
            shared.shares.add(share)
        shared.poller.add_listener(listener)
        return share

    def call_at(self, when: float, action: Callable[[], None]) -> Cancel:
        """Run `action` in the hub's thread at `when` on the monotonic clock, or later; see `Timers`."""
        if self._other_timers is not None:
            return self._other_timers.call_at(when, action)
        timer = _Timer(self, when, action)
        with self._lock:
            self._running().call_later(when - self._clock.monotonic(), timer.ring)
            self._timers.add(timer)
        return timer.cancel

    def call_soon(self, action: Callable[[], None]) -> None:
        """Run `action` in the hub's thread; see `Timers`."""
        if self._other_timers is not None:
            self._other_timers.call_soon(action)
        else:
            self.call_at(-math.inf, action)

    def ring(self, timer: _Timer) -> None:
        """The time of a timer has come, by the clock of the event loop. In the thread."""
        left = timer.when - self._clock.monotonic()
        with self._lock:
            if timer not in self._timers:
                return
            if left > 0 and self._thread is not None:
                self._thread.call_later(left, timer.ring)
                return
        run_logged(timer.action)
        # Only now: if the action sets the next timer, the thread goes on.
        self.drop(timer)

    def drop(self, timer: _Timer) -> None:
        """Forget a timer. Harmless for one that is forgotten, or was the parent's."""
        with self._lock:
            if timer not in self._timers:
                return
            self._timers.remove(timer)
            closing = self._unused()
        if closing is not None:
            closing.close(_JOIN_LIMIT)

    def _starter(self) -> Callable[[Poller], None]:
        if self._other_runner is not None:
            return self._other_runner.start
        if self._tls is None:
            # 20 ms of work, so once for all. Here, not in the thread: it imports; see `hub_thread`.
            self._tls = httpx.create_ssl_context(trust_env=False)
        return partial(self._running().start, tls=self._tls)

    def _link(self, store: Store | None) -> StoreLink | None:
        """The one link of this process to this store."""
        if store is None:
            return None
        link = self._links.get(store.identity)
        if link is None:
            link = self._links[store.identity] = StoreLink(store, self._clock, self._random)
        return link

    def _running(self) -> HubThread:
        if self._thread is None:
            self._thread = HubThread(self._clock, self._ledger, self._local, self._random)
        return self._thread

    def _unused(self) -> HubThread | None:
        """The thread, if nobody needs it any more: to be closed when the lock is free."""
        if self._shared or self._timers:
            return None
        closing, self._thread = self._thread, None
        return closing

    @property
    def pollers(self) -> int:
        """How many questions are asked now."""
        return len(self._shared)

    def leave(self, key: Hashable, share: Share) -> None:
        """Give one share back: the other half of `subscribe`. Harmless for one that is back, or was the parent's."""
        with self._lock:
            shared = self._shared.get(key)
            if shared is None or share not in shared.shares:
                return
            shared.shares.remove(share)
            if shared.shares:
                return
            del self._shared[key]
            runner = self._other_runner or self._thread
            if runner is not None:
                runner.stop(shared.poller)
            closing = self._unused()
        shared.poller.retire()
        if closing is not None:
            closing.close(_JOIN_LIMIT)

    def after_fork_in_child(self) -> None:
        """Forget the parent's thread and clients; keep what is known and what was spent."""
        self._lock = threading.Lock()
        if self._thread is not None:
            atexit.unregister(self._thread.close)
        self._thread = None
        self._ledger.after_fork_in_child(self._clock.monotonic())
        self._local.after_fork_in_child()
        self._links = {}  # the child is somebody else in the store, and holds no lease
        self._inherited.update((key, shared.poller) for key, shared in self._shared.items())
        self._shared = {}
        self._timers = set()
        for poller in self._inherited.values():
            poller.revive()


def place_of(store: Store | None) -> Hashable:
    """Equal for two configurations that share through the same place; None for those that share nothing."""
    return None if store is None else store.identity


# --- the process ------------------------------------------------------------------------------------------------------

_process: dict[str, DiscoveryHub] = {}
"""What exists once in a process, made when it is first needed."""


def process_hub() -> DiscoveryHub:
    """The hub that all clients of this process share unless they are given another one.

    The one process-wide object of directlane: "one poller for all clients that ask the same" cannot be had without it.
    """
    # `setdefault` is atomic, and a lock would be one more that a fork can leave locked.
    return _process.get("hub") or _process.setdefault("hub", DiscoveryHub())
