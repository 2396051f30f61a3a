"""One poller asks one question, again and again, for everybody in the process who wants to know.

The rules are in `belief`; here are the timer, the single flight and the telling. A poller's coroutine runs in the
hub's thread; its other methods may be called from any thread.
"""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Protocol

from ..clock import Clock
from ..config.model import DiscoverySettings
from ..endpoint import Snapshot
from ..errors import DiscoveryError, DiscoveryThrottled, headline
from ..interfaces.discovery import Discovery, PollContext
from .asking import Asker
from .belief import Belief, after_answer, after_failure, next_delay
from .budget import BudgetKeeper
from .conversation import converse, plugin_failure
from .link import StoreLink
from .local import LocalRunner
from .logins import Logins
from .shared_budget import Superseded
from .who_asks import WhoAsked
from .wishes import Wishes

__all__ = ["EARLY", "Listener", "Poller", "Take", "tell"]

_log = logging.getLogger("directlane.discovery")

Listener = Callable[[Belief], None]
"""Told of each belief that has another list. Must be quick and must not raise."""

EARLY = 0.2
"""An early question comes after this share of the interval at the soonest; each one that brings no news doubles it. So
an instance that is dead and stays listed cannot eat up a rate budget."""

_WATCH_AGAIN = (0.2, 1.0)
"""Seconds after which a watch that lived for longer than the interval is begun again, by chance: a control plane that
starts again is not asked by all of its clients in one moment. One that ends sooner is begun again after the interval:
it costs what polling costs."""


def tell(listener: Listener, belief: Belief) -> None:
    """Call a listener. One that raises is logged by its type and stops nobody else."""
    try:
        listener(belief)
    except Exception as error:  # noqa: BLE001 - the poller serves others too
        _log.error("a listener of discovery failed with %s", type(error).__name__)


class Take(Protocol):
    """Takes an answer."""

    def __call__(self, answer: Snapshot | DiscoveryError | None, *, goes_on: bool) -> Awaitable[None]:
        """Take one list, or what came of a question; None if a watch ended without news.

        Args:
            answer: What came.
            goes_on: Whether the question goes on, and more will come.
        """
        ...


class Poller:
    """Keeps one belief up to date.

    Mutable state: `belief` and the counters of wanted, begun and served questions, under `_changed`, which is never
    held for long; and the listeners, under `_telling`, which is held while they are told. The listeners are told before
    the belief is changed: who sees a new belief may rely on its listener having seen it too.
    """

    def __init__(
        self, name: str, discovery: Discovery, settings: DiscoverySettings, clock: Clock, random: Random
    ) -> None:
        self.name = name
        self.discovery = discovery
        self.settings = settings
        self._clock = clock
        self._random = random
        self._listeners: list[Listener] = []
        self.belief: Belief = Belief()
        self._fruitless = 0
        self.link: StoreLink | None = None
        """What the question is shared through with other processes; set by the hub."""
        self.revive()

    def revive(self) -> None:
        """Keep what is known and nothing else: for a new poller, and after a fork, where locks that other threads held
        stay locked for ever and the listeners belong to the parent."""
        self._telling = threading.RLock()  # a listener may give its share back
        self._changed = threading.Condition()
        self._listeners = []
        self.on_wish: Callable[[], None] | None = None
        """Called when a question is wanted and none was; set by who runs the poller."""
        self._reauthenticate = False
        self._is_renewing = False
        self._is_asked_for = False
        self._is_watching = False
        self._began_at = 0.0
        self._watched = 0.0
        self._wanted = self._begun = self._served = 0
        self._is_over = False
        self.asked: WhoAsked | None = None
        """Who asked last, of those that share the question; None if nobody is known, or it is not shared."""

    # --- from any thread ---------------------------------------------------------------------------------------------

    def add_listener(self, listener: Listener) -> None:
        """Tell `listener` of the belief as it is, and then of each other list."""
        with self._telling:
            self._listeners.append(listener)
            if self.belief.snapshot is not None:
                tell(listener, self.belief)

    def remove_listener(self, listener: Listener) -> None:
        """Do not tell `listener` any more. When this returns, it is not being told (unless it is who calls)."""
        with self._telling, suppress(ValueError):
            self._listeners.remove(listener)

    def ask_soon(self, *, reauthenticate: bool = False) -> int:
        """Ask before the interval is over. Returns a ticket for `wait_served`. Never blocks.

        A wish that comes before the poller runs is served by its first question. Where asking cannot help any more
        (`Belief.is_hopeless`), nothing is asked and the ticket counts as served.
        """
        with self._changed:
            if self.belief.is_hopeless:
                return self._served
            if self._is_watching and not reauthenticate:
                return self._begun  # a watch is fresh by itself
            if reauthenticate and self._is_renewing:
                # Calls that failed with the old credential while the new one is fetched: one renewal serves them all.
                return self._begun
            self._reauthenticate |= reauthenticate
            # A question that is wanted and not begun serves this wish too: a thousand failed calls ask once.
            is_new = self._wanted == self._begun
            self._wanted += is_new
            ticket, wake = self._wanted, self.on_wish
        if wake is not None and is_new:
            wake()
        return ticket

    def wait_served(self, ticket: int, timeout: float) -> bool:
        """Wait until a question that was asked after the ticket was given has ended; False if none did."""
        with self._changed:
            self._changed.wait_for(lambda: self._served >= ticket or self._is_over, timeout)
            return self._served >= ticket

    def wait_ready(self, timeout: float, *, or_asked: bool = False) -> bool:
        """Wait for a list with endpoints; False after `timeout` seconds, or at once if there cannot be one.

        Args:
            timeout: Seconds to wait at most.
            or_asked: Wait only until the first question has ended, well or badly.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_settled(or_asked=or_asked), timeout)
            return self.is_ready

    @property
    def is_ready(self) -> bool:
        """Whether what was asked for is there."""
        return bool(self.belief.endpoints)

    def _is_settled(self, *, or_asked: bool) -> bool:
        belief = self.belief
        return self.is_ready or belief.is_hopeless or self._is_over or (or_asked and belief.questions > 0)

    def retire(self) -> None:
        """Nobody wants to know any more: let go who still waits."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    # --- in the hub's thread -----------------------------------------------------------------------------------------

    async def run(
        self, keeper: BudgetKeeper, tls: ssl.SSLContext, local: LocalRunner, logins: Logins | None = None
    ) -> None:
        """Ask until that is hopeless; ends by cancellation."""
        event = asyncio.Event()
        wishes = Wishes(event.set)
        self.on_wish = wishes.from_any_thread()
        asker = Asker(self.discovery.identity, tls, keeper, local, self.settings.timeout, logins)
        try:
            while not self.belief.is_hopeless:
                await self.ask(asker, wishes, self._take)
                await self._rest(event)
        finally:
            await asker.close()

    async def _rest(self, event: asyncio.Event) -> None:
        """Sleep until the next question is due, or wanted and allowed."""
        gap, delay = self.rest()
        if math.isinf(gap):
            return
        await asyncio.sleep(gap)
        with suppress(TimeoutError):
            async with asyncio.timeout(None if math.isinf(delay) else delay - gap):
                while not self.is_wanted:
                    event.clear()  # of a wish that was served meanwhile; a newer one sets it again after this
                    await event.wait()

    async def ask(self, asker: Asker, wishes: Wishes, take: Take) -> None:
        """Ask once. Whoever takes the answers decides what becomes of them.

        Args:
            asker: Asks.
            wishes: Ends a watch when there is a wish that it does not serve.
            take: Takes each list on the way, and what came of the question as a whole.

        Raises:
            Superseded: Another process asks this question now.
        """
        context = self.begin()
        answer: Snapshot | DiscoveryError | None

        async def tell(snapshot: Snapshot) -> None:
            await take(snapshot, goes_on=True)
            wishes.watch = patience
            if self.is_wanted:
                wishes.tell()

        try:
            async with asyncio.timeout(None) as patience:
                answer = await converse(self.discovery, context, asker, tell)
        except TimeoutError:  # a wish that the watch does not serve
            answer = None
        except DiscoveryError as error:
            answer = error
        except Superseded:
            raise
        except Exception as error:  # noqa: BLE001 - a mistake, ours or a plug-in's: the poller goes on
            answer = plugin_failure(error)
        finally:
            wishes.watch = None
        await take(answer, goes_on=False)

    async def _take(self, answer: Snapshot | DiscoveryError | None, *, goes_on: bool) -> None:
        if goes_on and isinstance(answer, Snapshot):
            self.hear(answer)
        else:
            self.end(answer)

    # --- without I/O: for whoever runs it, in real time or in virtual time -------------------------------------------

    def begin(self) -> PollContext:
        """A question begins. What it may know."""
        with self._changed:
            self._is_asked_for = self._wanted > self._served
            self._begun = self._wanted
            self._is_renewing, self._reauthenticate = self._reauthenticate, False
        self._began_at = self._clock.monotonic()
        return PollContext(self._clock.unix(), previous=self.belief.snapshot, reauthenticate=self._is_renewing)

    def set_aside(self) -> None:
        """The question that was begun will have no answer here: who wanted one still wants it."""
        with self._changed:
            self._is_watching = False
            self._reauthenticate |= self._is_renewing
            self._is_renewing = False
            self._begun = self._served

    def hear(self, answer: Snapshot) -> None:
        """A list came, and the question goes on: believe what is to be believed, and tell.

        From now on this is a watch. It serves all wishes but those for another credential; `is_wanted` says whether
        there is one, which ends the watch.
        """
        self.believe(self.judge(answer), goes_on=True)

    def end(self, answer: Snapshot | DiscoveryError | None) -> None:
        """The question has ended: believe what is to be believed, and tell. None: a watch ended without news."""
        self.believe(self.judge(answer) if answer is not None else None)

    def judge(self, answer: Snapshot | DiscoveryError, confirmed_at: float | None = None) -> Belief:
        """What there would be to believe after this answer. Changes nothing.

        Args:
            answer: What came of a question.
            confirmed_at: When the answer was had, on the monotonic clock. Default: now.
        """
        before = self.belief
        try:
            if isinstance(answer, Snapshot):
                after = after_answer(
                    before,
                    answer,
                    self._clock.monotonic() if confirmed_at is None else confirmed_at,
                    source=self.discovery.addresses,
                    empty=self.discovery.empty_answer,
                    networks=self.settings.allow_networks,
                )
            else:
                after = after_failure(before, answer)
        except Exception as error:  # noqa: BLE001 - its properties are a plug-in's too
            after = after_failure(before, plugin_failure(error))
        if self._is_watching and after.error is None:
            after = replace(after, questions=before.questions)  # another answer to the same question
        return after

    def believe(self, after: Belief | None, *, goes_on: bool = False) -> None:
        """Believe this, and tell. None: nothing new.

        Args:
            after: What `judge` said.
            goes_on: Whether the question goes on; see `hear`.
        """
        with self._changed:
            was_watching, self._is_watching = self._is_watching, goes_on
            if goes_on and not self._reauthenticate:
                self._begun = self._wanted
        if goes_on:
            self._watched = 0.0
        else:
            self._watched = self._clock.monotonic() - self._began_at if was_watching else 0.0
        if after is not None:
            self._publish(self.belief, after, was_wanted=self._is_asked_for)
        if goes_on:
            self._is_asked_for = False

    def rest(self) -> tuple[float, float]:
        """Seconds until the next question may come, if it is wanted, and until it comes in any case.

        Infinity: never.
        """
        belief = self.belief
        delay = next_delay(belief, self._random, interval=self.settings.interval, jitter=self.settings.jitter)
        if belief.is_hopeless:
            return math.inf, math.inf
        if isinstance(belief.error, DiscoveryThrottled):
            return delay, delay  # no wish makes it sooner
        if self._watched >= self.settings.interval and not math.isinf(delay):
            delay = min(delay, self._random.uniform(*_WATCH_AGAIN))
        return min(delay, self._gap()), delay

    def _gap(self) -> float:
        """Seconds between a question and the next one, if that is wanted."""
        return self.settings.interval * EARLY * 2.0 ** min(self._fruitless, 8)

    @property
    def is_wanted(self) -> bool:
        """Whether somebody wants a question that has not begun."""
        return self._wanted != self._begun

    def _publish(self, before: Belief, after: Belief, *, was_wanted: bool) -> None:
        self._log_change(before, after)
        is_news = after.snapshot is not None and (before.snapshot is None or before.endpoints != after.endpoints)
        self._fruitless = self._fruitless + 1 if was_wanted and not is_news else 0
        with self._telling:
            for listener in tuple(self._listeners) if is_news else ():
                if listener in self._listeners:  # one that was told before it may have taken it away
                    tell(listener, after)
            with self._changed:
                self.belief = after
                self._is_renewing = False
                self._served = self._begun if not after.is_hopeless else self._wanted
                self._changed.notify_all()

    def _log_change(self, before: Belief, after: Belief) -> None:
        _log_change(self.name, before, after)
        self._log_warnings(before, after)

    def _log_warnings(self, before: Belief, after: Belief) -> None:
        known = before.snapshot.warnings if before.snapshot is not None else ()
        for warning in after.snapshot.warnings if after.snapshot is not None else ():
            if warning not in known:
                _log.warning("%s: %s", self.name, warning)


def _log_change(name: str, before: Belief, after: Belief) -> None:
    """One line for each change of state, not one for each poll."""
    kept = f"; {len(after.endpoints)} known endpoints stay in use" if after.endpoints else ""
    if after.error is not None:
        if after.is_hopeless:
            _log.error("%s: discovery fails and is not tried again: %s%s", name, headline(after.error), kept)
        elif before.error is None:
            _log.warning("%s: discovery fails: %s%s", name, headline(after.error), kept)
    elif before.error is not None:
        _log.info("%s: discovery works again after %d failures", name, before.failures_in_row)
    if after.is_empty and not before.is_empty:
        _log.warning("%s: the answer says that nobody serves%s", name, kept)
    if before.endpoints != after.endpoints:
        _log.info("%s: %d endpoints (%d before)", name, len(after.endpoints), len(before.endpoints))
    rejected = after.snapshot.rejected if after.snapshot is not None else ()
    if rejected and (before.snapshot is None or rejected != before.snapshot.rejected):
        _log.warning("%s: %d entries are left out, the first: %s", name, len(rejected), rejected[0])
