"""The report of the doctor: configuration, store, text, status. And that no secret is in it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from cli_lab import run
from doctor_lab import examined, listening, static

from directlane import (
    AddressSource,
    Conversation,
    EmptyAnswer,
    Endpoint,
    Finding,
    Level,
    LocalQuery,
    PollContext,
    Reply,
    Snapshot,
)
from directlane.core.config.load import load_data
from directlane.core.diagnosis.doctor import examine
from directlane.core.emulation.exchange import ServerReply
from directlane.core.emulation.server import LoopbackServer
from directlane.core.interfaces.discovery import Discovery
from directlane.core.interfaces.provider import Provider, ProviderFacts, Wire
from directlane.core.plugins.hooks import ProviderPlugin, hookimpl
from directlane.core.plugins.registry import Registered, load_plugins
from directlane.providers.static.provider import StaticProvider


@pytest.fixture
def server() -> LoopbackServer:
    return LoopbackServer(lambda request: ServerReply(200))


def test_wrong_configuration_is_findings_too(tmp_path: Path) -> None:
    told = examined("[services.a]\nroutes = []\ntimout = 1\n", tmp_path)
    assert told.exit_code == 1
    assert told.codes == ["config-wrong", "config-wrong"]
    assert told.findings[1]["about"].endswith("doctor.toml:3")
    assert 'did you mean "timeout"?' in told.findings[1]["found"]


def test_warning_of_the_configuration_is_a_finding(tmp_path: Path, server: LoopbackServer) -> None:
    with server:
        text = static(server.url) + 'token = "in-clear-token"\n'
        told = examined(text, tmp_path)
    assert told.one("config-warning")["about"].endswith(f"doctor.toml:{text.count(chr(10))}")
    assert told.exit_code == 0
    assert "in-clear-token" not in told.text


def test_unknown_service_is_bad_input(tmp_path: Path, server: LoopbackServer) -> None:
    file = tmp_path / "a.toml"
    file.write_text(static(server.url if server.is_running else "http://127.0.0.1:1"))
    result = run("doctor", "-c", str(file), "--service", "scorecrd")
    assert result.exit_code == 2
    assert "scorecard" in result.stderr


@pytest.mark.parametrize("store", ["memory:", "sqlite:{folder}/run/store.sqlite"])
def test_store_that_is_well_is_told(tmp_path: Path, server: LoopbackServer, store: str) -> None:
    with server:
        told = examined(f'store = "{store.format(folder=tmp_path)}"\n{static(server.url)}', tmp_path)
    assert told.one("store-well")["found"] == "answers; 0 processes share it now"
    if "sqlite" in store:
        assert "0600, its folder 0700" in told.one("store-modes")["found"]


def test_store_of_others_is_a_problem_and_one_that_is_away_is_a_warning(tmp_path: Path, server: LoopbackServer) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with server:
        told = examined(f'store = "sqlite:{open_to_all}/s"\n{static(server.url)}', tmp_path)
        refused = told.one("store-refused")
        assert refused["level"] == "problem"
        assert "chmod go-rwx" in refused["next"]
        away = examined(f'store = "redis://:in-clear-pw@127.0.0.1:1"\n{static(server.url)}', tmp_path)
    found = away.one("store-unavailable")
    assert (found["level"], found["about"]) == ("warning", "redis://127.0.0.1:1/0")
    assert "in-clear-pw" not in away.text


def test_text_groups_what_is_the_same_and_ends_with_a_sum(tmp_path: Path, server: LoopbackServer) -> None:
    with server:
        file = tmp_path / "a.toml"
        file.write_text(static(*(f"{server.url}/{number}" for number in range(9)), "http://127.0.0.1:1"))
        result = run("doctor", "-c", str(file))
    assert result.exit_code == 1
    text = " ".join(result.stdout.split())
    assert "scorecard static-1" in text
    assert "✗ instance 127.0.0.1:1: Connection refused" in text.replace(
        "Connect call failed ('127.0.0.1', 1)", "Connection refused"
    )
    assert "likely: the machine is there, and nobody listens" in text
    assert text.endswith("✗ 1 problem")
    assert "\x1b" not in result.output


# --- plug-ins ---------------------------------------------------------------------------------------------------------


class Advising(StaticProvider):
    """A provider with an advice, or a bug in it."""

    kind: ClassVar[str] = "advising"
    facts: ClassVar[ProviderFacts] = ProviderFacts("Advising", "Advises.")
    has_bug: bool = False

    def advise(self, finding: Finding) -> str | None:
        if self.has_bug:
            raise KeyError("secret-in-a-bug")
        return f"look at shelf {finding.code}" if finding.level is Level.PROBLEM else None


class Broken(Provider):
    """A provider whose code fails wherever it is asked."""

    kind: ClassVar[str] = "broken"
    facts: ClassVar[ProviderFacts] = ProviderFacts("Broken", "Fails.")

    def discovery(self) -> Discovery:
        raise ZeroDivisionError("secret-in-a-bug")

    def wire(self, endpoint: Endpoint) -> Wire:
        raise ZeroDivisionError


class Tcp(Provider):
    """A provider of a service that speaks no HTTP."""

    kind: ClassVar[str] = "tcp"
    facts: ClassVar[ProviderFacts] = ProviderFacts("TCP", "Plain TCP.")
    port: int

    def discovery(self) -> Discovery:
        return TcpDiscovery(self.port)


class TcpDiscovery:
    addresses = AddressSource.CONFIGURED
    empty_answer = EmptyAnswer.REFUSE

    def __init__(self, port: int) -> None:
        self.identity = ("tcp", port)

    def poll(self, context: PollContext) -> Conversation:
        reply = yield LocalQuery("the file of ports", lambda: Reply(200, content=b"x"))
        return Snapshot((Endpoint("127.0.0.1", self.identity[1], scheme="tcp"),), version=reply.content.decode())


class Plugin:
    @hookimpl
    def directlane_providers(self) -> list[ProviderPlugin]:
        return [ProviderPlugin(Advising), ProviderPlugin(Broken), ProviderPlugin(Tcp)]


def findings_of(route: dict[str, object]) -> list[Finding]:
    registry = load_plugins()
    registry.add(Plugin(), Registered("ours", "ours 1"))
    data = {"services": {"a": {"connect_timeout": "20s", "routes": [route]}}}
    return examine(load_data(data, source="test", environment={}, registry=registry), ["a"])


def test_provider_adds_its_advice_to_what_is_not_well() -> None:
    found = findings_of({"provider": "advising", "addresses": ["http://127.0.0.1:1"]})
    assert [finding.advice for finding in found if finding.code == "tcp-refused"] == ["look at shelf tcp-refused"]
    assert {finding.advice for finding in found if finding.level is Level.OK} == {""}


def test_endpoint_of_another_protocol_is_knocked_at_only() -> None:
    asked: list[bytes] = []
    with listening(lambda connection: asked.append(connection.recv(1000))) as port:
        found = findings_of({"provider": "tcp", "port": port})
    assert [finding.found for finding in found if finding.check == "instance"] == ["takes connections (tcp)"]
    assert [finding.about for finding in found if finding.check == "control plane"] == ["the file of ports"]
    assert set(asked) <= {b""}


def test_advice_that_fails_is_no_advice() -> None:
    found = findings_of({"provider": "advising", "addresses": ["http://127.0.0.1:1"], "has_bug": True})
    assert [finding.advice for finding in found if finding.code == "tcp-refused"] == [""]


def test_provider_that_fails_is_a_finding_and_not_the_end() -> None:
    found = findings_of({"provider": "broken"})
    assert found[-1].code == "list-failed"
    assert "provider 'broken' of ours 1 failed to begin its discovery: ZeroDivisionError" in found[-1].found
    assert (found[-1].cause, found[-1].next) == ("", "report this to its author")
    assert "secret-in-a-bug" not in str(found)
