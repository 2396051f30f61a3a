"""The connections of one service: a channel for each endpoint, and what helpers keep beside it.

A channel is opened when it is first needed. When it is closed is decided elsewhere, see `life`.
"""

from __future__ import annotations

from collections.abc import Callable

from ...dispatch.route import Lane, RouteMember
from ...errors import ClosedError
from ...interfaces.transport import AsyncChannel, Timeouts, Transport
from .attachments import AsyncAttachments

__all__ = ["AsyncChannels"]


class AsyncChannels:
    """Channels by lane.

    Mutable state: `_by_lane`, whose single steps are atomic; `transport` and `attachments`, which the life of the
    service replaces; and `_is_closed`.

    Args:
        transport: Opens the channels.
    """

    __slots__ = ("_by_lane", "_is_closed", "attachments", "get", "transport")

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        """Opens the channels from now on."""
        self._is_closed = False
        self.forget()

    def forget(self) -> None:
        """Begin anew and close nothing: what there is belongs to somebody else."""
        self._by_lane: dict[Lane, AsyncChannel] = {}
        self.attachments = AsyncAttachments()
        # The dict's own method, since every call asks: one of ours around it would be one more for each.
        self.get: Callable[[Lane], AsyncChannel | None] = self._by_lane.get
        """The channel of a lane; None if there is none yet."""

    def open(self, member: RouteMember) -> AsyncChannel:
        """A channel to this member. Does no I/O: connections come with the calls.

        Raises:
            ClosedError: Everything was closed meanwhile: nobody would close this one.
        """
        # `setdefault` is atomic: of two threads that open a channel, one throws an unused one away.
        channel = self._by_lane.setdefault(member.lane, self.transport.open_async(member.endpoint))
        if self._is_closed:
            self._by_lane.pop(member.lane, None)  # it has no connection yet
            raise ClosedError("the client was closed while a call was under way\nNext: make a new client.")
        return channel

    def to(self, member: RouteMember) -> AsyncChannel:
        """The channel to this member, opened if there is none."""
        return self.get(member.lane) or self.open(member)

    async def warm(self, member: RouteMember, connections: int, limit: float) -> int:
        """Open connections ahead of the calls.

        Args:
            member: To whom.
            connections: How many.
            limit: Seconds for each.

        Returns:
            How many stand ready.
        """
        return await self.to(member).warm(connections, Timeouts(limit, limit * connections))

    async def close(self, member: RouteMember) -> None:
        """Close the channel to this member and what helpers keep for it. Nobody may have an open call there."""
        channel = self._by_lane.pop(member.lane, None)
        if channel is not None:
            await channel.aclose()
        await self.attachments.drop(member.lane)

    async def close_all(self) -> None:
        """Close everything, whoever uses it, and open nothing more."""
        self._is_closed = True
        while self._by_lane:
            _, channel = self._by_lane.popitem()
            await channel.aclose()
        await self.attachments.aclose()
