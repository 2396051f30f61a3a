"""Several hubs, as several processes, with one store: one of them asks, all of them know."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from discovery_lab import FAULTS, SECRET, Ask, ControlPlane, Told, quick

from directlane import Conversation, CredentialError, PollContext, Query
from directlane.core.config.model import DiscoverySettings
from directlane.core.discovery.belief import Belief
from directlane.core.discovery.hub import DiscoveryHub
from directlane.core.discovery.subscription import Subscription
from directlane.core.discovery.who_asks import this_process
from directlane.core.emulation.server import ServerReply
from directlane.core.interfaces.discovery import Discovery, RateBudget
from directlane.core.interfaces.store import Store
from directlane.core.stores.sqlite_store import SqliteStore

Open = Callable[..., Subscription]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "store.sqlite"


@pytest.fixture
def process(path: Path) -> Iterator[Open]:
    """Begin one more process: a hub of its own, with a connection of its own to the one store."""
    with ExitStack() as stack:

        def begin(
            discovery: Discovery, settings: DiscoverySettings | None = None, listener: Told | None = None
        ) -> Subscription:
            store: Store = SqliteStore(path)
            stack.callback(store.close)
            share = DiscoveryHub().subscribe("svc", discovery, settings or quick(), listener or Told(), store)
            stack.callback(share.release)
            return share

        yield begin


def hosts(belief: Belief) -> list[str]:
    return [endpoint.host for endpoint in belief.endpoints]


def until(true: Callable[[], bool], limit: float = 10.0) -> None:
    ends_at = time.monotonic() + limit
    while not true():
        assert time.monotonic() < ends_at, "it did not come true"
        time.sleep(0.01)


def test_one_asks_and_all_know(process: Open, plane: ControlPlane) -> None:
    settings = quick(interval=3600.0)
    shares = [process(Ask(plane.url), settings) for _ in range(4)]
    assert all(share.wait_ready(10) for share in shares)
    assert {tuple(hosts(share.belief)) for share in shares} == {("10.0.0.1", "10.0.0.2")}
    assert len(plane.asked) == 1


def test_reader_knows_who_asked_and_the_one_who_asks_knows_that_too(process: Open, plane: ControlPlane) -> None:
    shares = [process(Ask(plane.url), quick(interval=3600.0)) for _ in range(2)]
    assert all(share.wait_ready(10) for share in shares)
    known = [share.asked for share in shares]
    assert sorted(one is not None and one.is_own for one in known) == [False, True]
    assert {one.who for one in known if one is not None} == {this_process()}
    assert all(one is not None and one.store.startswith("sqlite:") for one in known)


def test_change_reaches_all(process: Open, plane: ControlPlane) -> None:
    shares = [process(Ask(plane.url), quick(interval=0.2)) for _ in range(3)]
    assert all(share.wait_ready(10) for share in shares)
    plane.behaviour = plane.serve("10.0.0.7")
    until(lambda: all(hosts(share.belief) == ["10.0.0.7"] for share in shares))


def test_leader_that_ends_is_followed_at_once(path: Path, plane: ControlPlane) -> None:
    shares = [
        DiscoveryHub().subscribe("svc", Ask(plane.url), quick(interval=0.1), Told(), SqliteStore(path))
        for _ in range(2)
    ]
    assert all(share.wait_ready(10) for share in shares)
    plane.behaviour = plane.serve("10.0.0.8")
    until(lambda: hosts(shares[1].belief) == ["10.0.0.8"])
    shares[0].release()
    plane.behaviour = plane.serve("10.0.0.9")
    until(lambda: hosts(shares[1].belief) == ["10.0.0.9"])
    shares[1].release()


def test_saved_list_serves_the_first_call_while_discovery_is_down(
    process: Open, path: Path, plane: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    store = SqliteStore(path)
    before = DiscoveryHub().subscribe("svc", Ask(plane.url), quick(), Told(), store)
    assert before.wait_ready(10)
    before.release()
    store.close()
    plane.behaviour = FAULTS["500"]
    caplog.clear()
    share = process(Ask(plane.url), quick(interval=3600.0))
    assert share.wait_ready(10)
    assert hosts(share.belief) == ["10.0.0.1", "10.0.0.2"]
    assert (share.belief.age(time.monotonic()) or 0.0) > 0.0, "its true age"
    assert "begins with the list in the store" in caplog.text


def test_without_a_saved_list_the_error_of_the_leader_is_told_to_all(process: Open, plane: ControlPlane) -> None:
    plane.behaviour = FAULTS["500"]
    shares = [process(Ask(plane.url), quick(interval=0.2)) for _ in range(2)]
    assert not any(share.wait_ready(1.5) for share in shares)
    until(lambda: all("status 500" in str(share.belief.error) for share in shares))
    until(lambda: any("through the store sqlite:" in str(share.belief.error) for share in shares))


def test_wish_of_a_reader_reaches_the_leader(process: Open, plane: ControlPlane) -> None:
    shares = [process(Ask(plane.url), quick(interval=20.0)) for _ in range(3)]
    assert all(share.wait_ready(10) for share in shares)
    plane.behaviour = plane.serve("10.0.0.7")
    began = time.monotonic()
    for share in shares:
        assert share.wait_served(share.ask_soon(), 15), "long before the interval is over"
        assert hosts(share.belief) == ["10.0.0.7"]
    assert time.monotonic() - began < 19.0


def test_wish_to_renew_reaches_the_leader_as_such(process: Open, plane: ControlPlane) -> None:
    shares = [process(Ask(plane.url), quick(interval=1.0)) for _ in range(3)]
    assert all(share.wait_ready(10) for share in shares)
    for share in shares:
        assert share.wait_served(share.ask_soon(reauthenticate=True), 15)
    until(lambda: "True" in [request.header("x-renew") for request in plane.asked])


@dataclass(frozen=True)
class Refused(Ask):
    """Its credential is refused for good."""

    credential: str = "alice"

    def poll(self, context: PollContext) -> Conversation:
        yield Query(self.url)
        raise CredentialError("wrong password. Next: another one", permanent=True)


def test_refused_credential_is_tried_once_by_all_questions_of_all_processes(process: Open, plane: ControlPlane) -> None:
    patient = quick(timeout=10.0)  # a login that is given up would be tried again
    shares = [process(Refused(plane.url, name), patient) for name in ("a", "b", "a", "b", "c")]
    assert not any(share.wait_ready(10) for share in shares)
    until(lambda: all(share.belief.is_hopeless for share in shares))
    assert all("wrong password" in str(share.belief.error) for share in shares)
    late = process(Refused(plane.url, "d"), patient)
    assert not late.wait_ready(10)
    assert late.belief.is_hopeless
    assert len(plane.asked) == 1


def test_rate_limit_holds_over_all_processes(process: Open, plane: ControlPlane) -> None:
    budget = RateBudget("user", 5, 60.0)
    shares = [process(Ask(plane.url, str(number), (budget,)), quick(interval=60.0)) for number in range(6)]
    until(lambda: len(plane.asked) == 5)
    until(lambda: sum(bool(share.belief.endpoints) for share in shares) == 5)
    time.sleep(0.5)  # a sixth one would have come by now
    assert len(plane.asked) == 5


def test_throttled_process_keeps_all_others_from_asking(process: Open, plane: ControlPlane) -> None:
    budget = RateBudget("user", 50, 60.0)
    plane.behaviour = lambda _: ServerReply(429, (("retry-after", "60"),))
    first = process(Ask(plane.url, "first", (budget,)), quick(interval=0.1))
    until(lambda: first.belief.error is not None)
    plane.behaviour = plane.serve("10.0.0.1")
    other = process(Ask(plane.url, "other", (budget,)), quick(interval=0.1))
    assert not other.wait_ready(1.0)
    assert len(plane.asked) == 1


def test_store_that_goes_and_comes_is_told_once_each_and_calls_go_on(
    process: Open, path: Path, plane: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    share = process(Ask(plane.url), quick(interval=0.1))
    assert share.wait_ready(10)
    path.parent.chmod(0o777)  # others could write there now: the store refuses to make its file anew
    for file in path.parent.iterdir():
        file.unlink()
    until(lambda: "does not answer" in caplog.text)
    plane.behaviour = plane.serve("10.0.0.7")
    until(lambda: hosts(share.belief) == ["10.0.0.7"])
    path.parent.chmod(0o700)
    until(lambda: "answers again" in caplog.text)
    plane.behaviour = plane.serve("10.0.0.8")
    until(lambda: hosts(share.belief) == ["10.0.0.8"])
    lines = [record.getMessage() for record in caplog.records]
    assert sum("does not answer" in line for line in lines) == 1
    assert sum("answers again" in line for line in lines) == 1


def test_nothing_secret_is_in_the_store(process: Open, path: Path, plane: ControlPlane) -> None:
    share = process(Ask(plane.url))
    assert share.wait_ready(10)
    share.release()
    assert SECRET.encode() not in b"".join(file.read_bytes() for file in path.parent.iterdir())


@dataclass(frozen=True)
class Local(Ask):
    is_local = True


def test_answers_that_are_true_for_one_machine_are_not_shared(process: Open, plane: ControlPlane) -> None:
    shares = [process(Local(plane.url), quick(interval=3600.0)) for _ in range(3)]
    assert all(share.wait_ready(10) for share in shares)
    assert len(plane.asked) == 3
