"""One conversation with a control plane that may do anything, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import pytest
from discovery_lab import FAULTS, SECRET, Ask, ControlPlane, asker, nobody, read

from directlane import (
    AddressSource,
    Conversation,
    CredentialError,
    DiscoveryError,
    DiscoveryRefused,
    DiscoveryThrottled,
    DiscoveryUnreadable,
    EmptyAnswer,
    Endpoint,
    Phase,
    PollContext,
    Snapshot,
    TransportError,
)
from directlane.core.clock import SYSTEM_CLOCK
from directlane.core.discovery.asking import MAX_ANSWER_BYTES
from directlane.core.discovery.conversation import converse
from directlane.core.emulation.server import ServerReply, json_reply
from directlane.core.interfaces.discovery import Discovery, Query, RateBudget


def ask(discovery: object, limit: float = 2.0) -> Snapshot:
    """One conversation in a loop of its own."""

    async def main() -> Snapshot:
        context = PollContext(SYSTEM_CLOCK.unix())
        async with asker(limit) as mine:
            return await converse(cast("Discovery", discovery), context, mine, nobody)

    return asyncio.run(main())


def failure(discovery: object, limit: float = 2.0) -> DiscoveryError:
    """The error of one conversation; never holds the secret."""
    with pytest.raises(DiscoveryError) as caught:
        ask(discovery, limit)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)
    return caught.value


@dataclass(frozen=True)
class Plugin:
    """A discovery with any conversation."""

    talk: Any
    addresses: AddressSource = AddressSource.LEARNED
    empty_answer: EmptyAnswer = EmptyAnswer.REFUSE
    identity: str = "plugin"

    def poll(self, context: PollContext) -> Conversation:
        return cast("Conversation", self.talk(context))


def test_answer_becomes_a_snapshot(plane: ControlPlane) -> None:
    assert [endpoint.host for endpoint in ask(Ask(plane.url)).endpoints] == ["10.0.0.1", "10.0.0.2"]


def test_query_travels_as_it_is(plane: ControlPlane) -> None:
    def talk(context: PollContext) -> Conversation:
        headers = (("X-One", "1"), ("User-Agent", "mine"))
        yield Query(f"{plane.url}/a%20b?x=%2F", method="POST", headers=headers, content=b"body")
        return Snapshot()

    ask(Plugin(talk))
    (request,) = plane.asked
    assert (request.method, request.target, request.content) == ("POST", "/a%20b?x=%2F", b"body")
    assert (request.header("x-one"), request.header("user-agent")) == ("1", "mine")
    assert request.header("host") == plane.url.removeprefix("http://")


def test_redirect_is_not_followed_and_cookies_are_not_kept(plane: ControlPlane) -> None:
    plane.behaviour = lambda _: ServerReply(302, (("location", "/elsewhere"), ("set-cookie", "a=b")))

    def talk(context: PollContext) -> Conversation:
        for _ in range(2):
            assert (yield Query(plane.url)).status == 302
        return Snapshot()

    ask(Plugin(talk))
    assert len(plane.asked) == 2
    assert plane.asked[1].header("cookie") is None


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("500", DiscoveryRefused),
        ("404", DiscoveryRefused),
        ("html", DiscoveryUnreadable),
        ("half json", DiscoveryUnreadable),
        ("wrong types", DiscoveryError),
        ("cut off", DiscoveryError),
        ("reset", DiscoveryError),
        ("hangs", DiscoveryError),
        ("drips", DiscoveryError),
    ],
)
def test_every_bad_answer_is_a_discovery_error(plane: ControlPlane, fault: str, expected: type[DiscoveryError]) -> None:
    plane.behaviour = FAULTS[fault]
    assert isinstance(failure(Ask(plane.url), limit=0.1), expected)


@pytest.mark.parametrize("fault", ["hangs", "drips"])
def test_limit_holds_for_the_query_as_a_whole(plane: ControlPlane, fault: str) -> None:
    plane.behaviour = FAULTS[fault]
    started = time.monotonic()
    error = failure(Ask(plane.url), limit=0.2)
    assert 0.19 <= time.monotonic() - started < 1.0
    assert str(error) == f"no answer from {plane.url}/list within 0.2 s"


def test_waiting_for_a_budget_is_no_part_of_the_limit(plane: ControlPlane) -> None:
    budget = RateBudget("b", 1, 0.3)

    def talk(context: PollContext) -> Conversation:
        yield Query(plane.url, budgets=(budget,))
        return read((yield Query(plane.url, budgets=(budget,))))

    assert ask(Plugin(talk), limit=0.2).endpoints


def test_answer_that_is_too_large_is_refused(plane: ControlPlane) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(2**20)

    plane.behaviour = lambda _: ServerReply(content=endless())
    error = failure(Ask(plane.url), limit=10.0)
    assert isinstance(error, DiscoveryUnreadable)
    assert f"{MAX_ANSWER_BYTES // 2**20} MiB" in str(error)


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert f"cannot connect to {url}/list" in str(failure(Ask(url)))


def test_peer_that_echoes_puts_no_secret_into_an_error() -> None:
    with echo() as url:
        assert "does not speak HTTP" in str(failure(Ask(url)))


@pytest.mark.parametrize("url", ["http://127.0.0.1:port/", "http://x y/", "ftp://127.0.0.1/", "nonsense", "", None, 7])
def test_url_that_is_none(url: Any) -> None:
    def talk(context: PollContext) -> Conversation:
        yield Query(url if not isinstance(url, str) else f"{url}?{SECRET}" if url else "")
        return Snapshot()

    failure(Plugin(talk))


@pytest.mark.parametrize("value", [f"{SECRET}\n", f"{SECRET}\u5bc6", f"{SECRET}\0"])
def test_header_that_cannot_be_sent(plane: ControlPlane, value: str) -> None:
    def talk(context: PollContext) -> Conversation:
        yield Query(f"http://me:{SECRET}@{plane.url[7:]}/x?{SECRET}#{SECRET}", headers=(("authorization", value),))
        return Snapshot()

    error = str(failure(Plugin(talk)))
    assert f"the query to {plane.url}/x cannot be sent" in error
    assert "Next:" in error
    assert "\u5bc6" not in error


# --- the wire breaks: the conversation is told ------------------------------------------------------------------------


def test_transport_error_is_thrown_into_the_conversation_which_may_ask_another_host(plane: ControlPlane) -> None:
    caught: list[TransportError] = []

    def talk(context: PollContext) -> Conversation:
        try:
            reply = yield Query(f"http://127.0.0.1:{closed}/")
        except TransportError as error:
            caught.append(error)
            reply = yield Query(plane.url)
        return read(reply)

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = taken.getsockname()[1]
        assert len(ask(Plugin(talk)).endpoints) == 2
    assert caught[0].phase is Phase.CONNECT


@pytest.mark.parametrize(("fault", "timed_out"), [("hangs", True), ("reset", False)])
def test_thrown_error_says_how_it_broke(plane: ControlPlane, fault: str, timed_out: bool) -> None:
    plane.behaviour = FAULTS[fault]

    caught: list[TransportError] = []

    def talk(context: PollContext) -> Conversation:
        try:
            yield Query(plane.url)
        except TransportError as error:
            caught.append(error)
        return Snapshot((Endpoint("10.0.0.1", 80),))

    assert ask(Plugin(talk), limit=0.1).endpoints
    assert (caught[0].timed_out, caught[0].phase) == (timed_out, Phase.WAIT)


# --- plug-ins that break their contract -------------------------------------------------------------------------------


def raising(error: BaseException) -> Any:
    def talk(context: PollContext) -> Conversation:
        raise error
        yield  # makes it a generator

    return talk


@pytest.mark.parametrize(
    "error", [KeyError(SECRET), SystemExit(SECRET), KeyboardInterrupt(SECRET), asyncio.CancelledError(SECRET)]
)
def test_plugin_that_raises_is_told_by_type_and_place(error: BaseException) -> None:
    text = str(failure(Plugin(raising(error))))
    assert text.startswith(f"the discovery plug-in failed with {type(error).__name__} at test_conversation.py:")


def test_plugin_that_raises_before_it_is_a_generator() -> None:
    def talk(context: PollContext) -> Conversation:
        raise RuntimeError(SECRET)

    assert "RuntimeError" in str(failure(Plugin(talk)))


@pytest.mark.parametrize("error", [CredentialError("wrong", permanent=True), DiscoveryThrottled("slow", retry_after=9)])
def test_discovery_errors_pass_as_they_are(error: DiscoveryError) -> None:
    assert failure(Plugin(raising(error))) is error


@pytest.mark.parametrize("result", [None, 7, [], {"endpoints": []}])
def test_plugin_that_returns_no_snapshot(result: object) -> None:
    def talk(context: PollContext) -> Generator[Query, object, object]:
        return result
        yield

    assert "not a Snapshot" in str(failure(Plugin(talk)))


def test_plugin_that_lists_no_endpoints() -> None:
    def talk(context: PollContext) -> Conversation:
        return Snapshot(cast("Any", ("10.0.0.1:80",)))
        yield

    assert "listed str, not an Endpoint" in str(failure(Plugin(talk)))


@pytest.mark.parametrize("made", [None, [], "text", 7])
def test_poll_that_gives_no_conversation(made: object) -> None:
    def talk(context: PollContext) -> object:
        return made

    assert f"`poll` returned {type(made).__name__}; it must be a generator" in str(failure(Plugin(talk)))


def test_poll_that_is_async_is_told() -> None:
    async def coroutine(context: PollContext) -> Snapshot:
        return Snapshot()

    async def generator(context: PollContext) -> AsyncGenerator[Query, object]:
        yield Query("http://127.0.0.1/")

    for talk in (coroutine, generator):
        assert "`poll` is `async`; it must be a plain generator" in str(failure(Plugin(talk)))


def test_plugin_that_yields_no_query() -> None:
    def talk(context: PollContext) -> Generator[object, object, Snapshot]:
        yield "http://127.0.0.1/"
        return Snapshot()

    assert "yielded str, not a Query" in str(failure(Plugin(talk)))


def test_conversation_that_never_ends_is_ended(plane: ControlPlane) -> None:
    ended: list[bool] = []

    def talk(context: PollContext) -> Conversation:
        try:
            while True:
                yield Query(plane.url)
        finally:
            ended.append(True)

    assert "asked 20 times" in str(failure(Plugin(talk)))
    assert len(plane.asked) == 20
    assert ended == [True]


def test_conversation_that_fails_when_it_is_ended(plane: ControlPlane) -> None:
    def talk(context: PollContext) -> Conversation:
        try:
            while True:
                yield Query(plane.url)
        finally:
            raise OSError(SECRET)

    assert "OSError" in str(failure(Plugin(talk)))


def test_answer_whose_compression_is_broken(plane: ControlPlane) -> None:
    plane.behaviour = lambda _: json_reply({"hosts": ["10.0.0.1"]}, headers=(("content-encoding", "gzip"),))
    assert "broke off" in str(failure(Ask(plane.url)))


@contextmanager
def echo() -> Generator[str, None, None]:
    """A peer that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(connection.recv(65536))

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()
