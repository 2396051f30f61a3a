"""A correct provider keeps every rule; each way of breaking it is caught by the rule that is about it."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Hashable, Iterator
from dataclasses import replace
from typing import ClassVar, cast

import pytest
from kit_lab import Registry, RegistryCase, RegistryDiscovery, rules_of, run_rule
from pydantic import ConfigDict, Field, model_validator

from directlane import (
    OK,
    REAUTHENTICATE,
    AddressSource,
    Conversation,
    Discovery,
    DiscoveryRefused,
    DiscoveryUnreadable,
    EmptyAnswer,
    Endpoint,
    InvalidEndpoint,
    Outcome,
    PollContext,
    Provider,
    ProviderFacts,
    Query,
    Reply,
    Request,
    Snapshot,
    Verdict,
    Wire,
    back_off,
    retry_elsewhere,
)
from directlane.core.message import Headers
from directlane.core.testing.provider_upkeep import UpkeepRules
from directlane.core.testing.provider_watch import WatchRules

PASSES = rules_of(RegistryCase)


class TestCorrectProvider(RegistryCase):
    """Without it, a kit that fails everything would catch every mutant."""


# --- broken discoveries -----------------------------------------------------------------------------------------------


class Mutant(RegistryDiscovery):
    """One way to be wrong. `rule` is the rule that must catch it."""

    rule: ClassVar[str]


class BelievesEmpty(Mutant):
    rule = "test_empty_list_means_what_the_case_says"
    empty_answer = EmptyAnswer.BELIEVE


class TakesAnythingForAnEmptyList(Mutant):
    rule = "test_body_that_is_no_list_changes_nothing"
    empty_answer = EmptyAnswer.BELIEVE

    def entries(self, body: bytes) -> list[dict[str, object]]:
        try:
            return super().entries(body)
        except DiscoveryUnreadable:
            return []


class IgnoresStatus(Mutant):
    rule = "test_status_that_is_not_success_is_no_list"

    def read(self, reply: Reply) -> Snapshot:
        return super().read(reply if reply.status == 429 else replace(reply, status=200))


class SwallowsUnauthorized(Mutant):
    rule = "test_unauthorized_is_an_error"

    def read(self, reply: Reply) -> Snapshot:
        return Snapshot() if reply.status == 401 else super().read(reply)


class BelievesAfterRefusal(Mutant):
    rule = "test_one_refused_credential_then_a_list"

    def read(self, reply: Reply) -> Snapshot:
        return Snapshot((Endpoint("10.0.0.1", 1),)) if reply.status == 401 else super().read(reply)


class ForgetsRetryAfter(Mutant):
    rule = "test_throttling_is_told_with_its_delay"

    def read(self, reply: Reply) -> Snapshot:
        return super().read(replace(reply, headers=()))


class TakesThrottlingForRefusal(Mutant):
    rule = "test_throttling_is_told_with_its_delay"

    def read(self, reply: Reply) -> Snapshot:
        if reply.status == 429:
            raise DiscoveryRefused("no", status=429)
        return super().read(reply)


class IgnoresPortRange(Mutant):
    rule = "test_entry_that_nobody_can_call_is_no_endpoint"

    def endpoint(self, entry: dict[str, object]) -> Endpoint:
        port = entry.get("port")
        return super().endpoint({**entry, "port": port % 65536 if isinstance(port, int) else port})


class RepairsHosts(Mutant):
    rule = "test_entry_that_nobody_can_call_is_no_endpoint"

    def endpoint(self, entry: dict[str, object]) -> Endpoint:
        try:
            return super().endpoint(entry)
        except InvalidEndpoint:
            return Endpoint("127.0.0.1", 80)


class HidesWhatIsLeftOut(Mutant):
    rule = "test_entry_that_nobody_can_call_is_no_endpoint"

    def read(self, reply: Reply) -> Snapshot:
        return replace(super().read(reply), rejected=())


class LosesIpv6(Mutant):
    rule = "test_hard_addresses_are_read"

    def read(self, reply: Reply) -> Snapshot:
        snapshot = super().read(reply)
        return replace(snapshot, endpoints=tuple(each for each in snapshot.endpoints if ":" not in each.host))


class ReadsOnePage(Mutant):
    rule = "test_large_list_is_read_whole"

    def read(self, reply: Reply) -> Snapshot:
        snapshot = super().read(reply)
        return replace(snapshot, endpoints=snapshot.endpoints[:100])


class TakesMissingWeightForOne(Mutant):
    rule = "test_weights_are_read_if_they_are_claimed"

    def endpoint(self, entry: dict[str, object]) -> Endpoint:
        return super().endpoint({**entry, "load": 1 if entry.get("load") is None else entry["load"]})


class TakesDrainForUnknown(Mutant):
    rule = "test_weights_are_read_if_they_are_claimed"

    def endpoint(self, entry: dict[str, object]) -> Endpoint:
        return super().endpoint({**entry, "load": entry.get("load") or None})


class OneIdForAll(Mutant):
    rule = "test_ids_are_stable_and_tell_endpoints_apart"

    def endpoint(self, entry: dict[str, object]) -> Endpoint:
        return replace(super().endpoint(entry), id="instance")


class OtherIdEachTime(Mutant):
    rule = "test_ids_are_stable_and_tell_endpoints_apart"
    count = 0

    def endpoint(self, entry: dict[str, object]) -> Endpoint:
        self.count += 1
        return replace(super().endpoint(entry), id=f"instance-{self.count}")


class OtherIdForATwin(Mutant):
    rule = "test_address_that_is_listed_twice_is_one_endpoint"

    def read(self, reply: Reply) -> Snapshot:
        found = super().read(reply).endpoints
        return Snapshot(tuple(replace(each, id=f"{each.id} {place}") for place, each in enumerate(found)))


class TrustsTheNetwork(Mutant):
    rule = "test_addresses_from_the_network_are_checked_by_the_core"
    addresses = AddressSource.CONFIGURED


class Sleeps(Mutant):
    rule = "test_good_list_is_read"

    def read(self, reply: Reply) -> Snapshot:
        time.sleep(0.001)
        return super().read(reply)


class ReadsTheClock(Mutant):
    rule = "test_good_list_is_read"

    def read(self, reply: Reply) -> Snapshot:
        return replace(super().read(reply), version=str(time.time()))


class ReadsAFile(Mutant):
    rule = "test_good_list_is_read"

    def poll(self, context: PollContext) -> Conversation:
        with open(__file__) as file:  # noqa: PTH123
            file.readline()
        return (yield from super().poll(context))


class NeverEnds(Mutant):
    rule = "test_good_list_is_read"

    def poll(self, context: PollContext) -> Conversation:
        while True:
            yield Query(self.url)


class AsksAgainForEver(Mutant):
    rule = "test_status_that_is_not_success_is_no_list"

    def poll(self, context: PollContext) -> Conversation:
        while (reply := (yield Query(self.url, headers=(("X-Key", self.key.reveal()),)))).status != 200:
            pass
        return self.read(reply)


class LoopsOnGarbage(Mutant):
    rule = "test_body_that_is_no_list_changes_nothing"

    def entries(self, body: bytes) -> list[dict[str, object]]:
        while not body.startswith(b'{"servers'):
            pass
        return super().entries(body)


class KeepsAList(Mutant):
    rule = "test_list_is_not_kept"
    kept: Snapshot | None = None

    def read(self, reply: Reply) -> Snapshot:
        try:
            self.kept = super().read(reply)
        except DiscoveryRefused:
            if self.kept is None:
                raise
        return self.kept


class KeepsTheFirstList(Mutant):
    rule = "test_list_is_not_kept"
    kept: Snapshot | None = None

    def read(self, reply: Reply) -> Snapshot:
        snapshot = super().read(reply)
        self.kept = self.kept or snapshot
        return self.kept


class StaysBusy(Mutant):
    rule = "test_conversation_that_is_given_up_leaves_nothing_behind"
    is_busy = False

    def poll(self, context: PollContext) -> Conversation:
        if self.is_busy:
            raise DiscoveryUnreadable("still asking")
        self.is_busy = True
        snapshot = yield from super().poll(context)
        self.is_busy = False
        return snapshot


class RaisesValueError(Mutant):
    rule = "test_body_that_is_no_list_changes_nothing"

    def entries(self, body: bytes) -> list[dict[str, object]]:
        try:
            return super().entries(body)
        except DiscoveryUnreadable as error:
            raise ValueError(str(error)) from None


class TripsOverAMissingPort(Mutant):
    rule = "test_spoiled_answer_is_no_surprise"

    def endpoint(self, entry: dict[str, object]) -> Endpoint:
        return super().endpoint({**entry, "port": entry["port"]})


class NeedsAHeader(Mutant):
    rule = "test_any_replies_end_in_a_list_or_an_error"

    def read(self, reply: Reply) -> Snapshot:
        if reply.status == 503:
            raise KeyError("Retry-After")
        return super().read(reply)


class HidesSilence(Mutant):
    rule = "test_silence_is_an_error_or_leads_elsewhere"

    def poll(self, context: PollContext) -> Conversation:
        try:
            return (yield from super().poll(context))
        except Exception:  # noqa: BLE001
            return Snapshot((Endpoint("10.0.0.1", 1),))


class ReturnsAList(Mutant):
    rule = "test_good_list_is_read"

    def poll(self, context: PollContext) -> Conversation:
        snapshot = yield from super().poll(context)
        return cast("Snapshot", list(snapshot.endpoints))


class AsksNobody(Mutant):
    rule = "test_control_plane_is_asked_if_discovery_is_claimed"

    def poll(self, context: PollContext) -> Conversation:
        yield from ()
        return Snapshot((Endpoint("10.0.0.7", 8000),))


class LosesAllForOneWeight(Mutant):
    rule = "test_weight_that_is_none_is_not_believed"

    def read(self, reply: Reply) -> Snapshot:
        snapshot = super().read(reply)
        return replace(snapshot, endpoints=()) if snapshot.rejected else snapshot


class IdentityHoldsTheKey(Mutant):
    rule = "test_identity_does_not_hold_secrets"

    @property
    def identity(self) -> Hashable:
        return self.url, self.key.reveal()


class IdentityOfItsOwn(Mutant):
    rule = "test_equal_settings_have_equal_identities"

    @property
    def identity(self) -> Hashable:
        return self.url, id(self)


class IdentityWithoutTheCredential(Mutant):
    rule = "test_other_credential_has_another_identity"

    @property
    def identity(self) -> Hashable:
        return self.url


class IdentityWithoutTheQuestion(Mutant):
    rule = "test_other_question_has_another_identity"

    @property
    def identity(self) -> Hashable:
        return self.key.fingerprint()


class IdentityThatCannotBeHashed(Mutant):
    rule = "test_equal_settings_have_equal_identities"

    @property
    def identity(self) -> Hashable:
        return cast("Hashable", [self.url, self.key.fingerprint()])


class KeyInItsRepr(Mutant):
    rule = "test_objects_do_not_show_secrets"

    def __repr__(self) -> str:
        return f"<RegistryDiscovery {self.url} {self.key.reveal()}>"


class KeyInThePath(Mutant):
    rule = "test_queries_do_not_show_secrets"

    def poll(self, context: PollContext) -> Conversation:
        return self.read((yield Query(f"{self.url}/{self.key.reveal()}")))


class EchoInTheError(Mutant):
    rule = "test_errors_and_logs_do_not_show_secrets"

    def read(self, reply: Reply) -> Snapshot:
        if reply.status not in (200, 429):
            raise DiscoveryRefused(f"the registry says {reply.text}", status=reply.status)
        return super().read(reply)


class LabelWithTheKey(Mutant):
    rule = "test_lists_do_not_hold_secrets"

    def endpoint(self, entry: dict[str, object]) -> Endpoint:
        return replace(super().endpoint(entry), labels={"key": self.key.reveal()})


class LineBreakInAHeader(Mutant):
    rule = "test_queries_can_be_sent"

    def poll(self, context: PollContext) -> Conversation:
        return self.read((yield Query(self.url, headers=(("X-Key", self.key.reveal() + "\n"),))))


class RelativeUrl(Mutant):
    rule = "test_queries_can_be_sent"

    def poll(self, context: PollContext) -> Conversation:
        return self.read((yield Query("/v1/services/ranking", headers=(("X-Key", self.key.reveal()),))))


# --- broken providers -------------------------------------------------------------------------------------------------


class LeaksInItsRepr(Registry):
    rule: ClassVar[str] = "test_objects_do_not_show_secrets"

    def __repr__(self) -> str:
        return f"Registry({self.key.reveal()})"


class PlainTextKey(Registry):
    rule: ClassVar[str] = "test_objects_do_not_show_secrets"
    model_key: str = Field(description="Signs calls.")  # type: ignore[assignment]

    def wire(self, endpoint: Endpoint) -> Wire:
        return Wire()


class SecretByDefault(Registry):
    rule: ClassVar[str] = "test_schema_describes_every_setting_and_shows_no_secret"
    admin_token: str = Field(default="hunter2", description="A token.")


class FieldWithoutWords(Registry):
    rule: ClassVar[str] = "test_schema_describes_every_setting_and_shows_no_secret"
    mode: str = "fast"


class TakesAnySetting(Registry):
    rule: ClassVar[str] = "test_settings_are_strict_and_frozen"
    model_config = ConfigDict(extra="ignore")


class CanBeChanged(Registry):
    rule: ClassVar[str] = "test_settings_are_strict_and_frozen"
    model_config = ConfigDict(frozen=False)


class ShowsInput(Registry):
    rule: ClassVar[str] = "test_settings_are_strict_and_frozen"
    model_config = ConfigDict(hide_input_in_errors=False)


class QuotesWhatItGot(Registry):
    rule: ClassVar[str] = "test_mistake_in_a_file_is_told_without_the_secrets"

    @model_validator(mode="before")
    @classmethod
    def _check(cls, data: dict[str, object]) -> dict[str, object]:
        if "no_such_setting_of_anybody" in data:
            # In clear, the loader would mask it.
            header = base64.b64encode(f"user:{data['key']}".encode()).decode()
            raise ValueError(f"no_such_setting_of_anybody cannot go with Basic {header}")
        return data


class UsesARouteField(Registry):
    rule: ClassVar[str] = "test_route_works_from_a_configuration_file"
    tier: int = Field(default=0, description="Not ours.")


class ClaimsInShouting(Registry):
    rule: ClassVar[str] = "test_facts_say_what_it_is"
    facts: ClassVar[ProviderFacts] = replace(Registry.facts, capabilities=Registry.facts.capabilities | {"Weights!"})


class DoesNotClaimWeights(Registry):
    rule: ClassVar[str] = "test_weights_are_read_if_they_are_claimed"
    facts: ClassVar[ProviderFacts] = replace(Registry.facts, capabilities=frozenset({"discovery", "signing"}))


class DoesNotClaimSigning(Registry):
    rule: ClassVar[str] = "test_signature_is_there_if_it_is_claimed"
    facts: ClassVar[ProviderFacts] = replace(Registry.facts, capabilities=frozenset({"discovery", "weights"}))


class ClaimsSigningAndDoesNot(Registry):
    rule: ClassVar[str] = "test_signature_is_there_if_it_is_claimed"

    def wire(self, endpoint: Endpoint) -> Wire:
        return Wire()


class SendsTheRegistryKey(Registry):
    rule: ClassVar[str] = "test_instances_do_not_get_hidden_secrets"

    def wire(self, endpoint: Endpoint) -> Wire:
        return replace(super().wire(endpoint), headers=(("X-Key", self.key.reveal()),))


class WireThatChanges(Registry):
    rule: ClassVar[str] = "test_wire_can_be_sent"

    def wire(self, endpoint: Endpoint) -> Wire:
        return replace(super().wire(endpoint), headers=cast("Headers", [("X-A", "1")]))


class WireOfAnotherTime(Registry):
    rule: ClassVar[str] = "test_wire_is_pure_and_equal_for_equal_endpoints"

    def wire(self, endpoint: Endpoint) -> Wire:
        return replace(super().wire(endpoint), headers=(("Date", str(time.monotonic())),))


class PrefixWithASlash(Registry):
    rule: ClassVar[str] = "test_wire_can_be_sent"

    def wire(self, endpoint: Endpoint) -> Wire:
        return replace(super().wire(endpoint), prefix="/serve/")


class SignsAStaleBody(Registry):
    rule: ClassVar[str] = "test_signature_covers_what_the_case_says"

    def wire(self, endpoint: Endpoint) -> Wire:
        wire = super().wire(endpoint)
        first: list[Headers] = []

        def sign(request: Request, unix_time: float) -> Headers:
            assert wire.sign is not None
            if not first:
                first.append(wire.sign(request, unix_time))
            return first[0]

        return replace(wire, sign=sign)


class SignsWithAClockOfItsOwn(Registry):
    rule: ClassVar[str] = "test_signature_is_pure_and_changes_nothing"

    def wire(self, endpoint: Endpoint) -> Wire:
        wire = super().wire(endpoint)
        assert wire.sign is not None
        of_vendor = wire.sign

        def sign(request: Request, unix_time: float) -> Headers:
            return of_vendor(request, time.time())

        return replace(wire, sign=sign)


class SignsInTurns(Registry):
    rule: ClassVar[str] = "test_signature_is_pure_and_changes_nothing"

    def wire(self, endpoint: Endpoint) -> Wire:
        count = iter(range(1000))

        def sign(request: Request, unix_time: float) -> Headers:
            return (("X-Signature", f"{next(count)}"),)

        return Wire(sign=sign)


class ReadsAStreamToSignIt(Registry):
    rule: ClassVar[str] = "test_streamed_body_cannot_be_signed"

    def wire(self, endpoint: Endpoint) -> Wire:
        wire = super().wire(endpoint)
        assert wire.sign is not None
        sign = wire.sign

        def read(request: Request, now: float) -> Headers:
            content = request.content
            body = content if isinstance(content, bytes) else b"".join(cast("Iterator[bytes]", content))
            return sign(replace(request, content=body), now)

        return replace(wire, sign=read)


class PacksInTurns(Registry):
    rule: ClassVar[str] = "test_packing_is_pure"

    def wire(self, endpoint: Endpoint) -> Wire:
        count = iter(range(1000))

        def pack(body: bytes) -> bytes:
            return body + bytes(next(count))

        return replace(super().wire(endpoint), pack=pack)


class ClaimsARenewal(Registry):
    rule: ClassVar[str] = "test_refused_token_is_renewed_if_that_is_claimed"
    facts: ClassVar[ProviderFacts] = replace(
        Registry.facts, capabilities=Registry.facts.capabilities | {"token-refresh"}
    )


class BlocksInClassify(Registry):
    rule: ClassVar[str] = "test_every_status_has_a_verdict"

    def classify(self, outcome: Outcome) -> Verdict:
        threading.Event().wait(30)
        return OK


class LoopsInClassify(Registry):
    rule: ClassVar[str] = "test_every_status_has_a_verdict"

    def classify(self, outcome: Outcome) -> Verdict:
        while outcome.status == 450:
            pass
        return super().classify(outcome)


class ReadsAllOfALongBody(Registry):
    rule: ClassVar[str] = "test_every_status_has_a_verdict"

    def classify(self, outcome: Outcome) -> Verdict:
        count = 0
        for letter in outcome.reply.content if outcome.reply is not None else b"":
            count += letter == 0
        return super().classify(outcome)


class FailsOnAStrangeBody(Registry):
    rule: ClassVar[str] = "test_every_status_has_a_verdict"

    def classify(self, outcome: Outcome) -> Verdict:
        if outcome.reply is not None and outcome.reply.content:
            outcome.reply.json()
        return super().classify(outcome)


class NeedsAReply(Registry):
    rule: ClassVar[str] = "test_every_failure_on_the_wire_has_a_verdict"

    def classify(self, outcome: Outcome) -> Verdict:
        assert outcome.reply is not None
        return super().classify(outcome)


class NoVerdict(Registry):
    rule: ClassVar[str] = "test_every_status_has_a_verdict"

    def classify(self, outcome: Outcome) -> Verdict:
        return cast("Verdict", None) if outcome.status == 418 else super().classify(outcome)


class ServerErrorsAreFine(Registry):
    rule: ClassVar[str] = "test_failure_is_not_ok"

    def classify(self, outcome: Outcome) -> Verdict:
        return OK


class SuccessIsTriedElsewhere(Registry):
    rule: ClassVar[str] = "test_success_is_ok"

    def classify(self, outcome: Outcome) -> Verdict:
        return retry_elsewhere(may_have_run=True) if outcome.status == 204 else super().classify(outcome)


class ForgetsTheDelay(Registry):
    rule: ClassVar[str] = "test_overload_waits_as_long_as_it_is_told"

    def classify(self, outcome: Outcome) -> Verdict:
        return back_off() if outcome.status == 429 else super().classify(outcome)


class SaysNothingHasRun(Registry):
    rule: ClassVar[str] = "test_what_may_have_run_is_said_carefully"

    def classify(self, outcome: Outcome) -> Verdict:
        return retry_elsewhere(may_have_run=False) if outcome.status == 500 else super().classify(outcome)


class RenewsWithoutClaim(Registry):
    rule: ClassVar[str] = "test_credential_is_renewed_if_that_is_claimed"

    def classify(self, outcome: Outcome) -> Verdict:
        return REAUTHENTICATE if outcome.status == 401 else super().classify(outcome)


class CountsVerdicts(Registry):
    rule: ClassVar[str] = "test_equal_outcomes_have_equal_verdicts"
    counts: ClassVar[list[int]] = []

    def classify(self, outcome: Outcome) -> Verdict:
        self.counts.append(1)
        return back_off(float(len(self.counts))) if outcome.status == 503 else super().classify(outcome)


DISCOVERIES = Mutant.__subclasses__()
PROVIDERS = [model for model in Registry.__subclasses__() if "rule" in vars(model)]


@pytest.mark.parametrize("mutant", DISCOVERIES, ids=lambda mutant: mutant.__name__)
def test_broken_discovery_is_caught(mutant: type[Mutant]) -> None:
    class Broken(Registry):
        def discovery(self) -> Discovery:
            return mutant(self.host, self.service, self.key)

    _assert_caught(Broken, mutant.rule)


@pytest.mark.parametrize("mutant", PROVIDERS, ids=lambda mutant: mutant.__name__)
def test_broken_provider_is_caught(mutant: type[Registry]) -> None:
    _assert_caught(mutant, cast("str", vars(mutant)["rule"]))


def _assert_caught(mutant: type[Provider], rule: str) -> None:
    class Case(RegistryCase):
        model = mutant

    with pytest.raises((AssertionError, pytest.fail.Exception)) as caught:
        run_rule(Case, rule)
    assert str(caught.value).strip(), "a failure names its rule"


def test_the_mutants_cover_the_contract() -> None:
    """A rule that no mutant breaks may be a rule that cannot fail. Watches and upkeeps have mutants of their own."""
    broken = {mutant.rule for mutant in DISCOVERIES} | {cast("str", vars(mutant)["rule"]) for mutant in PROVIDERS}
    assert set(PASSES) - broken - set(vars(WatchRules)) - set(vars(UpkeepRules)) == set()
