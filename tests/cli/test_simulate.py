"""`directlane simulate`: balancers side by side, without a network."""

from __future__ import annotations

import json
from pathlib import Path

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
    assert {"least_loaded", "random", "weighted_round_robin"} < set(names)
    for row in story["balancers"]:
        assert row["calls"] == 270
        assert row["answered"] + row["failed"] == 270
        assert row["p50"] <= row["p90"] <= row["p99"]
        assert sum(row["shares"].values()) == pytest.approx(1)


def test_a_table_for_people(config: str) -> None:
    result = run("simulate", "-c", config, "equal", "--calls", "300", "--clients", "1")
    assert result.exit_code == 0
    assert "p99" in result.stdout
    assert "least_loaded (full_scan = 5)" in result.stdout


def test_recorded_calls(config: str, tmp_path: Path) -> None:
    recording = tmp_path / "calls.csv"
    recording.write_text("0,0.5\n1, 0.5\n\n2.5,0.5\n", "utf-8")
    result = run("simulate", "-c", config, "equal", "--recorded", str(recording), "--json")
    assert json.loads(result.stdout)["balancers"][0]["p99"] == 0.5


@pytest.mark.parametrize(
    ("text", "words"),
    [("0,1\nx,2\n", "line 2: not two numbers"), ("3,1\n2,1\n", "sort the calls"), ("\n", "holds no call")],
)
def test_a_recording_that_cannot_be_used(config: str, tmp_path: Path, text: str, words: str) -> None:
    recording = tmp_path / "calls.csv"
    recording.write_text(text, "utf-8")
    result = run("simulate", "-c", config, "equal", "--recorded", str(recording))
    assert result.exit_code == 2
    assert words in result.stderr.replace("\n", " ")


def test_a_recording_that_is_not_there(config: str, tmp_path: Path) -> None:
    result = run("simulate", "-c", config, "equal", "--recorded", str(tmp_path / "none.csv"))
    assert result.exit_code == 2
    assert "cannot read" in result.stderr
