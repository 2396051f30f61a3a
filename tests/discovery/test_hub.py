"""Who shares a poller, and when the thread lives and ends."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from discovery_lab import FAULTS, Ask, ControlPlane, Told, hub_threads, quick

from directlane import AddressSource, Conversation, Endpoint, PollContext, Query, Snapshot
from directlane.core.discovery.belief import Belief
from directlane.core.discovery.hub import DiscoveryHub, process_hub
from directlane.core.interfaces.discovery import RateBudget

NEVER = 3600.0


def ignore(belief: Belief) -> None:
    """A listener that does nothing."""


def test_two_who_ask_the_same_share_one_poller(hub: DiscoveryHub, plane: ControlPlane) -> None:
    first, second = Told(), Told()
    one = hub.subscribe("a", Ask(plane.url), quick(interval=NEVER), first)
    assert one.wait_ready(5)
    two = hub.subscribe("b", Ask(plane.url), quick(interval=NEVER), second)
    assert second.lists == first.lists == [["10.0.0.1", "10.0.0.2"]], "known at once"
    assert hub.pollers == 1
    assert len(hub_threads()) == 1
    one.release()
    assert len(hub_threads()) == 1
    two.release()
    assert len(plane.asked) == 1


@pytest.mark.parametrize("changes", [{"interval": 1800.0}, {"timeout": 1.0}, {"allow_networks": ["10.0.0.0/8"]}])
def test_other_settings_are_another_poller(hub: DiscoveryHub, plane: ControlPlane, changes: dict[str, object]) -> None:
    shares = [
        hub.subscribe("svc", Ask(plane.url), quick(**{"interval": NEVER, **more}), ignore) for more in ({}, changes)
    ]
    assert all(share.wait_ready(5) for share in shares)
    assert (hub.pollers, len(plane.asked), len(hub_threads())) == (2, 2, 1)
    for share in shares:
        share.release()


def test_share_that_is_given_back_twice_takes_nobody_elses(hub: DiscoveryHub, plane: ControlPlane) -> None:
    one = hub.subscribe("a", Ask(plane.url), quick(), ignore)
    two = hub.subscribe("b", Ask(plane.url), quick(), ignore)
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(one.release) for _ in range(20)]:
            done.result()
    assert two.wait_served(two.ask_soon(), 5)
    two.release()
    assert hub.pollers == 0


@pytest.mark.parametrize("fault", ["hangs", "drips"])
def test_last_release_ends_the_thread_at_once_also_while_a_query_hangs(
    hub: DiscoveryHub, plane: ControlPlane, fault: str
) -> None:
    plane.behaviour = FAULTS[fault]
    share = hub.subscribe("svc", Ask(plane.url), quick(timeout=60), ignore)
    plane.wait_asked()
    started = time.monotonic()
    share.release()
    assert time.monotonic() - started < 0.5
    assert hub_threads() == []


def test_release_before_the_first_question(hub: DiscoveryHub, plane: ControlPlane) -> None:
    hub.subscribe("svc", Ask(plane.url), quick(), ignore).release()
    assert hub_threads() == []


def test_new_subscribe_after_the_end_works(hub: DiscoveryHub, plane: ControlPlane) -> None:
    for _ in range(3):
        share = hub.subscribe("svc", Ask(plane.url), quick(interval=NEVER), ignore)
        assert share.wait_ready(5)
        share.release()
        assert hub_threads() == []
    assert len(plane.asked) == 3


def test_budget_outlives_the_thread(hub: DiscoveryHub, plane: ControlPlane) -> None:
    budget = RateBudget("b", 2, 60.0)
    ready: list[bool] = []
    for _ in range(3):
        share = hub.subscribe("svc", Ask(plane.url, budgets=(budget,)), quick(interval=NEVER), ignore)
        ready.append(share.wait_ready(0.2 if len(ready) == 2 else 5))
        share.release()
    assert ready == [True, True, False]
    assert len(plane.asked) == 2


def test_thousand_cycles_from_eight_threads_leave_nothing(hub: DiscoveryHub, plane: ControlPlane) -> None:
    def cycles(number: int) -> None:
        for turn in range(125):
            # Some share a question, some have their own; some wait for the answer, most leave before it.
            share = hub.subscribe("svc", Ask(plane.url, str((number * turn) % 3)), quick(), ignore)
            if turn % 25 == 0:
                assert share.wait_ready(10)
            share.release()

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(cycles, number) for number in range(8)]:
            done.result()
    assert hub.pollers == 0
    assert hub_threads() == []
    share = hub.subscribe("svc", Ask(plane.url), quick(), ignore)
    assert share.wait_ready(5)
    share.release()


def test_callers_context_does_not_reach_the_poller(hub: DiscoveryHub, plane: ControlPlane) -> None:
    trace = contextvars.ContextVar[str]("trace", default="none")
    seen: list[str] = []

    class Looking(Ask):
        def poll(self, context: PollContext) -> Conversation:
            seen.append(trace.get())
            return super().poll(context)

    def begin() -> None:
        trace.set("a request of the caller")
        share = hub.subscribe("svc", Looking(plane.url), quick(), ignore)
        assert share.wait_served(share.ask_soon(), 5)
        share.release()

    contextvars.copy_context().run(begin)
    assert set(seen) == {"none"}


def test_thread_that_cannot_start_is_told_and_tried_again(
    hub: DiscoveryHub, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            hub.subscribe("svc", Ask(plane.url), quick(), ignore)
    assert hub.pollers == 0
    share = hub.subscribe("svc", Ask(plane.url), quick(), ignore)
    assert share.wait_ready(5)
    share.release()


# --- answers that never change ----------------------------------------------------------------------------------------


class Fixed(Ask):
    """Knows its endpoints from the start, or fails."""

    def poll(self, context: PollContext) -> Conversation:
        return MAKERS[self.name]()
        yield


def _fail() -> Snapshot:
    raise RuntimeError("broken plug-in")


MAKERS: dict[str, Callable[[], Snapshot]] = {
    "good": lambda: Snapshot((Endpoint("example.com", 80),), ask_again_in=float("inf")),
    "broken": _fail,
    "empty": lambda: Snapshot((), ask_again_in=float("inf")),
}


def test_configured_addresses_need_no_thread(hub: DiscoveryHub) -> None:
    told = Told()
    share = hub.subscribe("svc", Fixed("-", "good", addresses=AddressSource.CONFIGURED), quick(), told)
    assert told.lists == [["example.com"]]
    assert share.wait_ready(0)
    assert share.wait_served(share.ask_soon(), 0)
    assert hub_threads() == []
    share.release()


@pytest.mark.parametrize("kind", ["broken", "empty"])
def test_configured_discovery_that_fails_is_told_like_all_failures(hub: DiscoveryHub, kind: str) -> None:
    share = hub.subscribe("svc", Fixed("-", kind, addresses=AddressSource.CONFIGURED), quick(), ignore)
    assert share.wait_served(share.ask_soon(), 5)
    assert share.belief.error is not None
    share.release()


def test_conversation_that_asks_is_polled_also_for_configured_addresses(hub: DiscoveryHub, plane: ControlPlane) -> None:
    class Login(Ask):
        def poll(self, context: PollContext) -> Conversation:
            yield Query(self.url)
            return Snapshot((Endpoint("gateway.example.com", 443),))

    share = hub.subscribe("svc", Login(plane.url, addresses=AddressSource.CONFIGURED), quick(), ignore)
    assert share.wait_ready(5)
    share.release()


def test_process_has_one_hub() -> None:
    with ThreadPoolExecutor(4) as pool:
        hubs = [pool.submit(process_hub) for _ in range(20)]
    assert len({id(hub.result()) for hub in hubs}) == 1
