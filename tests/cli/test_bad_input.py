"""Bad input of every kind: one clear message, exit status 2, no traceback; with --json an object all the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_lab import begun, run
from click.testing import Result

ROUTE = '[[services.s.routes]]\nprovider = "static"\naddresses = ["http://127.0.0.1:9"]\n'
UNREACHABLE = (
    '[discovery]\nstart_timeout = "300ms"\n'
    '[[services.s.routes]]\nprovider = "alibaba_eas"\nservice = "s"\ndiscovery_host = "127.0.0.1:9"\n'
)
BAD_FILES = {
    "bad TOML": ("services = [", "this is not valid TOML"),
    "empty": ("", "the file is empty"),
    "unknown provider": (ROUTE.replace("static", "statik"), 'did you mean "static"?'),
    "unknown key": (ROUTE + 'token_ = "x"\n', "token_"),
    "bad duration": ('[services.s]\ntimeout = "5 parsecs"\n' + ROUTE, "is not a duration"),
    "missing environment variable": (ROUTE + 'token = "${NOBODY_SET_THIS}"\n', "NOBODY_SET_THIS is not set"),
    "no service": ("[services]\n", "there is no service"),
}


def assert_told(result: Result, text: str) -> None:
    assert result.exit_code == 2
    assert text in result.stderr
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.output


@pytest.mark.parametrize("kind", BAD_FILES)
@pytest.mark.parametrize("command", [("check",), ("endpoints",), ("call", "s")])
def test_a_bad_file(kind: str, command: tuple[str, ...], tmp_path: Path) -> None:
    text, message = BAD_FILES[kind]
    file = tmp_path / "bad.toml"
    file.write_text(text)
    result = run(command[0], "-c", str(file), *command[1:])
    assert_told(result, message)
    assert result.stdout == ""
    assert str(file) in result.stderr


@pytest.mark.parametrize("kind", BAD_FILES)
@pytest.mark.parametrize("command", ["check", "endpoints"])
def test_a_bad_file_as_json(kind: str, command: str, tmp_path: Path) -> None:
    text, message = BAD_FILES[kind]
    file = tmp_path / "bad.toml"
    file.write_text(text)
    result = run(command, "-c", str(file), "--json")
    assert result.exit_code == 2
    story = json.loads(result.stdout)
    assert message in story["error"]
    assert story["kind"] == "ConfigError"
    assert story["problems"]


@pytest.mark.parametrize("command", [("check",), ("endpoints",), ("call", "s")])
def test_a_missing_file(command: tuple[str, ...], tmp_path: Path) -> None:
    result = run(command[0], "-c", str(tmp_path / "nope.toml"), *command[1:])
    assert_told(result, "there is no such file")


def test_no_file_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DIRECTLANE_CONFIG", raising=False)
    assert_told(run("check"), "no configuration file")
    assert "error" in json.loads(run("check", "--json").stdout)


@pytest.mark.parametrize("command", ["endpoints", "call"])
def test_an_unknown_service(command: str, tmp_path: Path) -> None:
    file = tmp_path / "good.toml"
    file.write_text(ROUTE.replace("services.s.", "services.scorecard."))
    result = run(command, "-c", str(file), "scorecrd")
    assert_told(result, "did you mean 'scorecard'?")


def test_unreachable_discovery_at_start(tmp_path: Path) -> None:
    file = tmp_path / "far.toml"
    file.write_text(UNREACHABLE)
    assert_told(run("call", "-c", str(file), "s"), "has no endpoint to call")
    assert_told(run("endpoints", "-c", str(file)), "has no endpoint")
    result = run("endpoints", "-c", str(file), "s", "--json")
    assert result.exit_code == 2
    story = json.loads(result.stdout)
    assert "has no endpoint" in story["error"]
    assert story["services"][0]["endpoints"] == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("call", "s", "-d", "@/nowhere/at/all"), "the data cannot be read"),
        (("call", "s", "-H", "no colon, and a sesame"), "a header is written as"),
        (("call", "s", "-H", "bad name: sesame"), "is not a name"),
        (("call", "s", "-H", "A: sesame\nB: c"), "HTTP does not allow"),
        (("call", "s", "-X", "GE T"), "is not an HTTP method"),
        (("call", "s", "/a b"), "a path has no spaces"),
        (("call", "s", "--timeout", "soon"), "is not a duration"),
        (("call", "s", "--timeout", "0"), "above 0"),
        (("call",), "Missing argument"),
    ],
)
def test_bad_arguments_of_call(arguments: tuple[str, ...], text: str, tmp_path: Path) -> None:
    file = tmp_path / "good.toml"
    file.write_text(ROUTE)
    result = run(*arguments, DIRECTLANE_CONFIG=str(file))
    assert_told(result, text)
    assert "sesame" not in result.output


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("frobnicate",), "No such command"),
        (("check", "--jsn"), "--json"),
        (("demo", "--seconds", "soon"), "is not a duration"),
        (("demo", "--seconds", "0.2"), "1 second at least"),
        (("demo", "-o", "/nowhere/at/all.toml"), "cannot be written"),
        (("emulate", "--cloud", "alibaba_eass"), "did you mean 'alibaba_eas'?"),
        (("emulate", "--instances", "0"), "--instances"),
    ],
)
def test_bad_arguments(arguments: tuple[str, ...], text: str) -> None:
    assert_told(run(*arguments), text)


def test_a_bad_option_as_json() -> None:
    result = run("providers", "--json", "--frob")
    assert result.exit_code == 2
    assert "--frob" in json.loads(result.stdout)["error"]


def test_a_file_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("# mine\n")
    assert_told(run("emulate", "--cloud", "static", "--instances", "1", "-o", str(file)), "was not written by")
    assert file.read_text() == "# mine\n"


def test_in_a_process_of_its_own_too(tmp_path: Path) -> None:
    with begun("check", "-c", "nope.toml", folder=tmp_path) as process:
        out, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert out == ""
    assert err.startswith("error: nope.toml: there is no such file")
    assert "Traceback" not in err
