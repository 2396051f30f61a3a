"""An instance answers, counts, misbehaves and dies, in a thread as in a process."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from directlane.core.emulation import (
    HALF_BODY,
    HANG,
    NONE,
    RESET,
    Fault,
    Fleet,
    Gate,
    Handler,
    ModelInstance,
    ProcessInstance,
    Rule,
    ServerReply,
    ServerRequest,
    Slow,
    Status,
    Stream,
    ThreadInstance,
    json_reply,
)

Kind = type[ThreadInstance] | type[ProcessInstance]


def password_gate(settings: Mapping[str, object]) -> Gate:
    """A gate as a provider's emulator would bring it."""

    def gate(request: ServerRequest) -> ServerReply | None:
        return None if request.header("x-password") == settings["password"] else ServerReply(401)

    return gate


def shouting(settings: Mapping[str, object]) -> Handler:
    """An application that also prints: nobody must mistake that for an answer to the parent."""
    print("this is an application")
    return lambda request: json_reply(f"{settings['word']} {request.path}!")


def failing(settings: Mapping[str, object]) -> Gate:
    raise LookupError("no such thing")


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Mapping[str, object]], Rule]:
    """Makes rules of the functions above, under a module name that a child process can import as well."""
    (tmp_path / "emulated_rules.py").write_text(Path(__file__).read_text())
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return lambda name, settings: Rule(f"emulated_rules:{name}", settings)


@pytest.fixture(params=[ThreadInstance, ProcessInstance])
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def instance(kind: Kind) -> Iterator[ModelInstance]:
    with kind("one") as instance:
        yield instance


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=5) as client:
        yield client


def test_echo_tells_who_got_what(instance: ModelInstance, client: httpx.Client) -> None:
    answer = client.post(f"{instance.url}/v1/x?y=1", content=b"four").json()
    assert answer == {"instance": "one", "path": "/v1/x", "method": "POST", "bytes": 4}


@pytest.mark.parametrize("asked", [{"headers": {"Accept": "text/event-stream"}}, {"json": {"stream": True}}])
def test_stream_comes_on_request(instance: ModelInstance, client: httpx.Client, asked: dict[str, object]) -> None:
    reply = client.post(instance.url, **asked)  # type: ignore[arg-type]  # the two ways to ask
    assert reply.headers["content-type"] == "text/event-stream"
    events = reply.text.strip().split("\n\n")
    assert [json.loads(event.removeprefix("data: "))["index"] for event in events[:-1]] == [0, 1, 2]
    assert events[-1] == "data: [DONE]"


def test_ledger_and_counter_survive_a_kill(instance: ModelInstance, client: httpx.Client) -> None:
    for number in range(3):
        client.post(instance.url, headers={"X-Request-Id": f"r{number}"})
    client.post(instance.url)
    instance.kill()
    assert not instance.is_alive
    assert instance.ledger() == ["r0", "r1", "r2"]
    assert instance.requests == 4
    instance.stop()
    assert instance.ledger() == ["r0", "r1", "r2"]
    with pytest.raises(httpx.ConnectError):
        client.get(instance.url)


def test_ledger_can_be_a_given_file(kind: Kind, client: httpx.Client, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with kind("one", ledger=path) as instance:
        client.get(instance.url, headers={"X-Request-Id": "r1"})
    assert path.read_text() == "r1\n"


def test_fault_holds_for_the_next_requests_only(instance: ModelInstance, client: httpx.Client) -> None:
    instance.set_fault(Status(450, b"full", (("X-Why", "queue"),)), times=2)
    replies = [client.get(instance.url) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [450, 450, 200]
    assert (replies[0].text, replies[0].headers["x-why"]) == ("full", "queue")
    assert instance.requests == 1  # a refusal is not a run


def test_fault_holds_until_it_is_mended(instance: ModelInstance, client: httpx.Client) -> None:
    instance.set_fault(Status(503))
    assert [client.get(instance.url).status_code for _ in range(3)] == [503] * 3
    instance.set_fault(NONE)
    assert client.get(instance.url).status_code == 200


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (HANG, httpx.ReadTimeout),
        (RESET, httpx.ReadError),
        (HALF_BODY, httpx.RemoteProtocolError),
        (Slow(30), httpx.ReadTimeout),
        (Stream((b"a",), broken=True), httpx.TransportError),
    ],
)
def test_request_that_got_no_whole_answer_was_run_all_the_same(
    instance: ModelInstance, client: httpx.Client, fault: Fault, error: type[Exception]
) -> None:
    instance.set_fault(fault)
    with pytest.raises(error):
        client.get(instance.url, timeout=0.3)
    assert instance.requests == 1


def test_slow_answers_in_the_end(instance: ModelInstance, client: httpx.Client) -> None:
    instance.set_fault(Slow(0.01))
    reply = client.get(instance.url)
    assert reply.json()["instance"] == "one"
    assert reply.elapsed.total_seconds() >= 0.01


def test_stream_fault_sends_its_pieces(instance: ModelInstance, client: httpx.Client) -> None:
    instance.set_fault(Stream((b"a", b"b", b"c"), 0.001, media_type="text/plain"))
    reply = client.get(instance.url)
    assert (reply.text, reply.headers["content-type"]) == ("abc", "text/plain")


def test_gate_and_application_come_from_rules(
    kind: Kind, client: httpx.Client, rules: Callable[[str, Mapping[str, object]], Rule]
) -> None:
    gate, application = rules("password_gate", {"password": "open"}), rules("shouting", {"word": "hey"})
    with kind("one", gate=gate, application=application) as instance:
        assert client.get(instance.url).status_code == 401
        assert instance.requests == 0
        assert client.get(f"{instance.url}/you", headers={"x-password": "open"}).json() == "hey /you!"
    assert "open" not in repr(gate)


def test_rule_that_cannot_be_made_is_told(rules: Callable[[str, Mapping[str, object]], Rule]) -> None:
    instance = ProcessInstance("one", gate=rules("failing", {}))
    with pytest.raises(RuntimeError, match="one could not start: LookupError: no such thing"):
        instance.start()
    instance.stop()
    with pytest.raises(ValueError, match=r"package\.module:function"):
        ThreadInstance("two", gate=Rule("nowhere")).start()


def test_nobody_can_be_told_anything_after_the_end(instance: ModelInstance) -> None:
    instance.kill()
    instance.kill()
    with pytest.raises(RuntimeError, match="one is not running"):
        instance.set_fault(HANG)
    with pytest.raises(RuntimeError, match="make a new one"):
        instance.start()


def test_process_ends_when_its_parent_dies() -> None:
    parent_code = (
        "import os; from directlane.core.emulation import ProcessInstance;"
        "i = ProcessInstance('orphan'); i.start(); print(i.port, i._ledger_path, flush=True);"
        "os.read(0, 1); os._exit(9)"
    )
    command = [sys.executable, "-c", parent_code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        port, ledger = parent.stdout.readline().split()
        with closing(socket.create_connection(("127.0.0.1", int(port)), timeout=10)) as connection:
            parent.stdin.close()  # the parent goes without saying goodbye
            assert connection.recv(1) == b""  # ... and so does the instance
    Path(ledger).unlink()


def test_fleet_starts_adds_lists_and_stops(kind: Kind) -> None:
    fleet = Fleet(processes=kind is ProcessInstance, prefix="m")
    fleet.start(2)
    try:
        third = fleet.add()
        fleet.remove(third)
        assert [instance.name for instance in fleet.listed] == ["m-1", "m-2"]
        assert third.is_alive
        assert fleet.add().name == "m-4"
        with pytest.raises(ValueError, match="not on the list"):
            fleet.remove(third)
    finally:
        fleet.stop()
    assert not any(instance.is_alive for instance in fleet.everyone)


def test_thread_instance_leaves_nothing_behind(client: httpx.Client) -> None:
    before = threading.active_count()
    with ThreadInstance("one") as instance:
        client.get(instance.url)
        assert (instance.accepted_connections, instance.open_connections) == (1, 1)
    assert threading.active_count() == before
