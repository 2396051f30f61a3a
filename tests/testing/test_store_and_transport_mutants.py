"""Some ways of breaking a store or a transport, each caught by the rule that is about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

import pytest
from store_lab import HostClock

from directlane import Channel, Endpoint, Phase, RateBudget, Reply, Request, Timeouts, Transport, TransportError
from directlane.core.interfaces.store import Lease, Permit, Store
from directlane.core.stores.memory_store import MemoryStore
from directlane.core.transports.httpx_transport import HttpxTransport
from directlane.testing import (
    AsyncTransportContract,
    ManualClock,
    StoreContract,
    TransportContract,
    TransportLab,
    socket_lab,
)


class NewFenceOnRenewal(MemoryStore):
    rule = "test_renewed_lease_lasts_longer_and_keeps_its_fence"
    count = 0

    def lease(self, name: str, holder: str, ttl: float) -> Lease | float:
        got = super().lease(name, holder, ttl)
        self.count += 1
        return replace(got, fence=self.count) if isinstance(got, Lease) else got


class LetsEverybodyGo(MemoryStore):
    rule = "test_budget_lets_so_many_go_and_says_when_the_next_may"

    def take(self, budgets: Sequence[RateBudget], hold: float) -> Permit | float:
        return Permit("always", tuple(budget.name for budget in budgets))


class ForgetsToCancel(MemoryStore):
    rule = "test_query_that_was_not_sent_does_not_count"

    def cancel(self, permit: Permit) -> None:
        self.settle(permit)


class PublishesAnyWord(MemoryStore):
    rule = "test_old_holder_cannot_publish_over_a_newer_one"

    def publish(self, lease: Lease, data: bytes) -> bool:
        super().publish(lease, data)
        return True


class CountsForEver(MemoryStore):
    rule = "test_what_was_spent_is_told_and_nothing_is_changed"

    def spent(self, budget: RateBudget) -> int:
        return super().spent(replace(budget, window=1e9))


STORES = [NewFenceOnRenewal, LetsEverybodyGo, ForgetsToCancel, PublishesAnyWord, CountsForEver]


@pytest.mark.parametrize("mutant", STORES, ids=lambda mutant: mutant.__name__)
def test_broken_store_is_caught(mutant: type[MemoryStore]) -> None:
    rule: Callable[..., None] = getattr(StoreContract(), vars(mutant)["rule"])
    known = {"clock": HostClock()}
    store = mutant(known["clock"])
    wanted = {name: known[name] for name in rule.__code__.co_varnames[: rule.__code__.co_argcount] if name in known}
    with pytest.raises(AssertionError):
        rule(store, **wanted)


class ForgetsAtClose(MemoryStore):
    """Claims more than it is."""

    capabilities = frozenset({"processes", "lasting"})


class Rules(StoreContract):
    def another(self, store: Store, clock: ManualClock) -> Store:
        assert isinstance(clock, HostClock)
        return MemoryStore(clock)


@pytest.mark.parametrize("rule", ["test_other_processes_hear_if_that_is_claimed", "test_lists_last_if_that_is_claimed"])
def test_store_that_claims_too_much_is_caught(rule: str) -> None:
    clock = HostClock()
    with pytest.raises(AssertionError):
        getattr(Rules(), rule)(ForgetsAtClose(clock), clock)


def test_store_whose_claims_do_not_fit_together_is_caught() -> None:
    class OnlyHosts(MemoryStore):
        capabilities = frozenset({"hosts"})

    with pytest.raises(AssertionError, match="`processes` is not claimed"):
        StoreContract().test_claims_are_words_that_fit_together(OnlyHosts(HostClock()))


class Wrapped(Channel):
    """Passes everything on."""

    def __init__(self, inner: Channel, change: Callable[[Callable[[], Reply]], Reply]) -> None:
        self.inner, self.change = inner, change

    def send(self, request: Request, timeouts: Timeouts) -> Reply:
        return self.change(lambda: self.inner.send(request, timeouts))

    def stream(self, request: Request, timeouts: Timeouts):  # type: ignore[no-untyped-def]  # as the channel does
        return self.inner.stream(request, timeouts)

    def close(self) -> None:
        self.inner.close()


def says_connect_for_all(send: Callable[[], Reply]) -> Reply:
    """The worst lie: what may have run is repeated."""
    try:
        return send()
    except TransportError as error:
        raise TransportError(str(error), phase=Phase.CONNECT) from error


def raises_what_it_gets(send: Callable[[], Reply]) -> Reply:
    try:
        return send()
    except TransportError as error:
        raise OSError(str(error)) from error


def forgets_the_endpoint(send: Callable[[], Reply]) -> Reply:
    return replace(send(), endpoint=None)


def sends_twice(send: Callable[[], Reply]) -> Reply:
    try:
        return send()
    except TransportError:
        return send()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (says_connect_for_all, "test_reset_before_the_answer_is_phase_wait"),
        (raises_what_it_gets, "test_refused_connection_is_phase_connect"),
        (forgets_the_endpoint, "test_reply_names_its_endpoint"),
        (sends_twice, "test_reset_before_the_answer_is_phase_wait"),
    ],
)
def test_broken_transport_is_caught(change: Callable[[Callable[[], Reply]], Reply], rule: str) -> None:
    class Broken(HttpxTransport):
        def open(self, endpoint: Endpoint) -> Channel:
            return Wrapped(super().open(endpoint), change)

    class Case(TransportContract):
        def transport(self) -> Transport:
            return Broken()

    def tried(lab: TransportLab) -> None:
        getattr(Case(), rule)(lab)

    with socket_lab(Broken()) as lab, pytest.raises((AssertionError, OSError)):
        tried(lab)


@pytest.mark.parametrize(
    ("claims", "rule"),
    [
        (frozenset({"sync", "async", "warm"}), "test_connections_are_opened_ahead_if_that_is_claimed"),
        (frozenset({"sync"}), "test_trio_is_known_if_that_is_claimed"),
        (frozenset({"warm"}), "test_claims_are_words_and_name_a_side"),
        (frozenset({"trio"}), "test_side_that_is_not_claimed_refuses_when_it_is_opened"),
    ],
    ids=["warm", "trio", "no side", "sync"],
)
def test_transport_whose_claims_are_wrong_is_caught(claims: frozenset[str], rule: str) -> None:
    class Other(HttpxTransport):
        capabilities: ClassVar[frozenset[str]] = claims

    base = AsyncTransportContract if "trio" in rule else TransportContract

    class Case(base):  # type: ignore[misc,valid-type]  # one of two
        def transport(self) -> Transport:
            return Other()

    method = getattr(Case(), rule)
    with socket_lab(Other()) as lab:
        arguments = [lab] if "lab" in method.__code__.co_varnames[:2] else []
        with pytest.raises(AssertionError):
            method(*arguments)
