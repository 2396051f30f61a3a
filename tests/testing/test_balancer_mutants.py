"""Each way of breaking a balancer is caught by the rule that is about it."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import ClassVar

import pytest
from kit_lab import run_rule
from pydantic import ConfigDict

from directlane import Balancer, BuildContext, Member, Picker, PickInfo
from directlane.balancers.consistent_hash import ConsistentHash
from directlane.balancers.least_loaded import LeastLoaded
from directlane.testing import BalancerContract


class InTurn:
    """A correct picker, small: by chance among those who are left."""

    def __init__(self, members: Sequence[Member], context: BuildContext) -> None:
        self.members: Sequence[Member] = tuple(members)
        self.random = context.random
        self.context = context

    def pick(self, info: PickInfo) -> Member | None:
        left = [member for member in self.members if member.endpoint.id not in info.excluded]
        return self.random.choice(left) if left else None


class Fair(Balancer):
    """By chance."""

    kind: ClassVar[str] = "fair"
    summary: ClassVar[str] = "By chance."
    picker: ClassVar[type[InTurn]] = InTurn

    def build(self, members: Sequence[Member], context: BuildContext) -> Picker:
        return self.picker(members, BuildContext(context.random, context.clock))


class TestCorrectBalancer(BalancerContract):
    def balancer(self) -> Balancer:
        return Fair()


class IgnoresExcluded(InTurn):
    rule = "test_excluded_are_never_picked_and_nobody_else_is_refused"

    def pick(self, info: PickInfo) -> Member | None:
        return self.random.choice(self.members) if self.members else None


class GivesUpEarly(InTurn):
    rule = "test_retries_reach_everybody_once"

    def pick(self, info: PickInfo) -> Member | None:
        return None if len(info.excluded) > 1 else super().pick(info)


class FailsOnNobody(InTurn):
    rule = "test_nobody_is_nobody"

    def pick(self, info: PickInfo) -> Member | None:
        assert self.members
        return super().pick(info)


class ChanceOfItsOwn(InTurn):
    rule = "test_chance_and_time_come_from_outside"

    def pick(self, info: PickInfo) -> Member | None:
        self.random = random.Random()
        return super().pick(info)


class ReadsTheClock(InTurn):
    rule = "test_pick_does_no_io_and_ends"

    def pick(self, info: PickInfo) -> Member | None:
        return super().pick(info) if time.monotonic() else None


class Sleeps(InTurn):
    rule = "test_pick_does_no_io_and_ends"

    def pick(self, info: PickInfo) -> Member | None:
        time.sleep(0.0)
        return super().pick(info)


class LoopsForEver(InTurn):
    rule = "test_pick_does_no_io_and_ends"

    def pick(self, info: PickInfo) -> Member | None:
        while info.excluded:
            pass
        return super().pick(info)


class UsesTheCallersList(InTurn):
    rule = "test_members_are_left_as_they_are"

    def __init__(self, members: Sequence[Member], context: BuildContext) -> None:
        super().__init__(members, context)
        self.members = members


class TripsOverAKey(InTurn):
    rule = "test_any_key_is_a_key"

    def pick(self, info: PickInfo) -> Member | None:
        if info.key is not None:
            info.key.decode("utf-8")
        return super().pick(info)


class AddsWeights(InTurn):
    rule = "test_extreme_weights_are_weights"

    def pick(self, info: PickInfo) -> Member | None:
        if self.members and sum(member.weight * 2 for member in self.members) == float("inf"):
            return None
        return super().pick(info)


class KeepsThePrevious(Fair):
    """Holds the whole chain of pickers."""

    rule: ClassVar[str] = "test_rebuilds_do_not_pile_up"

    def build(self, members: Sequence[Member], context: BuildContext) -> Picker:
        return InTurn(members, context)


class FrozenMembership(Fair):
    """Never builds a second picker."""

    rule: ClassVar[str] = "test_rebuild_with_another_membership_is_right"

    def build(self, members: Sequence[Member], context: BuildContext) -> Picker:
        return context.previous or super().build(members, context)


class TakesAnySetting(Fair):
    """Typing mistakes go unseen."""

    rule: ClassVar[str] = "test_settings_are_strict_and_described"
    model_config = ConfigDict(extra="allow")


class StrangeWish(Fair):
    """An interval that is none."""

    rule: ClassVar[str] = "test_wishes_for_statistics_are_what_they_should_be"

    def refresh_interval(self) -> float | None:
        return 0.0


PICKERS = [
    IgnoresExcluded, GivesUpEarly, FailsOnNobody, ChanceOfItsOwn, ReadsTheClock, Sleeps, LoopsForEver,
    UsesTheCallersList, TripsOverAKey, AddsWeights,
]  # fmt: skip
BALANCERS = [KeepsThePrevious, FrozenMembership, TakesAnySetting, StrangeWish]


@pytest.mark.parametrize("mutant", PICKERS, ids=lambda mutant: mutant.__name__)
def test_broken_picker_is_caught(mutant: type[InTurn]) -> None:
    class Broken(Fair):
        """Broken."""

        picker: ClassVar[type[InTurn]] = mutant

    _assert_caught(Broken, str(vars(mutant)["rule"]))


@pytest.mark.parametrize("mutant", BALANCERS, ids=lambda mutant: mutant.__name__)
def test_broken_balancer_is_caught(mutant: type[Fair]) -> None:
    _assert_caught(mutant, str(vars(mutant)["rule"]))


@pytest.mark.parametrize(
    ("capability", "rule"),
    [
        ("weights", "test_shares_follow_the_weights"),
        ("affinity", "test_same_key_goes_to_the_same_member"),
        ("load", "test_open_calls_count_if_that_is_claimed"),
        ("latency", "test_latency_counts_if_that_is_claimed"),
        ("load-reports", "test_reports_are_asked_for_if_that_is_claimed"),
        ("anything", "test_claims_are_words_of_the_balancer"),
    ],
)
def test_claim_that_is_not_true_is_caught(capability: str, rule: str) -> None:
    _assert_caught(Fair, rule, frozenset({capability}))


class LooksAtLatency(InTurn):
    def pick(self, info: PickInfo) -> Member | None:
        quick = [each for each in self.members if each.load.latency is None or each.load.latency.seconds < 1]
        return self.random.choice(quick) if quick else None


class AsksForLatency(Fair):
    picker: ClassVar[type[InTurn]] = LooksAtLatency

    def wants_reports(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("balancer", "rule"),
    [
        (ConsistentHash(), "test_same_key_goes_to_the_same_member"),
        (LeastLoaded(), "test_open_calls_count_if_that_is_claimed"),
        (AsksForLatency(), "test_latency_counts_if_that_is_claimed"),
        (AsksForLatency(), "test_reports_are_asked_for_if_that_is_claimed"),
    ],
)
def test_claim_that_is_missing_is_caught(balancer: Balancer, rule: str) -> None:
    class Case(BalancerContract):
        capabilities = frozenset({"weights"})

        def balancer(self) -> Balancer:
            return balancer

    with pytest.raises(AssertionError):
        run_rule(Case, rule)


def _assert_caught(mutant: type[Fair], rule: str, claims: frozenset[str] = frozenset()) -> None:
    class Case(BalancerContract):
        capabilities = claims

        def balancer(self) -> Balancer:
            return mutant()

    with pytest.raises((AssertionError, UnicodeDecodeError)):
        run_rule(Case, rule)
