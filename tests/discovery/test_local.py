"""Questions that are not asked over HTTP: what comes back, what breaks, and what hangs."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from discovery_lab import Told, asker, nobody, quick

from directlane import (
    AddressSource,
    Conversation,
    CredentialError,
    DiscoveryError,
    DiscoveryUnreadable,
    EmptyAnswer,
    Endpoint,
    LocalQuery,
    Phase,
    PollContext,
    RateBudget,
    Reply,
    Snapshot,
    TransportError,
)
from directlane.core.discovery import local as local_module
from directlane.core.discovery.asking import MAX_ANSWER_BYTES
from directlane.core.discovery.conversation import converse
from directlane.core.discovery.hub import DiscoveryHub
from directlane.core.discovery.local import LocalRunner


@dataclass
class Local:
    """Asks one local question; its answer's body is the host."""

    run: Callable[[], object]
    what: str = "the file"
    budgets: tuple[RateBudget, ...] = ()
    caught: list[TransportError] = field(default_factory=list[TransportError])
    catches: bool = False
    identity: str = "local"
    addresses: AddressSource = AddressSource.LEARNED
    empty_answer: EmptyAnswer = EmptyAnswer.REFUSE

    def poll(self, context: PollContext) -> Conversation:
        try:
            reply = yield LocalQuery(self.what, self.run, self.budgets)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - some break their word
        except TransportError as error:
            self.caught.append(error)
            if not self.catches:
                raise
            reply = Reply(200, content=b"10.0.0.99")
        return Snapshot((Endpoint(reply.content.decode(), 80),))


def ask(discovery: Local, local: LocalRunner | None = None, limit: float = 30.0) -> Snapshot:
    async def main() -> Snapshot:
        async with asker(limit, local) as mine:
            return await converse(discovery, PollContext(0.0), mine, nobody)

    return asyncio.run(main())


def hosts(snapshot: Snapshot) -> list[str]:
    return [endpoint.host for endpoint in snapshot.endpoints]


def raising(error: BaseException) -> Callable[[], Reply]:
    def run() -> Reply:
        raise error

    return run


class Hanging:
    """Hangs until it is let go."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.begun = threading.Semaphore(0)
        self.runs = 0

    def __call__(self) -> Reply:
        self.runs += 1
        self.begun.release()
        self.go_on.wait(60)
        return Reply(200, content=b"10.0.0.1")


@pytest.fixture
def hanging() -> Generator[Hanging, None, None]:
    made = Hanging()
    yield made
    made.go_on.set()
    for thread in threading.enumerate():
        if thread.name == "directlane-local":
            thread.join(10)


def test_answer_of_a_local_question_is_sent_to_the_conversation() -> None:
    assert hosts(ask(Local(lambda: Reply(200, content=b"10.0.0.1")))) == ["10.0.0.1"]


def test_it_runs_in_a_daemon_thread_of_its_own() -> None:
    seen: list[threading.Thread] = []

    def run() -> Reply:
        seen.append(threading.current_thread())
        return Reply(200, content=b"10.0.0.1")

    ask(Local(run))
    assert [thread.daemon for thread in seen] == [True]
    assert seen[0] is not threading.current_thread()


def test_a_file_that_is_not_there_is_a_transport_error(tmp_path: Path) -> None:
    path = tmp_path / "models"
    discovery = Local(lambda: Reply(200, content=path.read_bytes()), what=f"the file {path}")
    with pytest.raises(DiscoveryError, match=r"the file .*models: No such file or directory"):
        ask(discovery)
    assert not discovery.caught[0].timed_out


@pytest.mark.parametrize(
    ("error", "timed_out"), [(TimeoutError(errno.ETIMEDOUT, "too late"), True), (ConnectionResetError("gone"), False)]
)
def test_an_error_of_the_system_may_be_caught_by_the_conversation(error: OSError, timed_out: bool) -> None:
    discovery = Local(raising(error), catches=True)
    assert hosts(ask(discovery)) == ["10.0.0.99"]
    assert (discovery.caught[0].timed_out, discovery.caught[0].phase) == (timed_out, Phase.WAIT)


def test_an_error_of_discovery_passes_as_it_is() -> None:
    error = CredentialError("the library has no credential", permanent=True)
    with pytest.raises(CredentialError) as caught:
        ask(Local(raising(error)))
    assert caught.value is error


@pytest.mark.parametrize("error", [KeyError("s3cret"), SystemExit("s3cret"), asyncio.CancelledError(), StopIteration()])
def test_anything_else_is_a_mistake_of_the_plug_in_and_its_text_stays_away(error: BaseException) -> None:
    with pytest.raises(DiscoveryError, match="the discovery plug-in failed with ") as caught:
        ask(Local(raising(error)))
    assert "s3cret" not in str(caught.value)


def test_an_answer_that_is_no_reply_is_refused() -> None:
    with pytest.raises(DiscoveryError, match="answered str for the file, not a Reply"):
        ask(Local(lambda: "10.0.0.1"))


def test_an_answer_that_is_too_large_is_refused() -> None:
    with pytest.raises(DiscoveryUnreadable, match="16 MiB"):
        ask(Local(lambda: Reply(200, content=bytes(MAX_ANSWER_BYTES + 1))))


def test_a_question_that_hangs_times_out(hanging: Hanging) -> None:
    discovery = Local(hanging, catches=True)
    assert hosts(ask(discovery, limit=0.05)) == ["10.0.0.99"]
    assert discovery.caught[0].timed_out
    assert str(discovery.caught[0]) == "no answer from the file within 0.05 s"


def test_what_hangs_is_not_asked_a_second_time_until_it_ends(hanging: Hanging) -> None:
    local = LocalRunner()
    for _ in range(3):
        with pytest.raises(DiscoveryError, match="no answer from the file"):
            ask(Local(hanging), local, limit=0.05)
    assert (hanging.runs, local.running) == (1, 1)

    other = Local(lambda: Reply(200, content=b"10.0.0.2"), what="another file")
    assert hosts(ask(other, local)) == ["10.0.0.2"], "another question does not wait"

    async def waits_for_its_end() -> Snapshot:
        async with asker(local=local) as mine:
            task = asyncio.create_task(converse(Local(hanging), PollContext(0.0), mine, nobody))
            await asyncio.sleep(0)
            hanging.go_on.set()
            return await task

    assert hosts(asyncio.run(waits_for_its_end())) == ["10.0.0.1"]
    assert (hanging.runs, local.running) == (2, 0)


def test_threads_have_a_bound(hanging: Hanging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_module, "_MAX_THREADS", 3)
    local = LocalRunner()
    for number in range(3):
        with pytest.raises(DiscoveryError, match="no answer"):
            ask(Local(hanging, f"file {number}"), local, limit=0.05)
    with pytest.raises(DiscoveryError, match="cannot ask one more: 3 other questions hang"):
        ask(Local(hanging, "one more"), local)
    assert (hanging.runs, local.running) == (3, 3)


def test_a_machine_without_threads_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    local = LocalRunner()
    discovery = Local(lambda: Reply(200, content=b"10.0.0.1"))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(DiscoveryError, match="cannot ask the file: the machine gives us no thread"):
            ask(discovery, local)
    assert hosts(ask(discovery, local)) == ["10.0.0.1"]


def test_a_fork_leaves_the_threads_to_the_parent(hanging: Hanging) -> None:
    local = LocalRunner()
    with pytest.raises(DiscoveryError, match="no answer"):
        ask(Local(hanging), local, limit=0.05)
    local.after_fork_in_child()
    assert hosts(ask(Local(lambda: Reply(200, content=b"10.0.0.1")), local)) == ["10.0.0.1"]


def test_a_budget_is_spent_by_a_local_question_too() -> None:
    budget = RateBudget("b", 1, 0.2)
    loop = asyncio.new_event_loop()
    moments: list[float] = []

    def run() -> Reply:
        moments.append(loop.time())
        return Reply(200, content=b"10.0.0.1")

    async def main() -> None:
        async with asker() as mine:
            for _ in range(2):
                await converse(Local(run, budgets=(budget,)), PollContext(0.0), mine, nobody)

    loop.run_until_complete(main())
    loop.close()
    assert moments[1] - moments[0] >= 0.19


def test_a_hub_polls_it_and_ends_while_it_hangs(hub: DiscoveryHub, hanging: Hanging, tmp_path: Path) -> None:
    path = tmp_path / "host"
    path.write_text("10.0.0.1")
    told = Told()

    def read() -> Reply:
        return Reply(200, content=path.read_bytes())

    share = hub.subscribe("svc/route", Local(read), quick(), told)
    assert share.wait_ready(30)
    path.write_text("10.0.0.2")
    assert share.wait_served(share.ask_soon(), 30)
    assert hosts(Snapshot(share.belief.endpoints)) == ["10.0.0.2"]
    share.release()

    share = hub.subscribe("svc/route", Local(hanging), quick(timeout=60.0), told)
    assert hanging.begun.acquire(timeout=30)
    share.release()
    assert told.lists == [["10.0.0.1"], ["10.0.0.2"]]


def test_what_is_asked_stands_in_the_repr_and_the_way_does_not() -> None:
    secret = "s3cret"
    assert repr(LocalQuery("the file x", partial(raising, secret))) == "LocalQuery(what='the file x', budgets=())"  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
