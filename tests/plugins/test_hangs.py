"""When the code of a plug-in hangs: what has a limit ends and is told, and the calls of other services go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from typing import ClassVar

import pytest

from directlane import (
    AddressSource,
    AsyncClient,
    CallError,
    Client,
    Conversation,
    Discovery,
    EmptyAnswer,
    Endpoint,
    LocalQuery,
    Outcome,
    PollContext,
    Provider,
    ProviderFacts,
    ProviderPlugin,
    Reply,
    Snapshot,
    Verdict,
    hookimpl,
)
from directlane.core.interfaces import Upkeep
from directlane.core.plugins.registry import Registered, Registry, load_plugins
from directlane.emulation import Status, ThreadInstance

ORIGIN = Registered("acme", "directlane-acme 1.2.3")
PATIENCE = 60.0
"""Seconds that a test waits for another thread; never reached while all is well."""


class Gate:
    """Where the plug-in hangs until the test is over. Mutable state: both events."""

    def __init__(self) -> None:
        self.is_reached = threading.Event()
        self.opens = threading.Event()

    def wait(self) -> None:
        self.is_reached.set()
        self.opens.wait(PATIENCE)


class Hanging(Provider):
    """Hangs where it is told to."""

    kind: ClassVar[str] = "hanging"
    facts: ClassVar[ProviderFacts] = ProviderFacts("Hanging", "Hangs.")
    gate: ClassVar[Gate]
    port: int
    hangs: str

    def discovery(self) -> Discovery:
        return Questions(self, "discovery")

    def upkeep(self) -> Upkeep | None:
        return Questions(self, "upkeep") if self.hangs == "upkeep" else None

    def classify(self, outcome: Outcome) -> Verdict:
        if self.hangs == "classify":
            self.gate.wait()
        return super().classify(outcome)


class Questions:
    """A discovery, or an upkeep."""

    addresses = AddressSource.LEARNED
    empty_answer = EmptyAnswer.REFUSE

    def __init__(self, provider: Hanging, part: str) -> None:
        self.provider, self.part = provider, part

    @property
    def identity(self) -> Hashable:
        return "hanging", self.part, id(self.provider)

    def poll(self, context: PollContext) -> Conversation:
        if self.provider.hangs == "poll":
            self.provider.gate.wait()
        yield LocalQuery(f"Acme's {self.part}", self.ask)
        return Snapshot((Endpoint("127.0.0.1", self.provider.port),) if self.part == "discovery" else ())

    def ask(self) -> Reply:
        if self.provider.hangs == self.part:
            self.provider.gate.wait()
        return Reply(200)


class Plugin:
    @hookimpl
    def directlane_providers(self) -> list[ProviderPlugin]:
        return [ProviderPlugin(Hanging)]


@pytest.fixture
def gate() -> Iterator[Gate]:
    Hanging.gate = made = Gate()
    yield made
    made.opens.set()


@pytest.fixture
def instance() -> Iterator[ThreadInstance]:
    with ThreadInstance("one") as one:
        yield one


@pytest.fixture
def registry() -> Registry:
    registry = load_plugins()
    registry.add(Plugin(), ORIGIN)
    return registry


@pytest.fixture
def data_with(instance: ThreadInstance) -> Callable[[str], dict[str, object]]:
    """A configuration with a service that hangs there, and one that does not."""

    def make(hangs: str) -> dict[str, object]:
        bad = {"provider": "hanging", "port": instance.port, "hangs": hangs}
        good = {"provider": "static", "addresses": [instance.url]}
        discovery = {"timeout": "100ms"}
        return {
            "services": {
                "bad": {"routes": [bad], "timeout": "2s", "discovery": discovery},
                "good": {"routes": [good], "timeout": "60s"},
            }
        }

    return make


LIMITED = ["discovery", "upkeep"]


@pytest.mark.parametrize("hangs", LIMITED)
def test_question_that_hangs_ends_and_is_told(
    gate: Gate, registry: Registry, data_with: Callable[[str], dict[str, object]], hangs: str
) -> None:
    with Client.from_data(data_with(hangs), environment={}, registry=registry) as client:
        with pytest.raises(CallError) as caught:
            client.service("bad").send(b"[]")
        assert gate.is_reached.is_set()
        assert client.service("good").send(b"[]").ok
    story = str(caught.value)
    assert "hanging-1" in story
    assert f"no answer from Acme's {hangs} within 0.1 s" in story


@pytest.mark.anyio
@pytest.mark.parametrize("hangs", LIMITED)
async def test_question_that_hangs_ends_and_is_told_to_async_code(
    gate: Gate, registry: Registry, data_with: Callable[[str], dict[str, object]], hangs: str
) -> None:
    async with AsyncClient.from_data(data_with(hangs), environment={}, registry=registry) as client:
        with pytest.raises(CallError) as caught:
            await client.service("bad").send(b"[]")
        assert gate.is_reached.is_set()
        assert (await client.service("good").send(b"[]")).ok
    assert f"no answer from Acme's {hangs} within 0.1 s" in str(caught.value)


def test_classify_that_hangs_holds_its_own_call_only(
    gate: Gate, registry: Registry, data_with: Callable[[str], dict[str, object]], instance: ThreadInstance
) -> None:
    with Client.from_data(data_with("classify"), environment={}, registry=registry) as client:
        instance.set_fault(Status(500), times=1)
        statuses: list[int] = []
        held = threading.Thread(target=lambda: statuses.append(client.service("bad").send(b"[]").status))
        held.start()
        assert gate.is_reached.wait(PATIENCE)
        assert client.service("good").send(b"[]").ok, "another service"
        assert client.service("bad").send(b"[]").ok, "the same one, in another thread: nothing to classify"
        assert held.is_alive()
        gate.opens.set()
        held.join(PATIENCE)
    assert statuses == [500]


def test_conversation_that_blocks_holds_discovery_and_no_call(
    gate: Gate, registry: Registry, data_with: Callable[[str], dict[str, object]]
) -> None:
    with Client.from_data(data_with("poll"), environment={}, registry=registry) as client:
        with pytest.raises(CallError, match="hanging-1"):
            client.service("bad").send(b"[]")
        assert gate.is_reached.is_set()
        assert client.service("good").send(b"[]").ok
        gate.opens.set()
