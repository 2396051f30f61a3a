"""The pytest plug-in: what it reports, what it brings, and that nobody gets it who does not ask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

SUPPORT = Path(__file__).parents[1] / "support"
CASE = """
from kit_lab import Registry, RegistryCase
from directlane import OK


class TestGood(RegistryCase):
    pass


class Wrong(Registry):
    def classify(self, outcome):
        return OK


class TestWrong(RegistryCase):
    model = Wrong


def test_of_somebody_else():
    pass
"""


def _pytest(folder: Path, *arguments: str, text: str = CASE) -> subprocess.CompletedProcess[str]:
    (folder / "test_case.py").write_text(text, "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(SUPPORT)}
    environment.pop("PYTEST_ADDOPTS", None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, str(folder)]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "two workers"])
def test_report_and_badge_say_what_was_shown(tmp_path: Path, workers: tuple[str, ...]) -> None:
    files = (f"--directlane-report={tmp_path / 'r.json'}", f"--directlane-badge={tmp_path / 'b.svg'}")
    select = ("-k", "success or failure_is or renewed or somebody or nobody_can_call")
    ran = _pytest(tmp_path, "-p", "directlane.testing.plugin", *files, *select, *workers)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    report = json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert not report["is_kept"]
    good, wrong = sorted(report["cases"], key=lambda case: str(case["about"]))
    assert (good["about"], good["contract"]) == ("kit_registry TestGood", "provider")
    assert good["capabilities"] == ["discovery", "signing", "weights"]
    assert {"test_failure_is_not_ok", "test_success_is_ok"} <= set(good["kept"])
    assert [each["rule"] for each in good["not_shown"]] == ["test_refused_token_is_renewed_if_that_is_claimed"]
    assert good["not_shown"][0]["reason"] == "`token-refresh` is not claimed"
    [broken] = wrong["broken"]
    assert broken["rule"] == "test_failure_is_not_ok"
    assert "counts as a success" in broken["reason"]
    assert "provider kit_registry TestWrong (discovery, signing, weights): " in ran.stdout
    assert "broken: test_failure_is_not_ok" in ran.stdout
    badge = (tmp_path / "b.svg").read_text("utf-8")
    assert ET.fromstring(badge).tag.endswith("svg")
    assert "1 broken" in badge


def test_nobody_gets_it_who_does_not_ask(tmp_path: Path) -> None:
    """No entry point of pytest, no option, no fixture, and not even an import."""
    assert not [point for point in entry_points(group="pytest11") if "directlane" in point.value]
    text = "import sys\n\ndef test_it():\n    assert not [name for name in sys.modules if 'directlane' in name]\n"
    assert _pytest(tmp_path, "-p", "no:xdist", text=text).returncode == 0
    assert "unrecognized arguments" in _pytest(tmp_path, "--directlane-report=x", text=text).stderr


FIXTURES = """
import directlane


def client_of(cloud):
    data = {"services": {"s": {"repeatable": True, "routes": [cloud.route()]}}}
    return directlane.Client.from_data(data, environment=cloud.environment)


def test_both_clouds_and_the_faults(emulated_eas, emulated_modelarts, faults):
    for cloud in (emulated_eas, emulated_modelarts):
        with client_of(cloud) as client:
            service = client.service("s")
            assert service.send(b"[]").ok
            faults.status(cloud.instances[0], 503)
            faults.reset(cloud.instances[1], times=1)
            assert all(service.send(b"[]").ok for _ in range(6))
            faults.mend(cloud.instances[0])


def test_any_provider(directlane_clouds):
    with client_of(directlane_clouds("static", instances=1)) as client:
        assert client.service("s").send(b"[]").ok
    try:
        directlane_clouds("nobody")
    except LookupError as error:
        assert "alibaba_eas" in str(error)
"""


def test_fixtures_give_an_application_both_clouds(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["directlane.testing.plugin"]\n', "utf-8")
    ran = _pytest(
        tmp_path, "-p", "no:xdist", text=FIXTURES.replace('pytest_plugins = ["directlane.testing.plugin"]\n', "")
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2 passed" in ran.stdout
