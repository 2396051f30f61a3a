"""What `directlane new provider` writes is a whole distribution, and green as it is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from plugin_lab import environment_with, install, run_python

import directlane
from directlane.core.plugins.hooks import HOOK_VERSION
from directlane.core.scaffold import make_provider, names_of

LONGEST = "a_name_as_long_as_can_be"


def _made(kind: str, folder: Path) -> Path:
    names = names_of(kind)
    project = folder / names.distribution
    make_provider(names, project)
    install(project, folder / "site")
    return project


def _files(project: Path) -> set[str]:
    return {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _made("acme", tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def site(acme: Path) -> Path:
    return acme.parent / "site"


def test_its_own_tests_are_green(acme: Path, site: Path) -> None:
    ran = run_python("-m", "pytest", "-q", "-p", "no:cacheprovider", project=acme, site=site)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^[1-9][0-9]+ passed", ran.stdout, re.MULTILINE), ran.stdout


def test_it_is_listed_as_a_plug_in_with_its_emulator(acme: Path, site: Path) -> None:
    ran = run_python("-m", "directlane.core.cli", "providers", "--json", project=acme, site=site)
    facts = json.loads(ran.stdout)
    (row,) = [row for row in facts["providers"] if row["name"] == "acme"]
    assert (row["title"], row["has_emulator"], row["from"]) == ("Acme", True, "directlane-acme 0.1.0")
    assert facts["broken"] == []


def test_its_settings_are_in_the_json_schema(acme: Path, site: Path) -> None:
    ran = run_python("-m", "directlane.core.cli", "schema", project=acme, site=site)
    assert "Token for the registry. Instances never see it." in ran.stdout


def test_its_instances_run_as_processes_of_their_own(acme: Path, site: Path) -> None:
    code = (
        "import directlane\n"
        "from directlane_acme.emulator import AcmeEmulator\n"
        "with AcmeEmulator(1, processes=True) as cloud:\n"
        "    data = {'services': {'s': {'routes': [cloud.route()]}}}\n"
        "    with directlane.Client.from_data(data, environment=cloud.environment) as client:\n"
        "        print(client.service('s').send(b'[]').status)\n"
    )
    ran = run_python("-c", code, project=acme, site=site)
    assert (ran.stdout, ran.stderr) == ("200\n", "")


@pytest.mark.parametrize("kind", ["x", "my_cloud", LONGEST])
def test_every_name_gives_the_same_files_and_none_is_left_as_a_template(kind: str, tmp_path: Path) -> None:
    project = _made(kind, tmp_path / "made")
    names = names_of(kind)
    files = _files(project)
    usual = _files(_made("acme", tmp_path / "usual"))
    assert files == {name.replace("directlane_acme", names.module).replace("acme", kind) for name in usual}
    for name in files:
        text = (project / name).read_text("utf-8")
        assert "{{ " not in text.replace("${{ matrix.python }}", ""), name
        assert "{%" not in text, name
    module = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    assert module["name"] == names.distribution
    assert module["entry-points"]["directlane"] == {kind: f"{names.module}.plugin"}
    assert f"class {names.prefix}Provider(Provider):" in (project / "src" / names.module / "provider.py").read_text()


def test_it_asks_for_the_directlane_that_made_it(acme: Path) -> None:
    about = tomllib.loads((acme / "pyproject.toml").read_text("utf-8"))["project"]
    assert f"directlane>={directlane.__version__}" in about["dependencies"]
    plugin = (acme / "src/directlane_acme/plugin.py").read_text("utf-8")
    assert f"\ndirectlane_hook_version = {HOOK_VERSION}\n" in plugin


def test_it_imports_public_names_only(acme: Path) -> None:
    for path in acme.rglob("*.py"):
        imported = set(re.findall(r"^\s*(?:from|import) (directlane[\w.]*)", path.read_text("utf-8"), re.MULTILINE))
        own = {name for name in imported if name.startswith("directlane_acme")}
        assert imported - own <= {"directlane", "directlane.emulation", "directlane.testing"}, path


@pytest.mark.skipif(find_spec("ruff") is None, reason="ruff comes with the extra dev")
@pytest.mark.parametrize("kind", ["x", "acme", LONGEST])
def test_ruff_finds_nothing(kind: str, tmp_path: Path) -> None:
    project = _made(kind, tmp_path)
    for words in (["check"], ["format", "--check", "--diff"]):
        ran = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--no-cache", "."],
            cwd=project,
            env=environment_with(project, tmp_path / "site"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
