"""How a reader tells the leader, through the store, that somebody wants to know soon: once for all who wish so."""

from __future__ import annotations

import math

from ..clock import Clock
from ..interfaces.store import Saved
from .link import StoreLink

__all__ = ["SharedWishes"]

_SOON = b"soon"
_RENEW = b"renew"


class SharedWishes:
    """Mutable state: the newest wish that was seen. Used in the hub's thread.

    Args:
        link: To the store.
        name: Of the question in the store.
    """

    def __init__(self, link: StoreLink, name: str) -> None:
        self._link = link
        self._clock: Clock = link.clock
        self._name = f"{name}/wish"
        self._version = ""
        self._told_at, self._told = -math.inf, b""

    def forget(self) -> None:
        """Look at the newest wish again: a new leader serves what it only knew of as a reader."""
        self._version = ""

    async def tell(self, *, renew: bool, asked_at: float) -> bool:
        """Tell the leader, unless another process has done so since the question was asked last.

        Args:
            renew: Whether another credential is wanted.
            asked_at: When it was asked last.

        Returns:
            Whether the leader is told. False if another process tells something at this moment.

        Raises:
            StoreUnavailable: As for `StoreLink.ask`.
        """
        await self._look()
        wish = _RENEW if renew else _SOON
        if self._told_at > asked_at and self._told in (wish, _RENEW):
            return True
        return await self._link.announce(self._name, wish)

    async def heard(self, asked_at: float) -> bool | None:
        """For the leader: whether another credential is wanted; None if there is no wish since `asked_at`.

        Raises:
            StoreUnavailable: As for `StoreLink.ask`.
        """
        saved = await self._look()
        return self._told == _RENEW if saved is not None and self._told_at >= asked_at else None

    async def _look(self) -> Saved | None:
        now, known = self._clock.monotonic(), self._version
        saved = await self._link.ask(lambda store: store.read(self._name, unless=known))
        if saved is not None:
            self._version, self._told_at, self._told = saved.version, now - saved.age, saved.data
        return saved
