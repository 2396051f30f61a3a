"""Conversations that go on: lists that are told on the way, answers that stay open, and how they end."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, cast

import pytest
import trustme
from clock_lab import VirtualClock
from discovery_lab import Told, asker, hub_threads, quick

from directlane import (
    NEXT_PIECE,
    AddressSource,
    Conversation,
    Discovery,
    DiscoveryError,
    DiscoveryRefused,
    EmptyAnswer,
    Endpoint,
    LocalQuery,
    PollContext,
    Query,
    Reply,
    Snapshot,
    TransportError,
)
from directlane.core.discovery import asking
from directlane.core.discovery.conversation import converse
from directlane.core.discovery.hub import DiscoveryHub
from directlane.core.discovery.poller import Poller
from directlane.core.discovery.subscription import Subscription
from directlane.core.emulation.server import Ending, LoopbackServer, ServerReply, ServerRequest
from directlane.core.simulation.engine import Told as Answered
from directlane.core.simulation.engine import VirtualPollers
from directlane.core.simulation.events import Events

NEVER = 3600.0


class Registry:
    """A control plane that lists hosts, and tells each change in an answer that stays open. Ready-made misbehaviour."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.hosts = ["10.0.0.1"]
        self.lists = 0
        self.watches = 0
        self.closing: set[int] = set()
        self.ending = Ending.WHOLE
        self.arrived = threading.Semaphore(0)
        self.server = LoopbackServer(self._answer)

    @property
    def url(self) -> str:
        return self.server.url

    def change(self, *hosts: str) -> None:
        self.hosts = list(hosts)
        self.lines.append(" ".join(hosts).encode() + b"\n")

    def end_watches(self, ending: Ending = Ending.WHOLE) -> None:
        self.ending = ending
        self.closing.add(self.watches)

    def _answer(self, request: ServerRequest) -> ServerReply:
        if request.path == "/list":
            self.lists += 1
            return ServerReply(content=" ".join(self.hosts).encode())
        self.watches += 1
        content = self._events(self.watches, len(self.lines))
        self.arrived.release()
        return ServerReply(content=content)

    async def _events(self, number: int, seen: int) -> AsyncIterator[bytes]:
        while number not in self.closing:
            for line in self.lines[seen:]:
                seen += 1  # not all that there are: another may come while this one is on its way
                yield line
            await asyncio.sleep(0.002)
        if self.ending is not Ending.WHOLE:
            raise ConnectionResetError  # the connection is cut without an end mark


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    with made.server:
        yield made


def snapshot_of(content: bytes) -> Snapshot:
    return Snapshot(tuple(Endpoint(host, 80) for host in content.decode().split()))


@dataclass
class Watch:
    """Lists, then watches."""

    url: str
    idle: float = 30.0
    renewed: list[bool] = field(default_factory=list[bool])
    identity: str = "watch"
    addresses: AddressSource = AddressSource.LEARNED
    empty_answer: EmptyAnswer = EmptyAnswer.REFUSE

    def poll(self, context: PollContext) -> Conversation:
        self.renewed.append(context.reauthenticate)
        reply = yield Query(f"{self.url}/list")
        if reply.status != 200:
            raise DiscoveryRefused("no list", status=reply.status)
        snapshot = snapshot_of(reply.content)
        yield snapshot
        yield Query(f"{self.url}/watch", watch=True, timeout=self.idle)
        while piece := (yield NEXT_PIECE).content:
            snapshot = snapshot_of(piece)
            yield snapshot
        return snapshot


@dataclass
class Plugin:
    """A discovery with any conversation."""

    talk: Callable[[], Generator[Any, Any, Any]]
    identity: str = "plugin"
    addresses: AddressSource = AddressSource.LEARNED
    empty_answer: EmptyAnswer = EmptyAnswer.REFUSE

    def poll(self, context: PollContext) -> Conversation:
        return cast("Conversation", self.talk())


def ask(discovery: Discovery, limit: float = 30.0) -> tuple[Snapshot, list[list[str]]]:
    """What a conversation returns, and what it told before."""
    told: list[list[str]] = []

    async def tell(snapshot: Snapshot) -> None:
        told.append(hosts(snapshot))

    async def main() -> Snapshot:
        async with asker(limit) as mine:
            return await converse(discovery, PollContext(0.0), mine, tell)

    return asyncio.run(main()), told


def hosts(answer: Any) -> list[str]:
    return [endpoint.host for endpoint in answer.endpoints]


def answering(make: Callable[[], ServerReply]) -> LoopbackServer:
    return LoopbackServer(lambda request: make())


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
        await asyncio.sleep(0.01)


@contextmanager
def share(hub: DiscoveryHub, discovery: Discovery, told: Told, **settings: object) -> Generator[Subscription]:
    subscription = hub.subscribe("svc/route", discovery, quick(**{"timeout": 30.0, **settings}), told)
    try:
        assert subscription.wait_ready(30)
        yield subscription
    finally:
        subscription.release()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.002)


# --- pieces -----------------------------------------------------------------------------------------------------------


def pieces_of(url: str, seen: list[bytes], **more: Any) -> Conversation:
    head = yield Query(url, watch=True, **more)
    assert (head.status, head.content) == (200, b"")
    while piece := (yield NEXT_PIECE).content:
        seen.append(piece)
    return Snapshot((Endpoint("10.0.0.1", 80),))


@pytest.mark.parametrize(
    ("parts", "pieces"),
    [
        ((b"one\ntwo\n",), [b"one\n", b"two\n"]),
        ((b"o", b"n", b"e\ntw", b"o"), [b"one\n", b"two"]),
        ((b"\n", b"\n"), [b"\n", b"\n"]),
        ((), []),
    ],
)
def test_a_piece_is_a_line_however_it_travels(parts: tuple[bytes, ...], pieces: list[bytes]) -> None:
    seen: list[bytes] = []
    with answering(lambda: ServerReply(content=chunks(*parts))) as server:
        ask(Plugin(lambda: pieces_of(server.url, seen)))
    assert seen == pieces


def test_a_piece_that_does_not_come_is_thrown_in_as_a_timeout() -> None:
    caught: list[TransportError] = []

    def talk() -> Conversation:
        yield Query(server.url, watch=True, timeout=0.05)
        assert (yield NEXT_PIECE).content == b"one\n"
        try:
            yield NEXT_PIECE
        except TransportError as error:
            caught.append(error)
        return Snapshot((Endpoint("10.0.0.1", 80),))

    with answering(lambda: ServerReply(content=chunks(b"one\n", b"tw"), ending=Ending.HANG)) as server:
        ask(Plugin(talk))
    assert caught[0].timed_out
    assert "within 0.05 s" in str(caught[0])


@pytest.mark.parametrize("ending", [Ending.RESET, Ending.HALF])
def test_a_stream_that_breaks_is_a_transport_error_and_no_end(ending: Ending) -> None:
    seen: list[bytes] = []
    with (
        answering(lambda: ServerReply(content=chunks(b"one\n"), ending=ending)) as server,
        pytest.raises(DiscoveryError, match="broke off"),
    ):
        ask(Plugin(lambda: pieces_of(server.url, seen)))
    assert seen == [b"one\n"]


def test_a_piece_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MAX_ANSWER_BYTES", 1000)
    seen: list[bytes] = []
    parts = [b"x" * 400, b"\n", b"x" * 1100]
    with (
        answering(lambda: ServerReply(content=chunks(*parts))) as server,
        pytest.raises(DiscoveryError, match="sent more than"),
    ):
        ask(Plugin(lambda: pieces_of(server.url, seen)))
    assert len(seen) == 1


def again_after_the_end(url: str) -> Conversation:
    yield from pieces_of(url, [])
    yield NEXT_PIECE
    return Snapshot()


def never_opened(url: str) -> Conversation:
    yield Query(url)
    yield NEXT_PIECE
    return Snapshot()


def ended_by_another_question(url: str) -> Conversation:
    yield Query(url, watch=True)
    yield LocalQuery("something", lambda: Reply(200))
    yield NEXT_PIECE
    return Snapshot()


@pytest.mark.parametrize("talk", [again_after_the_end, never_opened, ended_by_another_question])
def test_reading_on_where_nothing_is_open_is_a_mistake_of_the_plug_in(talk: Callable[[str], Conversation]) -> None:
    with (
        answering(lambda: ServerReply(content=chunks(b"one\n"))) as server,
        pytest.raises(DiscoveryError, match="not open, or at its end"),
    ):
        ask(Plugin(partial(talk, server.url)))


def test_an_answer_that_is_left_is_closed(registry: Registry) -> None:
    def talk() -> Conversation:
        yield Query(f"{registry.url}/watch", watch=True)
        reply = yield Query(f"{registry.url}/list")
        return snapshot_of(reply.content)

    ask(Plugin(talk))
    until(lambda: registry.server.open_connections == 0)


# --- limits -----------------------------------------------------------------------------------------------------------


def test_a_query_may_take_longer_or_shorter_than_the_setting() -> None:
    async def late() -> AsyncIterator[bytes]:
        await asyncio.sleep(0.3)
        yield b"10.0.0.1"

    def talk(timeout: float) -> Conversation:
        reply = yield Query(server.url, timeout=timeout)
        return snapshot_of(reply.content)

    with answering(lambda: ServerReply(content=late())) as server:
        assert hosts(ask(Plugin(lambda: talk(30.0)), limit=0.1)[0]) == ["10.0.0.1"]
        with pytest.raises(DiscoveryError, match=r"within 0.1 s"):
            ask(Plugin(lambda: talk(0.1)), limit=30.0)


def test_head_of_a_watch_comes_within_the_setting() -> None:
    with (
        answering(lambda: ServerReply(ending=Ending.HANG)) as server,
        pytest.raises(DiscoveryError, match=r"within 0.1 s"),
    ):
        ask(Plugin(lambda: pieces_of(server.url, [], timeout=30.0)), limit=0.1)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_limit_that_is_none_is_refused(timeout: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Query("http://127.0.0.1/", timeout=timeout)


def test_pieces_and_lists_are_not_counted_but_questions_are(registry: Registry) -> None:
    def talk() -> Conversation:
        while True:
            reply = yield Query(f"{registry.url}/list")
            yield snapshot_of(reply.content)

    answer, told = ask(Plugin(talk))
    assert registry.lists == 20
    assert hosts(answer) == ["10.0.0.1"], "it ends as if it had returned its list: the core asks anew"
    assert len(told) == 20
    seen: list[bytes] = []
    with answering(lambda: ServerReply(content=b"line\n" * 500)) as server:
        ask(Plugin(lambda: pieces_of(server.url, seen)))
    assert len(seen) == 500


def test_lists_without_a_question_do_not_go_round_for_ever() -> None:
    def talk() -> Conversation:
        while True:
            yield Snapshot((Endpoint("10.0.0.1", 80),))

    assert len(ask(Plugin(talk))[1]) == 21


@pytest.mark.parametrize("told", [Snapshot(cast("Any", ("10.0.0.1",))), "text", None])
def test_what_is_told_on_the_way_is_checked_too(told: object) -> None:
    def talk() -> Generator[object, object, Snapshot]:
        yield told
        return Snapshot()

    with pytest.raises(DiscoveryError, match="the discovery plug-in"):
        ask(Plugin(talk))


# --- authorities ------------------------------------------------------------------------------------------------------


@contextmanager
def https(authority: trustme.CA) -> Generator[str]:
    """Answers one request after the other over TLS, each on a connection of its own."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)  # pyright: ignore[reportUnknownMemberType] - also takes pyOpenSSL's
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    port: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\n10.0.0.1")
        await writer.drain()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
        port.append(server.sockets[0].getsockname()[1])
        ready.set()
        await stopping.wait()
        server.close()

    stopping = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    assert ready.wait(30)
    yield f"https://127.0.0.1:{port[0]}"
    loop.call_soon_threadsafe(stopping.set)
    thread.join()
    loop.close()


def test_authorities_of_a_query_are_trusted_for_it_and_for_no_other() -> None:
    ours, others = trustme.CA(), trustme.CA()
    results: list[str] = []

    def talk() -> Conversation:
        for trust in (ours, None, others, ours):
            pem = None if trust is None else trust.cert_pem.bytes().decode()
            try:
                reply = yield Query(url, trust=pem)
                results.append(reply.content.decode())
            except TransportError as error:
                results.append("refused" if "cannot connect" in str(error) else str(error))
        return Snapshot((Endpoint("10.0.0.1", 80),))

    with https(ours) as url:
        ask(Plugin(talk))
    assert results == ["10.0.0.1", "refused", "refused", "10.0.0.1"]


@pytest.mark.parametrize("trust", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"])
def test_authorities_that_cannot_be_read_are_told(trust: str) -> None:
    def talk() -> Conversation:
        yield Query("https://127.0.0.1:1/", trust=trust)
        return Snapshot()

    with pytest.raises(DiscoveryError, match="the certificates that are to be trusted for https"):
        ask(Plugin(talk))


# --- what the poller makes of it --------------------------------------------------------------------------------------


def test_a_change_is_told_by_the_watch_without_another_question(hub: DiscoveryHub, registry: Registry) -> None:
    told = Told()
    with share(hub, Watch(registry.url), told, interval=NEVER) as subscription:
        assert registry.arrived.acquire(timeout=30)
        registry.change("10.0.0.1", "10.0.0.2")
        until(lambda: len(told.lists) == 2)
        registry.change("10.0.0.2")
        until(lambda: len(told.lists) == 3)
        assert subscription.belief.questions == 1
    assert told.lists == [["10.0.0.1"], ["10.0.0.1", "10.0.0.2"], ["10.0.0.2"]]
    assert (registry.lists, registry.watches) == (1, 1)
    assert hub_threads() == []


def test_the_same_list_again_confirms_it_and_tells_nobody(hub: DiscoveryHub, registry: Registry) -> None:
    told = Told()
    with share(hub, Watch(registry.url), told, interval=NEVER) as subscription:
        assert registry.arrived.acquire(timeout=30)
        first = subscription.belief.confirmed_at
        registry.change("10.0.0.1")
        until(lambda: subscription.belief.confirmed_at != first)
        assert subscription.belief.questions == 1
    assert told.lists == [["10.0.0.1"]]


def test_a_list_that_cannot_be_used_keeps_the_last_one_and_the_watch(hub: DiscoveryHub, registry: Registry) -> None:
    told = Told()
    with share(hub, Watch(registry.url), told, interval=NEVER) as subscription:
        assert registry.arrived.acquire(timeout=30)
        registry.change("8.8.8.8")
        until(lambda: subscription.belief.error is not None)
        assert hosts(subscription.belief) == ["10.0.0.1"]
        registry.change("10.0.0.3")
        until(lambda: subscription.belief.error is None)
        assert hosts(subscription.belief) == ["10.0.0.3"]
    assert registry.watches == 1


@pytest.mark.parametrize("ending", [Ending.WHOLE, Ending.HALF])
def test_a_watch_that_ends_is_followed_by_a_list(hub: DiscoveryHub, registry: Registry, ending: Ending) -> None:
    told = Told()
    with share(hub, Watch(registry.url), told, interval=0.05) as subscription:
        for number in range(2, 5):
            until(lambda: registry.watches > len(registry.closing))
            registry.hosts = [f"10.0.0.{number}"]  # a change that no watch tells
            registry.end_watches(ending)
            until(lambda: hosts(subscription.belief) == registry.hosts)
    assert [lists[0] for lists in told.lists] == ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]


def test_a_server_that_starts_again_is_watched_again(hub: DiscoveryHub, registry: Registry) -> None:
    told = Told()
    with share(hub, Watch(registry.url), told, interval=0.05) as subscription:
        assert registry.arrived.acquire(timeout=30)
        registry.server.stop()
        until(lambda: subscription.belief.error is not None)
        assert hosts(subscription.belief) == ["10.0.0.1"]
        registry.hosts = ["10.0.0.9"]
        registry.server.start()
        until(lambda: hosts(subscription.belief) == ["10.0.0.9"])
        assert registry.arrived.acquire(timeout=30)
        registry.change("10.0.0.10")
        until(lambda: hosts(subscription.belief) == ["10.0.0.10"])


def test_a_dead_peer_is_noticed_after_the_idle_limit(hub: DiscoveryHub, registry: Registry) -> None:
    with share(hub, Watch(registry.url, idle=0.1), Told(), interval=NEVER) as subscription:
        until(lambda: subscription.belief.error is not None)
        assert "within 0.1 s" in str(subscription.belief.error)
        assert hosts(subscription.belief) == ["10.0.0.1"]


def test_a_wish_is_served_by_a_watch_as_it_is(hub: DiscoveryHub, registry: Registry) -> None:
    with share(hub, Watch(registry.url), Told(), interval=0.05) as subscription:
        assert registry.arrived.acquire(timeout=30)
        for _ in range(100):
            assert subscription.wait_served(subscription.ask_soon(), 30)
        assert (registry.lists, registry.watches) == (1, 1)


def test_a_wish_for_another_credential_ends_the_watch(hub: DiscoveryHub, registry: Registry) -> None:
    discovery = Watch(registry.url)
    with share(hub, discovery, Told(), interval=0.05) as subscription:
        assert registry.arrived.acquire(timeout=30)
        ticket = subscription.ask_soon(reauthenticate=True)
        assert subscription.wait_served(ticket, 30)
        assert discovery.renewed == [False, True]
        assert registry.arrived.acquire(timeout=30), "it watches again"
        registry.change("10.0.0.4")
        until(lambda: hosts(subscription.belief) == ["10.0.0.4"])
        assert subscription.belief.failures == 0


def test_a_wish_for_another_credential_that_came_before_the_first_list(hub: DiscoveryHub, registry: Registry) -> None:
    asked, go_on = threading.Event(), threading.Event()

    class Held(Watch):
        def poll(self, context: PollContext) -> Conversation:
            def wait() -> Reply:
                asked.set()
                go_on.wait(30)
                return Reply(200)

            yield LocalQuery("a moment", wait)
            return (yield from super().poll(context))

    discovery = Held(registry.url)
    subscription = hub.subscribe("svc/route", discovery, quick(interval=0.05, timeout=30.0), Told())
    assert asked.wait(30)
    ticket = subscription.ask_soon(reauthenticate=True)
    go_on.set()
    assert subscription.wait_served(ticket, 30)
    assert discovery.renewed == [False, True]
    subscription.release()


def test_release_ends_a_watch_at_once(hub: DiscoveryHub, registry: Registry) -> None:
    with share(hub, Watch(registry.url), Told(), interval=NEVER):
        assert registry.arrived.acquire(timeout=30)
    assert hub_threads() == []
    until(lambda: registry.server.open_connections == 0)


# --- when it is begun again: decisions, by hand -----------------------------------------------------------------------


LIST = Snapshot((Endpoint("10.0.0.1", 80),))


def poller(clock: VirtualClock, interval: float = 5.0) -> Poller:
    return Poller("svc", Plugin(lambda: iter(())), quick(interval=interval), clock, Random(1))  # type: ignore[arg-type, return-value]  # pyright: ignore[reportArgumentType] - it is never asked


@pytest.mark.parametrize("answer", [LIST, DiscoveryError("broken"), None])
@pytest.mark.parametrize(("lived", "soonest", "latest"), [(4.9, 5.0, 5.0), (5.1, 0.2, 1.0), (500.0, 0.2, 1.0)])
def test_a_watch_that_lived_is_begun_again_soon_and_one_that_did_not_costs_what_polling_costs(
    answer: Snapshot | DiscoveryError | None, lived: float, soonest: float, latest: float
) -> None:
    clock = VirtualClock(100.0)
    subject = poller(clock)
    for _ in range(20):
        subject.begin()
        subject.hear(LIST)
        clock.now += lived
        subject.end(answer)
        assert soonest <= subject.rest()[1] <= latest


def test_an_answer_that_was_no_watch_waits_for_the_interval() -> None:
    clock = VirtualClock(100.0)
    subject = poller(clock)
    subject.begin()
    clock.now += 60.0
    subject.end(LIST)
    assert subject.rest()[1] == 5.0


def test_age_begins_anew_with_each_word_of_a_watch() -> None:
    clock = VirtualClock(100.0)
    subject = poller(clock)
    subject.begin()
    for _ in range(3):
        subject.hear(LIST)
        assert subject.belief.age(clock.now) == 0.0
        clock.now += 30.0
        assert subject.belief.age(clock.now) == 30.0
    subject.end(DiscoveryError("broken"))
    assert (subject.belief.questions, subject.belief.failures) == (2, 1)
    assert subject.belief.age(clock.now) == 30.0


# --- virtual time -----------------------------------------------------------------------------------------------------


class VirtualPlane:
    """Lists, and tells a change every 10 seconds; the third piece of each watch never comes."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.pieces = 0

    def ask(self, query: Query | LocalQuery) -> Answered:
        assert isinstance(query, Query)
        self.asked.append(query.url.rpartition("/")[2])
        return Answered(Reply(200, content=b"" if query.watch else b"10.0.0.1"), 0.01)

    def next_piece(self, query: Query) -> Answered:
        self.pieces += 1
        if self.pieces % 3 == 0:
            return Answered(Reply(200), float("inf"))
        return Answered(Reply(200, content=f"10.0.1.{self.pieces}\n".encode()), 10.0)


def test_virtual_time_knows_watches() -> None:
    events, plane = Events(), VirtualPlane()
    runner = VirtualPollers(events, events, plane)
    discovery = Watch("http://plane", idle=60.0)
    subject = Poller("svc", discovery, quick(interval=5.0), events, Random(1))
    told: list[tuple[float, str]] = []
    subject.add_listener(lambda belief: told.append((round(events.now), belief.endpoints[0].host)))
    runner.start(subject)
    events.run_until(70.0)
    assert told == [(0, "10.0.0.1"), (10, "10.0.1.1"), (20, "10.0.1.2")]
    assert subject.belief.failures == 0
    events.run_until(85.0)
    assert subject.belief.failures == 1, "the piece took longer than the idle limit"
    assert plane.asked == ["list", "watch", "list", "watch"]
    subject.ask_soon()
    events.run_until(86.0)
    assert discovery.renewed == [False, False]
    subject.ask_soon(reauthenticate=True)
    events.run_until(95.0)
    assert discovery.renewed == [False, False, True]
    runner.stop(subject)
    assert runner.running == 0
