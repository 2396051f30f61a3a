"""A correct watch and a correct upkeep keep every rule; each way of breaking them is caught by the rule about it."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import ClassVar, cast

import pytest
from kit_lab import Registry, RegistryCase, RegistryDiscovery, run_rule
from pydantic import PrivateAttr

from directlane import (
    NEXT_PIECE,
    REAUTHENTICATE,
    Conversation,
    Discovery,
    DiscoveryError,
    DiscoveryRefused,
    DiscoveryUnreadable,
    Endpoint,
    Outcome,
    PollContext,
    Provider,
    ProviderFacts,
    Query,
    Reply,
    Secret,
    Snapshot,
    TransportError,
    Verdict,
    Wire,
)
from directlane.core.interfaces import Upkeep
from directlane.core.testing.provider_upkeep import UpkeepRules
from directlane.core.testing.provider_watch import WatchRules
from directlane.testing import Asked, Listed

WATCHES = replace(Registry.facts, capabilities=Registry.facts.capabilities | {"watch"})
RENEWS = replace(Registry.facts, capabilities=Registry.facts.capabilities | {"token-refresh"})


class WatchedRegistry(Registry):
    """Tells changes: each piece of the open answer is the whole list."""

    facts: ClassVar[ProviderFacts] = WATCHES

    def discovery(self) -> Discovery:
        return Watch(self.host, self.service, self.key)


class Watch(RegistryDiscovery):
    rule: ClassVar[str] = ""

    def poll(self, context: PollContext) -> Conversation:
        known = self.read((yield self.query()))
        yield known
        head = yield replace(self.query(), url=f"{self.url}?watch", watch=True, timeout=60.0)
        if head.status != 200:
            raise DiscoveryRefused(f"the registry answered {head.status}", status=head.status)
        while piece := (yield NEXT_PIECE).content:
            known = self.read(Reply(200, content=piece))
            yield known
        return known

    def query(self) -> Query:
        return Query(self.url, headers=(("X-Key", self.key.reveal()),))


class WatchCase(RegistryCase):
    model: ClassVar[type[Provider]] = WatchedRegistry

    def change(self, listed: Sequence[Listed], after: Sequence[Listed]) -> Sequence[bytes]:
        return [self.answer(Query("http://registry"), after).content + b"\n"]


class LongPoll(Watch):
    """The registry answers when something changes."""

    def poll(self, context: PollContext) -> Conversation:
        while True:
            yield self.read((yield replace(self.query(), timeout=60.0)))


class LongPollRegistry(WatchedRegistry):
    """Changes are told by answers that wait for them."""

    def discovery(self) -> Discovery:
        return LongPoll(self.host, self.service, self.key)


class TestCorrectWatch(WatchCase):
    pass


class TestCorrectLongPoll(RegistryCase):
    model = LongPollRegistry


class DoesNotWatch(Watch):
    rule = "test_conversation_goes_on_if_watch_is_claimed"

    def poll(self, context: PollContext) -> Conversation:
        return self.read((yield self.query()))


class TellsNothing(Watch):
    rule = "test_change_is_told"

    def poll(self, context: PollContext) -> Conversation:
        conversation = super().poll(context)
        query = next(conversation)
        first = conversation.send((yield cast("Query", query)))
        yield first
        yield next(conversation)
        while True:
            yield NEXT_PIECE


class PassesOverWhatItCannotRead(Watch):
    rule = "test_piece_that_cannot_be_read_is_not_passed_over"

    def poll(self, context: PollContext) -> Conversation:
        known = self.read((yield self.query()))
        yield known
        yield replace(self.query(), watch=True)
        while piece := (yield NEXT_PIECE).content:
            try:
                known = self.read(Reply(200, content=piece))
            except DiscoveryError:
                continue
            yield known
        return known


class SurprisedByAPiece(Watch):
    rule = "test_spoiled_piece_is_no_surprise"

    def poll(self, context: PollContext) -> Conversation:
        yield self.read((yield self.query()))
        yield replace(self.query(), watch=True)
        while piece := (yield NEXT_PIECE).content:
            entries = json.loads(piece)["servers"]
            yield Snapshot(tuple(Endpoint(entry["host"], entry["port"]) for entry in entries))
        return Snapshot()


class OpensAgainAndAgain(Watch):
    rule = "test_watch_that_ends_is_followed_by_a_list"

    def poll(self, context: PollContext) -> Conversation:
        yield self.read((yield self.query()))
        while True:
            yield replace(self.query(), watch=True)
            while (yield NEXT_PIECE).content:
                pass


class TrustsASilentWatch(Watch):
    rule = "test_watch_that_is_lost_is_followed_by_a_list"

    def poll(self, context: PollContext) -> Conversation:
        yield self.read((yield self.query()))
        while True:
            try:
                yield replace(self.query(), watch=True)
                while (yield NEXT_PIECE).content:
                    pass
            except TransportError:
                continue


class BelievesARefusedWatch(Watch):
    rule = "test_watch_that_is_refused_tells_nothing"

    def poll(self, context: PollContext) -> Conversation:
        yield self.read((yield self.query()))
        yield replace(self.query(), watch=True)
        while piece := (yield NEXT_PIECE).content:
            yield self.read(Reply(200, content=piece))
        return Snapshot()


class RemembersItsList(Watch):
    rule = "test_watch_that_is_given_up_leaves_nothing_behind"
    last: Snapshot | None = None

    def poll(self, context: PollContext) -> Conversation:
        if self.last is None:
            self.last = self.read((yield self.query()))
        yield self.last
        yield replace(self.query(), watch=True)
        while piece := (yield NEXT_PIECE).content:
            self.last = self.read(Reply(200, content=piece))
            yield self.last
        return self.last


WATCH_MUTANTS = Watch.__subclasses__()[1:]


@pytest.mark.parametrize("mutant", WATCH_MUTANTS, ids=lambda mutant: mutant.__name__)
def test_broken_watch_is_caught(mutant: type[Watch]) -> None:
    class Broken(WatchedRegistry):
        def discovery(self) -> Discovery:
            return mutant(self.host, self.service, self.key)

    class Case(WatchCase):
        model = Broken

    with pytest.raises(AssertionError):
        run_rule(Case, mutant.rule)


def test_watch_without_claim_is_caught() -> None:
    class Silent(WatchedRegistry):
        facts: ClassVar[ProviderFacts] = Registry.facts

    class Case(WatchCase):
        model = Silent

    with pytest.raises(AssertionError, match="`watch` is not claimed"):
        run_rule(Case, "test_conversation_goes_on_if_watch_is_claimed")


# --- upkeep -----------------------------------------------------------------------------------------------------------


class Keeper:
    """Fetches the token of the calls."""

    rule: ClassVar[str] = ""

    def __init__(self, host: str, key: Secret) -> None:
        self.host, self.key = host, key
        self.token = ""

    @property
    def identity(self) -> Hashable:
        return "kit_keeper", id(self)

    def poll(self, context: PollContext) -> Conversation:
        if not self.token or context.reauthenticate:
            self.token = self.read((yield self.query()))
        return Snapshot(ask_again_in=300.0)

    def query(self) -> Query:
        return Query(f"http://{self.host}/token", "POST", (("X-Key", self.key.reveal()),))

    def read(self, reply: Reply) -> str:
        if reply.status != 200:
            raise DiscoveryRefused(f"the registry answered {reply.status}", status=reply.status)
        try:
            return str(json.loads(reply.content)["token"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise DiscoveryUnreadable("the registry gave no token") from None


class KeptRegistry(Registry):
    """Calls carry a token that is fetched."""

    facts: ClassVar[ProviderFacts] = RENEWS
    keeper: ClassVar[type[Keeper]] = Keeper
    _keeper: Keeper = PrivateAttr()

    def model_post_init(self, context: object, /) -> None:
        self._keeper = self.keeper(self.host, self.key)

    def upkeep(self) -> Upkeep | None:
        return self._keeper

    def wire(self, endpoint: Endpoint) -> Wire:
        return replace(super().wire(endpoint), headers=(("X-Token", self._keeper.token),))

    def classify(self, outcome: Outcome) -> Verdict:
        return REAUTHENTICATE if outcome.status == 401 else super().classify(outcome)


class KeptCase(RegistryCase):
    model: ClassVar[type[Provider]] = KeptRegistry

    def answer(self, query: Asked, listed: Sequence[Listed]) -> Reply:
        if isinstance(query, Query) and query.url.endswith("/token"):
            return Reply(200, content=b'{"token": "t0"}')
        return super().answer(query, listed)


class TestCorrectUpkeep(KeptCase):
    pass


class NewEachTime(Keeper):
    rule = "test_upkeep_is_there_only_if_a_renewal_is_claimed"

    @property
    def identity(self) -> Hashable:
        return object()


class ShowsItsKey(Keeper):
    rule = "test_upkeep_is_there_only_if_a_renewal_is_claimed"

    @property
    def identity(self) -> Hashable:
        return self.key.reveal()


class ListsSomebody(Keeper):
    rule = "test_upkeep_learns_and_lists_nobody"

    def poll(self, context: PollContext) -> Conversation:
        yield from super().poll(context)
        return Snapshot((Endpoint("10.0.0.1", 1),))


class SwallowsFailures(Keeper):
    rule = "test_upkeep_that_fails_says_so_and_keeps_what_was_learned"

    def poll(self, context: PollContext) -> Conversation:
        try:
            return (yield from super().poll(context))
        except (DiscoveryError, TransportError):
            return Snapshot()


class ForgetsAtOnce(Keeper):
    rule = "test_upkeep_that_fails_says_so_and_keeps_what_was_learned"

    def poll(self, context: PollContext) -> Conversation:
        self.token = ""
        return (yield from super().poll(context))


class TakesAFailureForAToken(Keeper):
    rule = "test_upkeep_that_fails_first_has_learned_nothing"

    def poll(self, context: PollContext) -> Conversation:
        if not self.token:
            self.token = "none"
            return (yield from Keeper.poll(self, PollContext(context.unix_time, reauthenticate=True)))
        return Snapshot()


class NeverRenews(Keeper):
    rule = "test_refused_token_is_renewed_if_that_is_claimed"

    def poll(self, context: PollContext) -> Conversation:
        return (yield from super().poll(PollContext(context.unix_time)))


KEEPERS = Keeper.__subclasses__()


@pytest.mark.parametrize("mutant", KEEPERS, ids=lambda mutant: mutant.__name__)
def test_broken_upkeep_is_caught(mutant: type[Keeper]) -> None:
    class Broken(KeptRegistry):
        keeper: ClassVar[type[Keeper]] = mutant

    class Case(KeptCase):
        model = Broken

    with pytest.raises(AssertionError):
        run_rule(Case, mutant.rule)


def test_upkeep_without_claim_is_caught() -> None:
    class Silent(KeptRegistry):
        facts: ClassVar[ProviderFacts] = Registry.facts

    class Case(KeptCase):
        model = Silent

    with pytest.raises(AssertionError, match="`token-refresh` is not claimed"):
        run_rule(Case, "test_upkeep_is_there_only_if_a_renewal_is_claimed")


def test_the_mutants_cover_the_rules() -> None:
    broken = {mutant.rule for mutant in WATCH_MUTANTS} | {mutant.rule for mutant in KEEPERS}
    rules = {name for base in (WatchRules, UpkeepRules) for name in vars(base) if name.startswith("test_")}
    assert rules - broken == set()
