"""Upkeep: what the calls of a route need is there before the first call, and is renewed when an endpoint refuses it."""

from __future__ import annotations

import logging
from collections.abc import Generator, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from typing import ClassVar

import pytest
from clock_lab import VirtualClock
from discovery_lab import SECRET, ControlPlane, Told, quick
from pydantic import ConfigDict

from directlane import (
    REAUTHENTICATE,
    Client,
    Config,
    Conversation,
    CredentialError,
    Discovery,
    DiscoveryRefused,
    DiscoveryThrottled,
    Endpoint,
    NoEndpointError,
    Outcome,
    PollContext,
    Provider,
    ProviderFacts,
    Query,
    Request,
    RoutePlan,
    ServicePlan,
    Snapshot,
    Upkeep,
    Verdict,
    Wire,
)
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.discovery.hub import DiscoveryHub
from directlane.core.discovery.subscription import Subscription
from directlane.core.discovery.upkeep import UpkeepPoller
from directlane.core.emulation.server import LoopbackServer, ServerReply, ServerRequest
from directlane.core.message import Headers
from directlane.core.transports.wire_transport import WireTransport
from directlane.providers.static.discovery import StaticDiscovery

NEVER = 3600.0


class Login:
    """An upkeep: asks the control plane for a token, and keeps it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.token: str | None = None
        self.renewals: list[bool] = []

    @property
    def identity(self) -> Hashable:
        return self

    def poll(self, context: PollContext) -> Conversation:
        self.renewals.append(context.reauthenticate)
        reply = yield Query(f"{self._url}/login", headers=(("authorization", SECRET),))
        if reply.status == 403:
            raise CredentialError("the key was refused", permanent=True)
        if reply.status != 200:
            raise DiscoveryRefused(f"no token ({reply.status})", status=reply.status)
        self.token = reply.content.decode()
        return Snapshot(ask_again_in=NEVER)

    def headers(self, request: Request, unix_time: float) -> Headers:
        return (("authorization", f"{self.token}"),)


class LoginProvider(Provider):
    """One endpoint, and a login."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    kind: ClassVar[str] = "login"
    facts: ClassVar[ProviderFacts] = ProviderFacts("Login", "for tests")

    endpoint: Endpoint
    login: Login | None

    def discovery(self) -> Discovery:
        return StaticDiscovery((self.endpoint,))

    def upkeep(self) -> Upkeep | None:
        return self.login

    def wire(self, endpoint: Endpoint) -> Wire:
        return Wire(sign=None if self.login is None else self.login.headers)

    def classify(self, outcome: Outcome) -> Verdict:
        return REAUTHENTICATE if outcome.status == 401 else super().classify(outcome)


def token(text: str) -> ServerReply:
    return ServerReply(content=text.encode())


@contextmanager
def kept(hub: DiscoveryHub, login: Login) -> Generator[Subscription, None, None]:
    subscription = hub.keep("svc/route", login, quick(timeout=5.0), Told())
    try:
        yield subscription
    finally:
        subscription.release()


# --- the poller -------------------------------------------------------------------------------------------------------


def test_it_is_ready_after_its_first_success_and_not_after_a_failure(plane: ControlPlane, hub: DiscoveryHub) -> None:
    plane.behaviour = lambda _: ServerReply(500)
    login = Login(plane.url)
    with kept(hub, login) as share:
        assert not share.wait_ready(5, or_asked=True)
        plane.behaviour = lambda _: token("t1")
        assert share.wait_ready(5)
        assert (login.token, share.belief.error) == ("t1", None)


def test_a_later_failure_keeps_what_was_learned_and_says_so(
    plane: ControlPlane, hub: DiscoveryHub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    plane.behaviour = lambda _: token("t1")
    login = Login(plane.url)
    with kept(hub, login) as share:
        assert share.wait_ready(5)
        plane.behaviour = lambda _: ServerReply(500)
        assert share.wait_served(share.ask_soon(reauthenticate=True), 5)
        assert (login.token, share.is_ready, str(share.belief.error)) == ("t1", True, "no token (500)")
    assert "svc/route: upkeep fails: no token (500); what was learned before stays in use" in caplog.text
    assert "nobody serves" not in caplog.text
    assert SECRET not in caplog.text


def poller_at(clock: VirtualClock) -> UpkeepPoller:
    """A poller that nobody runs, with one success behind it."""
    poller = UpkeepPoller("svc/route", Login("http://unused"), quick(interval=60.0), clock, Random(1))
    poller.begin()
    poller.end(Snapshot(ask_again_in=NEVER))
    return poller


def test_an_outage_is_told_once_though_each_refusal_has_a_number(caplog: pytest.LogCaptureFixture) -> None:
    poller = poller_at(VirtualClock())
    for number in range(5):
        poller.begin()
        poller.end(DiscoveryRefused(f"refused, request {number}", status=500))
    poller.begin()
    poller.end(Snapshot(ask_again_in=NEVER))
    assert [record.getMessage() for record in caplog.records] == [
        "svc/route: upkeep fails: refused, request 0; what was learned before stays in use",
        "svc/route: upkeep works again after 5 failures",
    ]


def test_a_wish_right_after_a_renewal_is_served_by_it_and_a_later_one_is_not() -> None:
    clock = VirtualClock()
    poller = poller_at(clock)
    ticket = poller.ask_soon(reauthenticate=True)
    assert not poller.wait_served(ticket, 0.0)
    assert poller.begin().reauthenticate
    poller.end(Snapshot(ask_again_in=NEVER))
    assert poller.wait_served(ticket, 0.0)
    clock.now += 0.9
    assert poller.wait_served(poller.ask_soon(reauthenticate=True), 0.0)
    assert not poller.is_wanted
    clock.now += 0.2
    assert not poller.wait_served(poller.ask_soon(reauthenticate=True), 0.0)
    assert poller.is_wanted


def test_a_round_that_is_no_renewal_serves_no_wish_that_comes_after_it() -> None:
    poller = poller_at(VirtualClock())
    assert not poller.wait_served(poller.ask_soon(reauthenticate=True), 0.0)


def test_wishes_do_not_become_rarer_though_they_bring_no_endpoints() -> None:
    clock = VirtualClock()
    poller = poller_at(clock)
    for _ in range(10):
        poller.ask_soon(reauthenticate=True)
        poller.begin()
        poller.end(Snapshot(ask_again_in=NEVER))
        clock.now += 2.0
    assert poller.rest()[0] == 1.0


def test_who_is_throttled_lets_no_call_wait() -> None:
    clock = VirtualClock()
    poller = poller_at(clock)
    poller.ask_soon(reauthenticate=True)
    poller.begin()
    poller.end(DiscoveryThrottled("asked too often", retry_after=NEVER))
    clock.now += 100.0
    assert poller.wait_served(poller.ask_soon(reauthenticate=True), 0.0)


def test_two_clients_with_one_upkeep_run_it_once(plane: ControlPlane, hub: DiscoveryHub) -> None:
    plane.behaviour = lambda _: token("t1")
    login = Login(plane.url)
    with kept(hub, login) as one, kept(hub, login) as two:
        assert one.wait_ready(5)
        assert two.wait_ready(5)
    assert len(plane.asked) == 1
    assert hub.pollers == 0


# --- the calls --------------------------------------------------------------------------------------------------------


class Instance:
    """A server that accepts some tokens."""

    def __init__(self) -> None:
        self.accepted: set[str | None] = {"t1"}
        self.seen: list[str | None] = []
        self.server = LoopbackServer(self.handle)

    def handle(self, request: ServerRequest) -> ServerReply:
        given = request.header("authorization")
        self.seen.append(given)
        return ServerReply(200 if given in self.accepted else 401)

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.server.host, self.server.port)


@pytest.fixture
def instance() -> Iterator[Instance]:
    made = Instance()
    with made.server:
        yield made


def client_of(*providers: Provider, hub: DiscoveryHub | None = None, **settings: object) -> Client:
    routes = tuple(RoutePlan(f"r{place}", provider, tier=place) for place, provider in enumerate(providers))
    discovery = quick(interval=10.0, timeout=10.0, **settings)
    plan = ServicePlan("svc", routes, WeightedRoundRobin(), WireTransport(), discovery)
    return Client(Config("test", {"svc": plan}), hub=hub or DiscoveryHub())


def test_the_first_call_waits_for_the_token(plane: ControlPlane, instance: Instance) -> None:
    plane.behaviour = lambda _: token("t1")
    with client_of(LoginProvider(endpoint=instance.endpoint, login=Login(plane.url))) as client:
        assert client.service("svc").send(b"x").status == 200
    assert instance.seen == ["t1"]


def test_the_first_call_waits_on_while_the_token_cannot_be_had(plane: ControlPlane, instance: Instance) -> None:
    answers = iter([ServerReply(500), ServerReply(500)])
    plane.behaviour = lambda _: next(answers, token("t1"))
    with client_of(LoginProvider(endpoint=instance.endpoint, login=Login(plane.url)), start_timeout=20.0) as client:
        assert client.service("svc").send(b"x").status == 200
    assert instance.seen == ["t1"]


def test_without_a_token_a_call_ends_with_the_reason(plane: ControlPlane, instance: Instance) -> None:
    plane.behaviour = lambda _: ServerReply(500)
    provider = LoginProvider(endpoint=instance.endpoint, login=Login(plane.url))
    with client_of(provider, start_timeout=0.05) as client:
        with pytest.raises(NoEndpointError, match=r"what its calls need cannot be had .*no token \(500\)") as caught:
            client.service("svc").send(b"x")
        assert SECRET not in str(caught.value)
    assert instance.seen == []


def test_a_key_that_is_refused_for_good_ends_the_first_call_at_once(plane: ControlPlane, instance: Instance) -> None:
    plane.behaviour = lambda _: ServerReply(403)
    provider = LoginProvider(endpoint=instance.endpoint, login=Login(plane.url))
    with (
        client_of(provider, start_timeout=NEVER) as client,
        pytest.raises(NoEndpointError, match="the key was refused"),
    ):
        client.service("svc").send(b"x", timeout=NEVER)
    assert len(plane.asked) == 1


def test_without_a_token_calls_go_to_the_next_tier(plane: ControlPlane, instance: Instance) -> None:
    plane.behaviour = lambda _: ServerReply(500)
    other = Instance()
    other.accepted = {None}
    with other.server:
        second = LoginProvider(endpoint=other.endpoint, login=None)
        with client_of(LoginProvider(endpoint=instance.endpoint, login=Login(plane.url)), second) as client:
            assert client.service("svc").send(b"x").status == 200
    assert instance.seen == []


def test_a_refused_token_is_renewed_once_for_all_calls_and_none_fails(plane: ControlPlane, instance: Instance) -> None:
    plane.behaviour = lambda _: token("t1")
    login = Login(plane.url)
    with client_of(LoginProvider(endpoint=instance.endpoint, login=login)) as client:
        service = client.service("svc")
        assert service.send(b"x").status == 200
        instance.accepted = {"t2"}
        plane.behaviour = lambda _: token("t2")
        with ThreadPoolExecutor(8) as pool:
            replies = [pool.submit(service.send, b"x") for _ in range(8)]
        assert [reply.result().status for reply in replies] == [200] * 8
    assert login.renewals == [False, True]


def test_the_upkeep_of_a_closed_client_ends(plane: ControlPlane, instance: Instance, hub: DiscoveryHub) -> None:
    plane.behaviour = lambda _: token("t1")
    client = client_of(LoginProvider(endpoint=instance.endpoint, login=Login(plane.url)), hub=hub)
    assert client.service("svc").send(b"x").status == 200
    assert hub.pollers == 1
    client.close()
    assert hub.pollers == 0
