"""The demo: an instance dies, discovery breaks, no call fails, nothing is left behind."""

from __future__ import annotations

import io
import json
import re
import signal
import tomllib
from pathlib import Path
from subprocess import Popen

import pytest
from cli_lab import begun, children_of, is_there, needs_proc
from rich.console import Console

from directlane.core.cli.demo_figures import Latencies, Tally, summed
from directlane.core.cli.demo_run import Event, Frame, Row, ServiceFrame
from directlane.core.cli.demo_view import FrameView, event_line, summary


def first_line_about(process: Popen[str], text: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return line
    raise AssertionError(f"the process ended without a line about {text!r}")


def test_a_healthy_demo_has_no_failed_call(tmp_path: Path) -> None:
    with begun("demo", "--seconds", "3", "--json", folder=tmp_path) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert err.strip() == ""
    facts = json.loads(out)
    assert facts["failed"] == 0
    assert facts["requests"] > 100
    assert facts["retried"] > 0
    assert facts["discovery_failures"] > 0
    assert 0 < facts["p50_ms"] <= facts["p99_ms"]
    assert len(facts["per_endpoint"]) >= 6
    assert sum(each["calls"] for each in facts["per_endpoint"].values()) == facts["requests"]
    assert sum(each["requests"] for each in facts["services"]) == facts["requests"]
    assert {each["name"] for each in facts["services"]} == {"scorecard", "flowers"}
    dead = [each for each in facts["per_endpoint"].values() if each["state"] in ("killed", "ejected", "gone")]
    assert len(dead) == 1
    assert dead[0]["errors"] > 0
    assert {"start", "kill", "break", "mend"} <= {event["kind"] for event in facts["events"]}
    assert facts["config"] == "directlane-demo.toml"


def test_the_demo_writes_its_configuration_without_secrets_in_the_tables(tmp_path: Path) -> None:
    with begun("demo", "--seconds", "1", folder=tmp_path) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    text = (tmp_path / "directlane-demo.toml").read_text()
    exports = dict(re.findall(r"^#   export (\w+)=(\S+)$", text, re.MULTILINE))
    assert exports
    tables = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    for name, value in exports.items():
        assert f'"${{{name}}}"' in tables
        assert value not in tables
        assert value not in out
    assert tomllib.loads(text)["services"].keys() == {"scorecard", "flowers"}
    assert "0 failed" in out
    assert "directlane-demo.toml" in out
    assert "\x1b" not in out


@needs_proc
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_demo_leaves_nothing_behind(number: signal.Signals, status: int, tmp_path: Path) -> None:
    with begun("demo", "--seconds", "60", folder=tmp_path) as process:
        first_line_about(process, "instances in 2 clouds")
        children = children_of(process.pid)
        assert len(children) == 6
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == status
    assert err.strip() == ""
    assert not any(is_there(child) for child in children)


class TestFigures:
    def test_percentiles_are_right_to_one_percent(self) -> None:
        latencies = Latencies()
        for value in range(1, 1001):
            latencies.add(value / 10)
        assert latencies.percentile(0.5) == pytest.approx(50, rel=0.011)
        assert latencies.percentile(0.99) == pytest.approx(99, rel=0.011)

    def test_no_call_no_percentile(self) -> None:
        assert Latencies().percentile(0.5) is None

    def test_tallies_add_up(self) -> None:
        one, two = Tally(3, 1, 1), Tally(4, 0, 2)
        one.answers["a"] += 2
        two.answers["a"] += 4
        total = summed([one, two])
        assert (total.requests, total.failed, total.retried, total.answers["a"]) == (7, 1, 3, 6)


def frame(endpoints: int, events: int) -> Frame:
    rows = [
        Row(f"http://10.0.0.{n}:8080", f"10.0.0.{n}:8080", state, 1000 * n, 1 / endpoints, 6.4, n)
        for n, state in zip(
            range(1, endpoints + 1),
            ["ready", "killed", "gone", "draining", "ejected", "probing", "warming", "failing"] * endpoints,
            strict=False,
        )
    ]
    tally = Tally(12345, 0, 17)
    tally.latencies.add(6.5)
    services = [ServiceFrame(name, "A cloud", rows, tally, 3, name == "b", 4.2) for name in ("a", "b")]
    happened = [
        Event(n / 2, "client", f"something happened that takes many words to tell {n}" * 3) for n in range(events)
    ]
    return Frame(6.0, 12.0, services, tally, 987.6, [100.0] * 24, 48, happened)


def drawn(view: FrameView, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    console.print(view)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


class TestView:
    @pytest.mark.parametrize("width", [60, 80, 100, 200])
    def test_it_never_gets_wider_than_the_terminal(self, width: int) -> None:
        lines = drawn(FrameView(frame(4, 30)), width, 40)
        assert max(map(len, lines)) <= width

    def test_eighty_columns_lose_nothing_of_the_tables(self) -> None:
        text = "\n".join(drawn(FrameView(frame(4, 3)), 80, 40))
        for words in (
            "10.0.0.4:8080",
            "✖ off the list",
            "discovery fails · list 4.2 s old",
            "12,345 requests",
            "6.4 ms",
        ):
            assert words in text

    @pytest.mark.parametrize("height", [24, 30, 50])
    def test_it_fits_into_the_height_of_the_terminal(self, height: int) -> None:
        assert len(drawn(FrameView(frame(4, 100)), 80, height)) <= height

    def test_events_are_cut_to_one_line(self) -> None:
        assert event_line(Event(1.0, "kill", "x" * 500), 60).cell_len == 60

    def test_the_summary_tells_of_failures(self) -> None:
        happy = frame(4, 0)
        assert "No call failed" in summary(happy, "f.toml").plain
        happy.total.failed = 2
        assert "2 of 12,345 calls failed" in summary(happy, "f.toml").plain
