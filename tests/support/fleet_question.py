"""The question of the chaos tests: a list of one endpoint, whose port is the version of the list."""

from __future__ import annotations

import os
from collections.abc import Hashable
from dataclasses import dataclass

from directlane import (
    AddressSource,
    Conversation,
    DiscoveryRefused,
    DiscoveryThrottled,
    EmptyAnswer,
    Endpoint,
    PollContext,
    Snapshot,
)
from directlane.core.interfaces.discovery import Query, RateBudget

__all__ = ["LIMIT", "Question"]

LIMIT = RateBudget("fleet/user", 20, 15.0)


@dataclass(frozen=True)
class Question:
    """Asks for the current version, and says which process asks."""

    url: str
    name: str

    addresses = AddressSource.LEARNED
    empty_answer = EmptyAnswer.REFUSE

    @property
    def identity(self) -> Hashable:
        return "fleet", self.url, self.name

    def poll(self, context: PollContext) -> Conversation:
        headers = (("x-q", self.name), ("x-pid", str(os.getpid())))
        reply = yield Query(f"{self.url}/list", headers=headers, budgets=(LIMIT,))
        if reply.status == 429:
            raise DiscoveryThrottled("asked too often")
        if reply.status != 200:
            raise DiscoveryRefused(f"status {reply.status}", status=reply.status)
        return Snapshot((Endpoint("10.0.0.1", int(reply.content)),))
