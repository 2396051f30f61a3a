"""The settings of a route to a file: what may be written, and what comes of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from directlane.core.endpoint import Endpoint
from directlane.core.errors import Phase
from directlane.core.fields import SecretContext
from directlane.core.message import Reply
from directlane.core.outcome import Action, Outcome
from directlane.providers.file import FileProvider, plugin
from directlane.providers.file.emulator import FileEmulator

SECRET = "kangaroo-4711"


def provider(**settings: object) -> FileProvider:
    return FileProvider.model_validate({"path": "/etc/models.json", **settings})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": "/etc/models"}, "the name models does not tell the format: set `format`"),
        ({"path": "/etc/models.ini"}, "does not tell the format"),
        ({"path": ""}, "is not the path of a file"),
        ({"path": "/"}, "is not the path of a file"),
        ({"path": "a\0.json"}, "is not the path of a file"),
        ({"path": "~nobody-of-this-name/x.json"}, "home folder that is not known"),
        ({"path": 7}, "path"),
        ({"format": "ini"}, "format"),
        ({"check_every": "50ms"}, "must be 0.1 seconds or more"),
        ({"auth": "plain"}, 'auth = "plain" needs a `token`'),
        ({"token": SECRET, "auth": "none"}, "is never sent"),
        ({"headers": {"X Y": SECRET}}, "'X Y' is not the name of a header field"),
        ({"headers": {"authorization": SECRET}}, "is made of `token` and `auth`"),
        ({"headers": {"Host": SECRET}}, "belongs to the connection"),
        ({"headers": {"X-A": SECRET, "x-a": SECRET}}, "is named twice"),
        ({"headers": {"X-A": f"{SECRET}\u4e00"}}, "outside Latin-1"),
        ({"headers": {"X-A": f"{SECRET}\nx"}}, "control character"),
    ],
)
def test_what_is_refused_and_why(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        provider(**settings)
    assert message in str(caught.value)
    assert caught.value.error_count() == 1
    assert SECRET not in str(caught.value)


def test_relative_path_begins_in_the_folder_of_the_configuration(tmp_path: Path) -> None:
    made = FileProvider.model_validate({"path": "sub/models.json"}, context=SecretContext(tmp_path))
    assert made.path == tmp_path / "sub" / "models.json"
    assert provider(path="models.json").path == Path.cwd() / "models.json"


def test_path_does_not_follow_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = provider(path="models.json")
    before = made.path
    monkeypatch.chdir(tmp_path)
    assert made.path == before
    assert before.is_absolute()


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.json", "json"), ("a.yaml", "yaml"), ("a.yml", "yaml"), ("a.toml", "toml"), ("a.JSON", "json")],
)
def test_format_is_told_by_the_name(name: str, form: str) -> None:
    told, set_ = provider(path=f"/etc/{name}"), provider(path=f"/etc/{name}", format=form)
    assert told.discovery().identity == set_.discovery().identity


def test_format_can_be_set(tmp_path: Path) -> None:
    assert provider(path="/etc/models", format="yaml").discovery().identity != provider().discovery().identity


def test_headers_go_with_every_call_and_stand_in_no_text() -> None:
    made = provider(token=SECRET, headers={"X-Api-Key": SECRET})
    assert made.wire(Endpoint("a", 80)).headers == (("Authorization", f"Bearer {SECRET}"), ("X-Api-Key", SECRET))
    for text in (repr(made), made.model_dump_json(), repr(made.wire(Endpoint("a", 80))), repr(made.discovery())):
        assert SECRET not in text


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in FileProvider.model_fields.values())


def test_answers_mean_what_http_says() -> None:
    assert provider().classify(Outcome(Phase.DONE, 0.1, reply=Reply(503))).action is Action.RETRY_ELSEWHERE
    assert provider().classify(Outcome(Phase.DONE, 0.1, reply=Reply(500))).action is Action.FAIL


def test_plugin_brings_the_provider_and_its_emulator() -> None:
    (brought,) = plugin.directlane_providers()
    assert brought.model is FileProvider
    assert brought.emulator is not None
    assert isinstance(brought.emulator(1), FileEmulator)


def test_emulator_that_does_not_run_has_no_file() -> None:
    with pytest.raises(RuntimeError, match="not running"):
        _ = FileEmulator(1).path


def test_emulator_leaves_nothing_behind() -> None:
    with FileEmulator(1) as emulator:
        path = emulator.path
        assert path.exists()
    assert not os.path.lexists(path.parent)
    emulator.stop()
