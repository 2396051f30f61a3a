"""Endpoints that stand in the configuration: nothing is asked, and nothing ever changes."""

from __future__ import annotations

import math
from collections.abc import Hashable

from ...core.endpoint import Endpoint, Snapshot
from ...core.interfaces import AddressSource, Conversation, EmptyAnswer, PollContext, endpoint_at

__all__ = ["StaticDiscovery", "endpoint_at"]


class StaticDiscovery:
    """A list that is known from the start."""

    def __init__(self, endpoints: tuple[Endpoint, ...]) -> None:
        self._snapshot = Snapshot(endpoints, ask_again_in=math.inf)

    @property
    def identity(self) -> Hashable:
        return "static", self._snapshot.endpoints

    @property
    def addresses(self) -> AddressSource:
        return AddressSource.CONFIGURED

    @property
    def empty_answer(self) -> EmptyAnswer:
        return EmptyAnswer.BELIEVE

    def poll(self, context: PollContext) -> Conversation:
        """A conversation in which nothing is asked."""
        del context
        yield from ()
        return self._snapshot

    def __repr__(self) -> str:
        return f"<StaticDiscovery {len(self._snapshot.endpoints)} endpoints>"
