"""A credential that was refused for good is not sent again: not by this process, and not by the next one.

Some platforms lock an account after a few wrong passwords. So the first conversation of a process with a credential is
had while nobody else has one, and what came of it is told to all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

from ..endpoint import Snapshot
from ..errors import CredentialError, DiscoveryError
from ..interfaces.store import Lease, Store, StoreUnavailable
from .link import StoreLink
from .logins import REFUSED_FOR
from .shared_budget import Superseded
from .shared_question import LEASE

__all__ = ["REFUSED_FOR", "SharedCredential"]

_LOOK = 0.2


class SharedCredential:
    """Used in the hub's thread. Mutable state: the lease of the first conversation, and what another process was told.

    Args:
        link: To the store.
        name: Of the credential in the store.
        holder: Who asks.
        may_ask: Whether this process may still ask.
    """

    def __init__(self, link: StoreLink, name: str, holder: str, may_ask: Callable[[], bool]) -> None:
        self._link = link
        self._name = name
        self._holder = holder
        self._may_ask = may_ask
        self._lease: Lease | None = None
        self._told: CredentialError | None = None

    async def guard(self, ask: Callable[[], Awaitable[None]]) -> None:
        """Ask, unless the credential was refused for good; while nobody else does, if this process never had success.

        Args:
            ask: Asks, and tells `note` what came of it.

        Raises:
            Superseded: The question is not ours any more, or the store has gone: begin again.
        """
        if not self._link.is_up:
            await ask()
            return
        try:
            if self._name in self._link.accepted:
                await ask()
                return
            async with self._turn() as self._lease:
                await ask()
        except StoreUnavailable:
            raise Superseded from None
        finally:
            self._lease = None

    async def refusal(self) -> CredentialError | None:
        """What another process was told about the credential a short time ago."""
        if not self._link.is_up:
            return None
        saved = await self._link.ask(lambda store: store.read(self._name))
        if saved is None or saved.age >= REFUSED_FOR:
            return None
        self._told = CredentialError(saved.data.decode(errors="replace"), permanent=True)
        return self._told

    async def note(self, answer: Snapshot | DiscoveryError | None) -> None:
        """An answer has come: what it says of the credential is for all."""
        if isinstance(answer, Snapshot):
            self._link.accepted.add(self._name)
        elif isinstance(answer, CredentialError) and answer.permanent and answer is not self._told:
            lease, text = self._lease, str(answer).encode()
            with suppress(StoreUnavailable):
                if lease is not None:
                    await self._link.ask(lambda store: store.publish(lease, text))
                else:
                    await self._link.announce(self._name, text)

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[Lease, None]:
        """A lease that is renewed for as long as it takes."""
        take = partial(_lease, name=self._name, holder=self._holder)
        while True:
            if not self._may_ask():
                raise Superseded
            lease = await self._link.ask(take)
            if isinstance(lease, Lease):
                break
            await self._link.changed.wait(min(lease, _LOOK))

        async def renew() -> None:
            with suppress(StoreUnavailable):
                while True:
                    await asyncio.sleep(LEASE / 3)
                    await self._link.ask(take)

        renewing = asyncio.ensure_future(renew())
        try:
            yield lease
        finally:
            renewing.cancel()
            held = lease
            await self._link.last_word(lambda store: store.release(held))


def _lease(store: Store, name: str, holder: str) -> Lease | float:
    return store.lease(name, holder, LEASE)
