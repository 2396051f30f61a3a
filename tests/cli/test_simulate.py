"""`directlane simulate`: balancers side by side, without a network."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from cli_lab import run

from directlane.core.simulation.stock import STOCK

CONFIG = """
[services.scorecard]
balancer = { kind = "least_loaded", full_scan = 5 }
[[services.scorecard.routes]]
provider = "static"
addresses = ["http://10.0.0.7:8000"]
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "directlane.toml"
    path.write_text(CONFIG, "utf-8")
    return str(path)


@pytest.mark.parametrize("scenario", STOCK)
def test_every_scenario_compares_the_configured_with_the_others(config: str, scenario: str) -> None:
    result = run("simulate", "-c", config, scenario, "--calls", "300", "--json")
    assert result.exit_code == 0, result.stderr
    story = json.loads(result.stdout)
    assert (story["scenario"], story["seed"]) == (scenario, 1)
    names = [row["balancer"] for row in story["balancers"]]
    assert names[0] == "least_loaded (full_scan = 5)"
    assert {"least_loaded", "random", "weighted_round_robin", "consistent_hash"} < set(names)
    for row in story["balancers"]:
        assert row["calls"] == 270
        assert row["answered"] + row["failed"] == row["attempts"] == 270
        assert row["p50"] <= row["p90"] <= row["p99"] <= row["p99.9"]
        assert sum(row["shares"].values()) == pytest.approx(1)
        assert sum(row["fair_shares"].values()) == pytest.approx(1)


def test_a_table_for_people(config: str) -> None:
    result = run("simulate", "-c", config, "equal", "--calls", "300", "--clients", "1")
    assert result.exit_code == 0
    assert "p99" in result.stdout
    assert "least_loaded (full_scan = 5)" in result.stdout


def test_no_configuration_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("simulate", "equal", "--calls", "300", "--json", DIRECTLANE_CONFIG="")
    assert result.exit_code == 0, result.stderr
    names = [row["balancer"] for row in json.loads(result.stdout)["balancers"]]
    assert set(names) >= {"least_loaded", "random", "weighted_round_robin", "consistent_hash"}


def test_a_configuration_that_is_just_there_may_be_unfit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("directlane.toml").write_text("[services.s]\nbalancer = 'least_loaded'\nroutes = []\n")
    result = run("simulate", "equal", "--calls", "300", "--json", DIRECTLANE_CONFIG="")
    assert result.exit_code == 0, result.stderr
    assert "directlane.toml cannot be used and is left out" in result.stderr
    assert json.loads(result.stdout)["balancers"]
    named = run("simulate", "equal", "--calls", "300", "-c", "directlane.toml")
    assert named.exit_code == 2, "who names a file means it"


def test_an_underscore_is_as_good(config: str) -> None:
    result = run("simulate", "-c", config, "heavy_tail", "--calls", "300", "--json")
    assert json.loads(result.stdout)["scenario"] == "heavy-tail"


def test_the_same_seed_prints_the_same(config: str) -> None:
    first, again, other = (
        run("simulate", "-c", config, "grow", "--calls", "300", "--seed", seed, "--json").stdout for seed in "112"
    )
    assert first == again
    assert json.loads(first)["balancers"] != json.loads(other)["balancers"]


def test_options_reach_the_scenario(config: str) -> None:
    options = ("--calls", "500", "--clients", "2", "--attempts", "2", "--rate", "1.5", "--keys", "3", "--zipf", "2")
    story = json.loads(run("simulate", "-c", config, "fast-failure", *options, "--json").stdout)
    assert (story["clients"], story["attempts"]) == (2, 2)
    for row in story["balancers"]:
        assert row["failed"] == 0  # nine of ten servers are well: the second attempt always finds one
        assert row["p99"] < 10  # 80 slots for 1.5 calls a second: nobody waits


def test_a_second_attempt_is_counted(config: str) -> None:
    story = json.loads(
        run("simulate", "-c", config, "fast-failure", "--calls", "300", "--attempts", "2", "--json").stdout
    )
    turns = next(row for row in story["balancers"] if row["balancer"] == "weighted_round_robin")
    assert turns["attempts"] > turns["calls"] == turns["answered"]


def test_ejection_saves_calls(config: str) -> None:
    arguments = ("simulate", "-c", config, "fast-failure", "--calls", "2000", "--json")
    without, ejected = (json.loads(run(*arguments, *more).stdout) for more in ((), ("--ejection",)))
    assert (without["ejection"], ejected["ejection"]) == (False, True)
    for before, after in zip(without["balancers"], ejected["balancers"], strict=True):
        if before["balancer"] in {"weighted_round_robin", "random", "consistent_hash"}:
            # Each of 4 clients pays 5 calls, and a probe now and then; before it was a tenth of 1,800.
            assert after["failed"] < 60 < before["failed"]


def test_a_chart(config: str, tmp_path: Path) -> None:
    file = tmp_path / "a chart.svg"
    result = run("simulate", "-c", config, "fail-for-a-time", "--calls", "300", "--plot", str(file), "--seed", "7")
    assert result.exit_code == 0, result.stderr
    root = ET.parse(file).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = " ".join(root.itertext())
    for expected in ("Scenario fail-for-a-time", "seed 7", "full_scan = 5", "p99.9", "ill", "seconds"):
        assert expected in words


@pytest.mark.parametrize("name", ["chart.png", "chart", "chart.svg.gz"])
def test_a_chart_is_an_svg(config: str, tmp_path: Path, name: str) -> None:
    result = run("simulate", "-c", config, "equal", "--plot", str(tmp_path / name))
    assert result.exit_code == 2
    assert "ends with .svg" in result.stderr
    assert not (tmp_path / name).exists()


def test_a_chart_that_cannot_be_written(config: str, tmp_path: Path) -> None:
    (tmp_path / "folder.svg").mkdir()
    for name, words in [("none/a.svg", "No such file"), ("folder.svg", "Is a directory")]:
        # A million calls: if the file were tried after the run, the test would not be over for half a minute.
        result = run("simulate", "-c", config, "equal", "--calls", "1000000", "--plot", str(tmp_path / name))
        assert result.exit_code == 2
        assert words in result.stderr
        assert "Next: give a file in a folder" in result.stderr.replace("\n", " ")


def test_a_chart_that_is_there_stays_until_the_new_one(config: str, tmp_path: Path) -> None:
    file = tmp_path / "chart.svg"
    file.write_text("old", "utf-8")
    assert run("simulate", "-c", config, "no-such", "--plot", str(file)).exit_code == 2
    assert file.read_text("utf-8") == "old"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("heavy-tial",), "did you mean 'heavy-tail'?"),
        (("nothing-like-it",), "Next: take one of equal, one-slow"),
        ((), "Missing argument 'SCENARIO'"),
        (("equal", "--rate", "-3"), "-3 is not a number of calls"),
        (("equal", "--rate", "nan"), "nan is not a number of calls"),
        (("equal", "--rate", "inf"), "inf is not a number of calls"),
        (("equal", "--calls", "0"), "'--calls'"),
        (("equal", "--clients", "0"), "'--clients'"),
        (("equal", "--attempts", "0"), "'--attempts'"),
        (("equal", "--keys", "0"), "'--keys'"),
        (("equal", "--zipf", "-1"), "--zipf: the exponent must be 0 or more"),
        (("equal", "--zipf", "nan"), "--zipf: the exponent must be 0 or more"),
        (("equal", "--seed", "x"), "'--seed'"),
    ],
)
def test_bad_input_gets_one_message(config: str, arguments: tuple[str, ...], words: str) -> None:
    result = run("simulate", "-c", config, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    message = " ".join(result.stderr.split())
    assert words in message
    assert message.count("error:") == 1
    assert "Next:" in message


def test_recorded_calls(config: str, tmp_path: Path) -> None:
    recording = tmp_path / "calls.csv"
    # They count from the first: these are Unix times.
    recording.write_text("1700000000,0.5\n1700000001, 0.5\n\n1700000002.5,0.5\n", "utf-8")
    result = run("simulate", "-c", config, "equal", "--recorded", str(recording), "--json")
    assert json.loads(result.stdout)["balancers"][0]["p99"] == 0.5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0,1\nx,2\n", "line 2: not two numbers"),
        ("3,1\n2,1\n", "sort the calls"),
        ("\n", "holds no call"),
        ("0,1\n1,-2\n", "line 2: work must be above 0"),
        ("0,inf\n", "line 1: work must be"),
        ("nan,1\n", "line 1: work must be"),
        ("0,1\n1e12,1\n", "line 2: work must be above 0, and nothing may take more"),
    ],
)
def test_a_recording_that_cannot_be_used(config: str, tmp_path: Path, text: str, words: str) -> None:
    recording = tmp_path / "calls.csv"
    recording.write_text(text, "utf-8")
    result = run("simulate", "-c", config, "equal", "--recorded", str(recording))
    assert result.exit_code == 2
    assert words in result.stderr.replace("\n", " ")


@pytest.mark.parametrize("scenario", STOCK)
def test_a_single_recorded_call(config: str, tmp_path: Path, scenario: str) -> None:
    recording = tmp_path / "calls.csv"
    recording.write_text("7,0.5\n", "utf-8")
    result = run("simulate", "-c", config, scenario, "--recorded", str(recording), "--json")
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize("rate", ["0.000001", "1000000"])
def test_any_rate_that_is_allowed_runs(config: str, rate: str) -> None:
    for scenario in ("servers-deploy-in-waves", "warm-up", "fail-for-good"):
        result = run("simulate", "-c", config, scenario, "--rate", rate, "--calls", "100", "--json")
        assert result.exit_code == 0, result.stderr


def test_a_recording_that_is_not_there(config: str, tmp_path: Path) -> None:
    result = run("simulate", "-c", config, "equal", "--recorded", str(tmp_path / "none.csv"))
    assert result.exit_code == 2
    assert "cannot read" in result.stderr
