"""Only type checkers read this: what a stranger writes must have the types that the docs promise. It is never run."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar, assert_type

import directlane
from directlane import (
    AddressSource,
    Balancer,
    BuildContext,
    Conversation,
    Discovery,
    EmptyAnswer,
    Endpoint,
    Member,
    Outcome,
    Picker,
    PickInfo,
    PollContext,
    Provider,
    ProviderFacts,
    ProviderPlugin,
    Query,
    Reply,
    Secret,
    Snapshot,
    Verdict,
    Wire,
    hookimpl,
    http_verdict,
    retry_after,
)
from directlane.testing import Asked, BalancerContract, Canaries, Listed, ProviderContract


def application() -> None:
    with directlane.Client.from_file("directlane.toml") as client:
        service = client.service("scorecard")
        assert_type(service, directlane.Service)
        reply = service.send(b"[]", key="k", timeout=1.0)
        assert_type(reply, directlane.Reply)
        assert_type(reply.status, int)
        assert_type(reply.content, bytes)
        assert_type(reply.endpoint, directlane.Endpoint | None)
        assert_type(reply.header("x"), str | None)


async def async_application() -> None:
    async with directlane.AsyncClient.from_file("directlane.toml") as client:
        assert_type(await client.service("scorecard").send("text"), directlane.Reply)


class StrangersProvider(Provider):
    kind: ClassVar[str] = "stranger"
    facts: ClassVar[ProviderFacts] = ProviderFacts("Stranger", "A stranger's.", frozenset({"discovery"}))
    key: Secret

    def discovery(self) -> Discovery:
        return StrangersDiscovery()

    def wire(self, endpoint: Endpoint) -> Wire:
        return Wire(headers=(("X-Key", self.key.reveal()),))

    def classify(self, outcome: Outcome) -> Verdict:
        assert_type(retry_after(outcome.headers), float | None)
        return http_verdict(outcome)


class StrangersDiscovery:
    addresses = AddressSource.LEARNED
    empty_answer = EmptyAnswer.REFUSE

    @property
    def identity(self) -> Hashable:
        return "stranger"

    def poll(self, context: PollContext) -> Conversation:
        reply = yield Query("http://registry/")
        assert_type(reply, Reply)
        return Snapshot((Endpoint("10.0.0.1", 80),))


class StrangersBalancer(Balancer):
    kind: ClassVar[str] = "stranger"

    def build(self, members: Sequence[Member], context: BuildContext) -> Picker:
        return StrangersPicker(members)


class StrangersPicker:
    def __init__(self, members: Sequence[Member]) -> None:
        self._members = tuple(members)

    def pick(self, info: PickInfo) -> Member | None:
        return next((member for member in self._members if member.endpoint.id not in info.excluded), None)


@hookimpl
def directlane_providers() -> list[ProviderPlugin]:
    return [ProviderPlugin(StrangersProvider)]


class StrangersCase(ProviderContract):
    model = StrangersProvider

    def route(self, secret: Canaries) -> dict[str, object]:
        return {"key": secret("key")}

    def answer(self, query: Asked, listed: Sequence[Listed]) -> Reply:
        return Reply(200)


class StrangersBalancerCase(BalancerContract):
    def balancer(self) -> Balancer:
        return StrangersBalancer()
