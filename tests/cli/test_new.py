"""`directlane new provider`: what it writes, says and refuses. What comes of it: tests/scaffold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli_lab import run
from copier import run_copy

from directlane.core.scaffold import TEMPLATES


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_without_a_word_more_it_says_what_it_can_do() -> None:
    result = run("new")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "  provider  Write the distribution of a new provider." in result.stdout


def test_it_writes_into_a_folder_of_the_name_of_the_distribution_and_says_what_comes_next() -> None:
    result = run("new", "provider", "my_cloud")
    assert result.exit_code == 0, result.output
    assert Path("directlane-my-cloud/src/directlane_my_cloud/provider.py").is_file()
    assert "Next:\n  cd directlane-my-cloud\n" in result.stdout
    assert "pip install -e '.[dev]'" in result.stdout


def test_another_folder_can_be_named() -> None:
    result = run("new", "provider", "acme", "--to", "work/a b")
    assert result.exit_code == 0, result.output
    assert Path("work/a b/pyproject.toml").is_file()
    assert "  cd 'work/a b'\n" in result.stdout


def test_an_empty_folder_is_filled_and_so_is_a_new_repository() -> None:
    Path("empty/.git").mkdir(parents=True)
    assert run("new", "provider", "acme", "--to", "empty").exit_code == 0
    assert Path("empty/pyproject.toml").is_file()


def test_a_folder_with_something_in_it_is_left_alone() -> None:
    Path("mine").mkdir()
    Path("mine/pyproject.toml").write_text("mine")
    result = run("new", "provider", "acme", "--to", "mine")
    assert result.exit_code == 2
    assert "error: mine is there already" in result.stderr
    assert "--force" in result.stderr
    assert files_of(Path("mine")) == {"pyproject.toml": b"mine"}


def test_a_file_in_the_place_of_the_folder_is_left_alone() -> None:
    Path("mine").write_text("mine")
    assert run("new", "provider", "acme", "--to", "mine").exit_code == 2
    assert run("new", "provider", "acme", "--to", "mine", "--force").exit_code == 2
    assert Path("mine").read_text() == "mine"


def test_force_replaces_the_files_of_the_template_and_no_other() -> None:
    assert run("new", "provider", "acme").exit_code == 0
    before = files_of(Path("directlane-acme"))
    Path("directlane-acme/pyproject.toml").write_text("spoilt")
    Path("directlane-acme/mine.txt").write_text("mine")
    assert run("new", "provider", "acme", "--force").exit_code == 0
    assert files_of(Path("directlane-acme")) == {**before, "mine.txt": b"mine"}


def test_a_folder_that_cannot_be_written_is_told() -> None:
    Path("file").write_text("")
    for folder in ("file/below", "file/far/below"):
        result = run("new", "provider", "acme", "--to", folder)
        assert result.exit_code == 2
        assert f"{folder} cannot be written" in result.stderr
        assert "Next: choose a folder with --to" in result.stderr


@pytest.mark.parametrize("name", ["My-Cloud", "../acme", "", "a b"])
def test_a_name_that_is_no_plain_word_writes_nothing(name: str) -> None:
    result = run("new", "provider", name)
    assert result.exit_code == 2
    assert "is not a plain word" in result.stderr
    assert list(Path.cwd().iterdir()) == []


def test_a_name_that_is_taken_writes_nothing() -> None:
    result = run("new", "provider", "alibaba_eas")
    assert result.exit_code == 2
    assert "there is a provider 'alibaba_eas' already, in directlane " in result.stderr
    assert list(Path.cwd().iterdir()) == []


def test_without_copier_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "copier", None)
    result = run("new", "provider", "acme")
    assert result.exit_code == 2
    assert "pip install 'directlane[new]'" in result.stderr
    assert list(Path.cwd().iterdir()) == []


def test_copier_by_itself_makes_the_same() -> None:
    assert run("new", "provider", "my_cloud", "--to", "ours").exit_code == 0
    words = ("copy", "--quiet", "--defaults", "-d", "name=my_cloud", str(TEMPLATES / "provider"), "theirs")
    ran = subprocess.run([sys.executable, "-m", "copier", *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert files_of(Path("theirs")) == files_of(Path("ours"))


@pytest.mark.parametrize("name", ["My-Cloud", "a__b", "7up", "a" * 41])
def test_copier_by_itself_refuses_the_same_names(name: str) -> None:
    with pytest.raises(ValueError, match="Not a plain word"):
        run_copy(str(TEMPLATES / "provider"), "theirs", data={"name": name}, defaults=True, quiet=True)
    assert list(Path.cwd().iterdir()) == []
