"""Asks one question together with other processes: the I/O around `shared_question`.

Two things go on at the same time. The chores keep the lease and read what others publish; the asking waits until the
question is due and this process is the one to ask. So a lease is renewed while a query waits for its answer, or for a
place in a rate limit.
"""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import suppress
from functools import partial
from random import Random

from ..clock import Clock
from ..endpoint import Snapshot
from ..errors import DiscoveryError, DiscoveryThrottled
from ..interfaces.store import Lease, Saved, StoreUnavailable
from .asking import Asker
from .belief import Belief
from .handover import STEP_BACK, HandOver
from .hearing import Hearing
from .link import Signal, StoreLink
from .poller import Poller
from .publication import Publication, pack, unpack
from .saved_list import SavedListUnreadable, pack_list
from .shared_budget import SharedBudgetKeeper, Superseded, stored_name
from .shared_credential import SharedCredential
from .shared_question import LEASE, Chore, Role, SharedQuestion
from .shared_wishes import SharedWishes
from .turn import Turn
from .who_asks import AskerLog, WhoAsked
from .wishes import Wishes

__all__ = ["SharedPolling"]

_log = logging.getLogger("directlane.discovery")

_SPREAD = 0.25
"""Seconds over which those spread out who wait for a lease to end."""

_ATTENDING = 8.0
_SLOW_START = 5.0


class SharedPolling:
    """Mutable state: the question, its pace, and what was published last. Used in the hub's thread.

    Args:
        poller: Whose question it is.
        link: To the store.
        name: Of the question, in the store; None if each process asks for itself.
        credential: The name of its credential in the store; None if none can be refused for good.
        random: Source of chance.
    """

    def __init__(
        self, poller: Poller, link: StoreLink, name: str | None, credential: str | None, random: Random
    ) -> None:
        self._poller = poller
        self._link = link
        self._name = name if name is not None else ""
        self._random = random
        self._clock: Clock = link.clock
        # Unlike that of other pollers of this process with the same question and other settings.
        self._holder = f"{link.holder}.{random.getrandbits(32):08x}"
        self.question: SharedQuestion = SharedQuestion(self._clock.monotonic())
        self.keeper: SharedBudgetKeeper = SharedBudgetKeeper(link, poller.settings.timeout, self._may_ask)
        self._credential: SharedCredential | None = None
        if credential is not None:
            self._credential = SharedCredential(link, credential, self._holder, self._may_ask)
        self._turn = Turn(poller, self._clock, random)
        self._changed = Signal()  # of this question only: a process may have hundreds
        self._wishes = Wishes(self._changed.fire)
        self._hearing = Hearing(poller, str(link.store))
        self._hand_over = HandOver()
        self._leads_since = 0.0
        self._lease: Lease | None = None
        self._began = -math.inf
        self._version = ""
        self._unreadable = ""
        self._wished_at = -math.inf
        self._shared_wishes = SharedWishes(link, self._name)
        self._asker_log = AskerLog(poller.name)

    async def run(self, asker: Asker) -> None:
        """Ask, or hear, until that is hopeless; ends by cancellation."""
        self._poller.on_wish = self._wishes.from_any_thread()
        self._link.watch(self._store_changed)
        self._store_changed()
        # No task group: what breaks here is to be told as it is, not in a group.
        both = [asyncio.ensure_future(self._do_chores()), asyncio.ensure_future(self._ask_when_due(asker))]
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_EXCEPTION)
            for one in done:
                one.result()
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            self._link.unwatch(self._store_changed)
            await self._leave()

    async def _leave(self) -> None:
        lease, self.question.lease = self.question.lease, None
        if lease is not None:
            await self._link.last_word(lambda store: store.release(lease))

    def _may_ask(self) -> bool:
        return self.question.may_ask

    def _store_changed(self) -> None:
        if self._link.is_up and self._name:
            self.question.store_found(self._clock.monotonic())
        else:
            self.question.store_lost()
        self._role_changed()

    def _role_changed(self) -> None:
        # A wish that was told to the leader before may be ours to serve now, and the other way round.
        self._poller.set_aside()
        self._shared_wishes.forget()
        self._plan()
        if not self.question.may_ask:
            self._wishes.tell()  # a watch is somebody else's now
        self._changed.fire()
        self._link.changed.fire()

    # --- chores -------------------------------------------------------------------------------------------------------

    async def _do_chores(self) -> None:
        began_at = self._clock.monotonic()
        while not self._poller.belief.is_hopeless:
            if self.question.role is Role.ALONE or not self._link.is_up:
                await self._changed.wait(None)
                continue
            chore, wait = self.question.next_chore(self._clock.monotonic())
            try:
                if self.question.role is Role.READER:
                    await self._wish()
                if wait > 0:
                    await self._changed.wait(wait)
                else:
                    await self._do(chore)
            except StoreUnavailable:
                continue  # the link has told everybody
            self._excuse(began_at)

    async def _do(self, chore: Chore) -> None:
        now, link = self._clock.monotonic(), self._link
        match chore:
            case Chore.LEASE:
                if self._hand_over.given_up and self.question.lease is None:
                    await self._look()  # has it been given back a moment ago? Then others come first
                    if self.question.next_chore(now) != (chore, 0.0):
                        return
                got = await link.ask(lambda store: store.lease(self._name, self._holder, LEASE))
                if self.question.role is Role.ALONE:
                    return  # the store was lost by another question of this process meanwhile
                if self.question.leased(got, now, late=self._random.random() * _SPREAD):
                    self._role_changed()
                    self._leads_or_not()
                return
            case Chore.READ:
                await self._look()
            case Chore.LISTEN:
                renew = await self._shared_wishes.heard(self.question.asked_at)
                if renew is not None:
                    self._poller.ask_soon(reauthenticate=renew)
            case Chore.COUNT:
                names = tuple(map(stored_name, self._turn.budgets))
                counts = await link.ask(lambda store: [store.attend(name, self._name, _ATTENDING) for name in names])
                if self._turn.shared_among(counts):
                    self._plan()
                    self._changed.fire()
        might_ask = self.question.may_ask
        self.question.done(chore, self._clock.monotonic())
        if self.question.may_ask != might_ask:
            self._changed.fire()

    def _leads_or_not(self) -> None:
        if self.question.lease is None:
            return
        _log.debug("%s: this process has the lease, through %s", self._poller.name, self._link.store)
        self._leads_since = self._clock.monotonic()
        if self._hand_over.leads():
            self._poller.ask_soon()

    async def _look(self) -> None:
        """Look at what was published last."""
        now, known = self._clock.monotonic(), self._version
        saved = await self._link.ask(lambda store: store.read(self._name, unless=known))
        if saved is not None:
            self._hear(saved, now)

    async def _wish(self) -> None:
        """Tell the leader that somebody here wants to know soon."""
        poller, now = self._poller, self._clock.monotonic()
        if not poller.is_wanted or now < max(self.question.asked_at, self._wished_at) + self._turn.gap:
            return
        if await self._shared_wishes.tell(renew=poller.begin().reauthenticate, asked_at=self.question.asked_at):
            self._wished_at = now
        else:
            poller.set_aside()
            await asyncio.sleep(0.05)

    def _excuse(self, began_at: float) -> None:
        """Say why there is no list, when it takes long to get the first one."""
        belief = self._poller.belief
        if belief.questions or self._clock.monotonic() < began_at + _SLOW_START:
            return
        store = self._link.store
        who = "this process" if self.question.may_ask else "another process"
        text = f"{who} has asked and has no answer yet; the store {store} has no list from before"
        self._poller.believe(self._poller.judge(DiscoveryError(text)))

    # --- hearing ------------------------------------------------------------------------------------------------------

    def _hear(self, saved: Saved, now: float) -> None:
        """Something was published that we have not seen: believe it as if it came from the network."""
        poller, question = self._poller, self.question
        try:
            told = unpack(saved.data)
            if told.by == self._holder:  # our own word
                self._version = saved.version
                return
            if not question.takes(saved.age, told.took, now):
                return
            self._version = saved.version
            before, after = poller.belief, self._hearing.belief(told, now - saved.age, self._clock.monotonic())
        except SavedListUnreadable as error:
            self._version = saved.version
            if str(error) != self._unreadable:  # once, not for each new one
                self._unreadable = str(error)
                _log.warning("%s: the store %s: %s", poller.name, self._link.store, error)
            return
        self._unreadable = ""
        told_at = now - saved.age
        self._note_asked(told.who, told_at, told_at - told.led, is_own=False, is_good=not told.error)
        self._hand_over.heard(gives_up=told.gives_up)
        if told.gives_up and question.lease is None and saved.age < LEASE:
            question.is_given_up(now, self._random.random() * _SPREAD + self._hand_over.late)
        if before.snapshot is None and after.endpoints:
            age = after.age(self._clock.monotonic()) or 0.0
            _log.info("%s: begins with the list in the store, %.0f s old", poller.name, age)
        self._believe(after)

    def _note_asked(self, who: str, at: float, since: float | None, *, is_own: bool, is_good: bool) -> None:
        if self._name:
            asked = self._poller.asked = WhoAsked(who, str(self._link.store), is_own, at, since)
            if is_good:
                self._asker_log.answered(asked)

    def _believe(self, after: Belief, *, goes_on: bool = False) -> None:
        self._turn.believed(self._poller.belief, after)
        self._poller.believe(after, goes_on=goes_on)
        self._plan()
        self._changed.fire()

    # --- asking -------------------------------------------------------------------------------------------------------

    async def _ask_when_due(self, asker: Asker) -> None:
        while not self._poller.belief.is_hopeless:
            wait = self._until_due()
            if wait > 0:
                await self._changed.wait(None if math.isinf(wait) else wait)
            else:
                await self._ask(asker)

    def _until_due(self) -> float:
        return self._turn.wait(self.question.asked_at) if self.question.may_ask else math.inf

    def _plan(self) -> None:
        self._turn.plan(is_alone=self.question.role is Role.ALONE)

    async def _ask(self, asker: Asker) -> None:
        self._lease, self._began = self.question.lease, self._clock.monotonic()
        self.keeper.begin()
        try:
            if self._credential is None:
                await self._poller.ask(asker, self._wishes, self.take)
            else:
                await self._credential.guard(partial(self._ask_unless_refused, asker, self._credential))
        except Superseded:
            self._poller.set_aside()

    async def _ask_unless_refused(self, asker: Asker, credential: SharedCredential) -> None:
        refused = await credential.refusal()
        if refused is None:
            await self._poller.ask(asker, self._wishes, self.take)
        else:
            self._poller.begin()
            await self.take(refused, goes_on=False)

    async def take(self, answer: Snapshot | DiscoveryError | None, *, goes_on: bool) -> None:
        """Take an answer: publish what there is to believe, believe it if nobody knows better, and tell.

        Args:
            answer: What came of the question, or a list on the way; None if a watch ended without news.
            goes_on: Whether the question goes on.

        Raises:
            Superseded: It is not for this process to believe it: somebody else asks now.
        """
        poller, question, lease, now = self._poller, self.question, self._lease, self._clock.monotonic()
        if not goes_on:
            self._turn.spent(self.keeper.spent, self.keeper.last)
        if self._credential is not None:
            await self._credential.note(answer)
        if isinstance(answer, DiscoveryThrottled):
            await self.keeper.tell_throttled(answer, poller.settings.interval)
        if answer is None:
            poller.believe(None)
            self._plan()
            return
        after, is_published = poller.judge(answer), False
        gives_up = lease is not None and self._gives_up(after)
        if lease is not None:
            data = pack(self._publication(after, self._began, gives_up=gives_up))
            try:
                is_published = await self._link.ask(lambda store: store.publish(lease, data))
            except StoreUnavailable:
                pass
            else:
                if not is_published:
                    question.refused(self._clock.monotonic())
                    self._role_changed()
                    raise Superseded
        sent = now if self.keeper.sent_at is None else self.keeper.sent_at
        if not question.answered(self._began, now if goes_on else sent, now, is_published=is_published):
            raise Superseded
        self._note_asked(
            self._link.who,
            now,
            self._leads_since if is_published else None,
            is_own=True,
            is_good=is_published and after.error is None,
        )
        if goes_on:
            self._began = self._clock.monotonic()  # of what comes next
        self._believe(after, goes_on=goes_on)
        if lease is not None and gives_up and is_published:
            await self._step_back(lease)

    def _gives_up(self, after: Belief) -> bool:
        """Whether another process should try, after this answer to a question of ours."""
        if after.error is None:
            self._hand_over.answered()
        elif not after.is_hopeless and not isinstance(after.error, DiscoveryThrottled):
            return (self._link.attending or 1) > 1 and self._hand_over.failed()
        return False

    async def _step_back(self, lease: Lease) -> None:
        if self.question.lease != lease:
            return
        self.question.gives_up(self._clock.monotonic(), STEP_BACK + self._hand_over.late)
        _log.debug("%s: no answer; another process is to try, through %s", self._poller.name, self._link.store)
        self._role_changed()
        with suppress(StoreUnavailable):
            await self._link.ask(lambda store: store.release(lease))

    def _publication(self, after: Belief, began: float, *, gives_up: bool) -> Publication:
        now = self._clock.monotonic()
        return Publication(
            pack_list(after.snapshot) if after.snapshot is not None else b"",
            list_age=after.age(now) or 0.0,
            took=max(0.0, now - began),
            error=str(after.error) if after.error is not None else "",
            is_hopeless=after.is_hopeless,
            is_empty=after.is_empty,
            by=self._holder,
            led=max(0.0, now - self._leads_since),
            gives_up=gives_up,
            who=self._link.who,
        )
