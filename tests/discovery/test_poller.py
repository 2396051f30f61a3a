"""A poller over real sockets: it goes on whatever comes back, asks early when it is told to, and not too early."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from random import Random

import pytest
from discovery_lab import FAULTS, SECRET, Ask, ControlPlane, Told, hub_threads, quick

from directlane import (
    AddressSource,
    Conversation,
    CredentialError,
    Discovery,
    EmptyAnswer,
    Endpoint,
    PollContext,
    Query,
    Snapshot,
)
from directlane.core.clock import SYSTEM_CLOCK
from directlane.core.config.model import DiscoverySettings
from directlane.core.discovery.belief import Belief
from directlane.core.discovery.hub import DiscoveryHub
from directlane.core.discovery.poller import Poller
from directlane.core.discovery.subscription import Subscription
from directlane.core.emulation.server import ServerReply, ServerRequest

NEVER = 3600.0


@contextmanager
def share(
    hub: DiscoveryHub,
    discovery: Discovery,
    settings: DiscoverySettings | None = None,
    listener: Callable[[Belief], None] | None = None,
) -> Generator[Subscription, None, None]:
    subscription = hub.subscribe("svc/route", discovery, settings or quick(), listener or Told())
    try:
        yield subscription
    finally:
        subscription.release()


def next_answer(subscription: Subscription) -> Belief:
    """The belief after a question that begins after now."""
    assert subscription.wait_served(subscription.ask_soon(), 5)
    return subscription.belief


def hosts(belief: Belief) -> list[str]:
    return [endpoint.host for endpoint in belief.endpoints]


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "directlane.discovery"]


# --- the list is kept up to date --------------------------------------------------------------------------------------


def test_list_is_refreshed_in_the_background(hub: DiscoveryHub, plane: ControlPlane) -> None:
    told = Told()
    with share(hub, Ask(plane.url), listener=told) as subscription:
        assert subscription.wait_ready(5)
        plane.behaviour = plane.serve("10.0.0.3")
        plane.wait_asked(3)
        next_answer(subscription)
        assert hosts(subscription.belief) == ["10.0.0.3"]
    assert told.lists == [["10.0.0.1", "10.0.0.2"], ["10.0.0.3"]], "told of each list once"


def test_first_question_comes_at_once_whatever_the_interval(hub: DiscoveryHub, plane: ControlPlane) -> None:
    with share(hub, Ask(plane.url), quick(interval=NEVER)) as subscription:
        assert subscription.wait_ready(5)


def test_who_sees_a_belief_finds_its_listener_told(hub: DiscoveryHub, plane: ControlPlane) -> None:
    seen: list[bool] = []
    told = threading.Event()

    def slow(belief: Belief) -> None:
        told.wait(0.05)
        seen.append(True)

    with share(hub, Ask(plane.url), listener=slow) as subscription:
        while not subscription.belief.endpoints:
            time.sleep(0)
        assert seen == [True]


def test_asking_early_does_not_wait_for_a_slow_listener(hub: DiscoveryHub, plane: ControlPlane) -> None:
    inside, leave = threading.Event(), threading.Event()

    def slow(belief: Belief) -> None:
        inside.set()
        leave.wait(5)

    with share(hub, Ask(plane.url), listener=slow) as subscription:
        assert inside.wait(5)
        subscription.ask_soon()  # would block for 5 seconds and time the next line out
        leave.set()
        assert subscription.wait_ready(1)


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_answers_keep_the_list_let_it_age_and_disturb_nobody(
    hub: DiscoveryHub, plane: ControlPlane, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    other = plane.serve("10.9.9.9")
    good = plane.behaviour

    def answer(request: ServerRequest) -> ServerReply:
        return other(request) if request.header("x-q") == "other" else FAULTS[fault](request)

    with share(hub, Ask(plane.url)) as subscription, share(hub, Ask(plane.url, "other")) as neighbour:
        assert subscription.wait_ready(5)
        plane.behaviour = answer
        belief = next_answer(subscription)
        assert belief.error is not None
        assert SECRET not in str(belief.error)
        ages: list[float] = []
        for _ in range(2):
            assert next_answer(neighbour).error is None
            belief = subscription.belief
            assert hosts(belief) == ["10.0.0.1", "10.0.0.2"]
            ages.append(belief.age(time.monotonic()) or 0)
        assert 0 < ages[0] < ages[1]
        plane.behaviour = good
        belief = next_answer(subscription)
        assert belief.error is None
        assert (belief.age(time.monotonic()) or 0) < ages[1] + 0.5
        assert belief.failures_in_row == 0
        assert belief.failures >= 1
    mine = [line for line in lines(caplog) if "discovery fails" in line or "works again" in line]
    assert len(mine) == 2, "one line for each change of state"
    assert "2 known endpoints stay in use" in mine[0]


def test_server_that_goes_and_comes_back(hub: DiscoveryHub, plane: ControlPlane) -> None:
    with share(hub, Ask(plane.url)) as subscription:
        assert subscription.wait_ready(5)
        plane.server.stop()
        assert "cannot connect" in str(next_answer(subscription).error)
        assert hosts(subscription.belief) == ["10.0.0.1", "10.0.0.2"]
        plane.server.start()
        assert next_answer(subscription).error is None


# --- wishes -----------------------------------------------------------------------------------------------------------


def test_wish_is_served_long_before_the_interval_is_over(hub: DiscoveryHub, plane: ControlPlane) -> None:
    with share(hub, Ask(plane.url), quick(interval=0.5)) as subscription:
        assert subscription.wait_ready(5)
        started = time.monotonic()
        next_answer(subscription)
        assert 0.05 < time.monotonic() - started < 0.4, "after a fifth of the interval"


def test_wish_before_the_poller_runs_is_served_by_its_first_question(hub: DiscoveryHub, plane: ControlPlane) -> None:
    busy, go_on = threading.Event(), threading.Event()

    class Holding(Ask):
        """Keeps the hub's thread busy, so that no other poller runs."""

        def poll(self, context: PollContext) -> Conversation:
            busy.set()
            go_on.wait(5)
            return super().poll(context)

    with share(hub, Holding(plane.url, name="holding")):
        assert busy.wait(5)
        with share(hub, Ask(plane.url), quick(interval=NEVER)) as subscription:
            ticket = subscription.ask_soon()
            go_on.set()
            assert subscription.wait_served(ticket, 5)


def test_wish_that_comes_while_a_question_is_under_way_gets_a_question_of_its_own(
    hub: DiscoveryHub, plane: ControlPlane
) -> None:
    plane.behaviour = FAULTS["hangs"]
    with share(hub, Ask(plane.url), quick(interval=0.2, timeout=0.3)) as subscription:
        plane.wait_asked()
        first, second = subscription.ask_soon(), subscription.ask_soon()
        assert first == second, "one question serves both"
        plane.behaviour = plane.serve("10.0.0.7")
        assert subscription.wait_served(first, 5)
        assert hosts(subscription.belief) == ["10.0.0.7"]
        assert len(plane.asked) == 2
        plane.arrived.acquire(blocking=False)
        plane.behaviour = FAULTS["hangs"]
        third = subscription.ask_soon()
        plane.wait_asked()
        assert subscription.ask_soon() == third + 1, "the third has begun"


def test_thousand_wishes_are_one_question_and_fruitless_ones_come_less_often(
    hub: DiscoveryHub, plane: ControlPlane
) -> None:
    with share(hub, Ask(plane.url), quick(interval=0.4)) as subscription:
        assert subscription.wait_ready(5)
        started = time.monotonic()
        while time.monotonic() - started < 0.9:
            subscription.ask_soon()
            time.sleep(0.001)
        # After 0.08, 0.16, 0.32, then 0.4 s: the 10 questions that a gap of 0.08 s allows are not asked.
        assert 2 <= len(plane.asked) - 1 <= 4


def test_wish_to_renew_reaches_the_discovery_once(hub: DiscoveryHub, plane: ControlPlane) -> None:
    with share(hub, Ask(plane.url)) as subscription:
        assert subscription.wait_ready(5)
        assert subscription.wait_served(subscription.ask_soon(reauthenticate=True), 5)
        next_answer(subscription)
    assert [request.header("x-renew") for request in plane.asked].count("True") == 1


def test_renewal_under_way_serves_those_who_come_late(hub: DiscoveryHub, plane: ControlPlane) -> None:
    good = plane.behaviour
    with share(hub, Ask(plane.url), quick(interval=0.1, timeout=0.3)) as subscription:
        assert subscription.wait_ready(5)
        plane.behaviour = FAULTS["hangs"]
        ticket = subscription.ask_soon(reauthenticate=True)
        while plane.asked[-1].header("x-renew") != "True":
            time.sleep(0.001)
        assert subscription.ask_soon(reauthenticate=True) == ticket
        plane.behaviour = good
        assert subscription.wait_served(ticket, 5)
        next_answer(subscription)
    assert [request.header("x-renew") for request in plane.asked].count("True") == 1


def test_throttled_wait_is_overtaken_by_no_wish_and_not_doubled(hub: DiscoveryHub, plane: ControlPlane) -> None:
    good = plane.behaviour
    with share(hub, Ask(plane.url)) as subscription:
        assert subscription.wait_ready(5)
        plane.behaviour = lambda _: ServerReply(429, (("retry-after", "0.5"),))
        next_answer(subscription)
        throttled_at = time.monotonic()
        plane.behaviour = good
        while subscription.belief.error is not None:
            subscription.ask_soon(reauthenticate=True)
            time.sleep(0.002)
        assert 0.45 <= time.monotonic() - throttled_at < 0.8


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_wait_ready_gives_up_in_time(hub: DiscoveryHub, plane: ControlPlane) -> None:
    plane.behaviour = FAULTS["hangs"]
    with share(hub, Ask(plane.url)) as subscription:
        started = time.monotonic()
        assert not subscription.wait_ready(0.1)
        assert not subscription.wait_served(subscription.ask_soon(), 0.0)
        assert time.monotonic() - started < 0.5


def test_release_lets_go_who_waits(hub: DiscoveryHub, plane: ControlPlane) -> None:
    plane.behaviour = FAULTS["hangs"]
    answers: list[bool] = []
    with share(hub, Ask(plane.url), quick(timeout=30)) as subscription:
        ticket = subscription.ask_soon()
        waiting = [
            threading.Thread(target=lambda: answers.append(subscription.wait_ready(30))),
            threading.Thread(target=lambda: answers.append(subscription.wait_served(ticket, 30))),
        ]
        for thread in waiting:
            thread.start()
        plane.wait_asked()
    for thread in waiting:
        thread.join(2)
    assert answers == [False, False]


class Refused(Ask):
    """Its credential is refused for good."""

    def poll(self, context: PollContext) -> Conversation:
        yield Query(self.url)
        raise CredentialError("wrong password", permanent=True)


def test_refused_credential_is_never_sent_again(
    hub: DiscoveryHub, plane: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    with share(hub, Refused(plane.url)) as subscription:
        assert not subscription.wait_ready(5), "there cannot be a list: it does not wait"
        for renew in (False, True):
            assert subscription.wait_served(subscription.ask_soon(reauthenticate=renew), 0.1)
        with share(hub, Refused(plane.url)) as late:
            assert not late.wait_ready(5)
    assert len(plane.asked) == 1
    assert len(lines(caplog)) == 1
    assert "is not tried again: wrong password" in lines(caplog)[0]


# --- listeners and plug-ins that break their word ---------------------------------------------------------------------


def test_listener_that_raises_stops_nobody(
    hub: DiscoveryHub, plane: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(belief: Belief) -> None:
        raise RuntimeError(SECRET)

    told = Told()
    with share(hub, Ask(plane.url), listener=broken), share(hub, Ask(plane.url), listener=told) as subscription:
        assert subscription.wait_ready(5)
        with share(hub, Ask(plane.url), listener=broken):
            plane.behaviour = plane.serve("10.0.0.3")
            next_answer(subscription)
    assert told.lists[-1] == ["10.0.0.3"]
    assert any("a listener of discovery failed with RuntimeError" in line for line in lines(caplog))


def test_listener_may_give_its_share_back(hub: DiscoveryHub, plane: ControlPlane) -> None:
    shares: list[Subscription] = []
    released = threading.Event()

    def leaving(belief: Belief) -> None:
        shares[0].release()
        released.set()

    # No list before `subscribe` returns: it would be told in this thread, to a listener that has no share yet.
    serving, plane.behaviour = plane.behaviour, FAULTS["500"]
    shares.append(hub.subscribe("svc/route", Ask(plane.url), quick(), leaving))
    plane.behaviour = serving
    shares[0].ask_soon()
    assert released.wait(5)
    while hub_threads():  # it cannot wait for itself
        time.sleep(0.001)
    assert hub.pollers == 0


class Strange:
    """One of its properties fails."""

    identity = "strange"
    addresses = AddressSource.LEARNED

    def __init__(self, url: str) -> None:
        self._ask = Ask(url)

    @property
    def empty_answer(self) -> EmptyAnswer:
        raise RuntimeError(SECRET)

    def poll(self, context: PollContext) -> Conversation:
        return self._ask.poll(context)


def test_plugin_whose_properties_raise_is_a_failure_like_all_others(hub: DiscoveryHub, plane: ControlPlane) -> None:
    with share(hub, Strange(plane.url)) as subscription:
        assert "the discovery plug-in failed with RuntimeError" in str(next_answer(subscription).error)
        assert next_answer(subscription).failures >= 2


# --- log lines --------------------------------------------------------------------------------------------------------


def test_entries_that_are_left_out_are_told_once(
    hub: DiscoveryHub, plane: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    plane.behaviour = plane.serve("10.0.0.1", "8.8.8.8", "9.9.9.9")
    with share(hub, Ask(plane.url)) as subscription:
        for _ in range(3):
            next_answer(subscription)
    left_out = [line for line in lines(caplog) if "left out" in line]
    assert len(left_out) == 1
    assert "2 entries" in left_out[0]
    assert "8.8.8.8" in left_out[0]


def test_each_warning_of_a_list_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    poller = Poller("svc/route", Ask("http://127.0.0.1:9"), DiscoverySettings(), SYSTEM_CLOCK, Random(0))
    listed = (Endpoint("10.0.0.1", 80),)
    for warnings in ((), ("a",), ("a",), ("a", "b"), ("b",)):
        poller.begin()
        poller.end(Snapshot(listed, warnings=warnings))
    assert [line for line in lines(caplog) if "endpoints" not in line] == ["svc/route: a", "svc/route: b"]


def test_healthy_poller_is_silent(hub: DiscoveryHub, plane: ControlPlane, caplog: pytest.LogCaptureFixture) -> None:
    with share(hub, Ask(plane.url)) as subscription:
        for _ in range(4):
            next_answer(subscription)
    assert lines(caplog) == ["svc/route: 2 endpoints (0 before)"]
    # The control plane, which is not what is tested, has a thread of its own.
    ours = [record for record in caplog.records if record.threadName != "directlane-loopback"]
    others = [record.name for record in ours if record.levelno >= logging.INFO]
    assert set(others) == {"directlane.discovery"}, "no library writes a line for each query"


def test_valid_empty_answer_is_told_once(
    hub: DiscoveryHub, plane: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    with share(hub, Ask(plane.url, empty_answer=EmptyAnswer.KEEP)) as subscription:
        assert subscription.wait_ready(5)
        plane.behaviour = FAULTS["empty list"]
        for _ in range(3):
            assert next_answer(subscription).error is None
        assert hosts(subscription.belief) == ["10.0.0.1", "10.0.0.2"]
    told = [line for line in lines(caplog) if "nobody serves" in line]
    assert told == ["svc/route: the answer says that nobody serves; 2 known endpoints stay in use"]


class Impatient(Ask):
    """Wants to be asked again at once, and needs no question for it."""

    def poll(self, context: PollContext) -> Conversation:
        self.url.encode()
        return Snapshot((), ask_again_in=0.0)
        yield


def test_answer_that_wants_to_be_asked_at_once_makes_no_busy_loop(hub: DiscoveryHub) -> None:
    discovery = Impatient("-", addresses=AddressSource.CONFIGURED, empty_answer=EmptyAnswer.BELIEVE)
    with share(hub, discovery, quick(interval=NEVER)) as subscription:
        time.sleep(0.3)
        assert 1 <= subscription.belief.questions <= 3
