"""A secret is seen nowhere, whatever is done with the object that holds it."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from directlane.core.fields import Referenced, Secret, SecretContext
from directlane.core.interfaces.provider import Provider

VALUE = "s3cr3t-value"


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    token: Secret
    other: int = 0


@dataclasses.dataclass
class Record:
    token: Secret


SHOWN: list[Callable[[Secret], str]] = [
    repr,
    str,
    "{}".format,
    "{!r:>40}".format,
    "{:>40}".format,
    lambda secret: f"{secret}",
    lambda secret: f"{secret=}",
    lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - this form is the subject
    lambda secret: repr(Record(secret)),
    lambda secret: repr([secret, {"a": secret}]),
    lambda secret: repr(Model(token=secret)),
    lambda secret: str(Model(token=secret).model_dump()),
    lambda secret: str(Model(token=secret).model_dump(mode="json")),
    lambda secret: Model(token=secret).model_dump_json(),
    lambda secret: str(Model(token=secret).model_copy(deep=True)),
    lambda secret: str(dataclasses.asdict(Record(secret))),
    lambda secret: json.dumps({"a": secret}, default=str),
]


@pytest.mark.parametrize("secret", [Secret(VALUE), Secret(VALUE, "${TOKEN}")])
@pytest.mark.parametrize("show", SHOWN)
def test_it_is_not_shown(secret: Secret, show: Callable[[Secret], str]) -> None:
    shown = show(secret)
    assert VALUE not in shown
    assert "${TOKEN}" in shown or "***" in shown


def test_it_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("x").warning("token %s %r", Secret(VALUE), Secret(VALUE))
    assert VALUE not in caplog.text


@pytest.mark.parametrize("data", [{"token": VALUE, "other": "x"}, {"token": VALUE, "more": 1}, {"token": [VALUE]}])
def test_validation_errors_do_not_show_it(data: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate(data)
    assert VALUE not in str(caught.value)
    assert VALUE not in "".join(traceback.format_exception(caught.value))


def test_the_contracts_hide_input_in_errors() -> None:
    assert Provider.model_config.get("hide_input_in_errors") is True


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_cannot_be_pickled(protocol: int) -> None:
    for holder in (Secret(VALUE), Model(token=Secret(VALUE)), Record(Secret(VALUE))):
        with pytest.raises(TypeError, match="cannot be pickled") as caught:
            pickle.dumps(holder, protocol)
        assert VALUE not in str(caught.value)


def test_it_gives_no_state_away() -> None:
    secret = Secret(VALUE)
    with pytest.raises(TypeError):
        vars(secret)
    with pytest.raises(TypeError, match="state"):
        secret.__getstate__()
    with pytest.raises(TypeError):
        json.dumps(secret)


def test_copies_are_the_same_object() -> None:
    secret = Secret(VALUE, "${X}")
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"a": [secret]})["a"][0] is secret


def test_equality_hash_and_fingerprint() -> None:
    assert Secret("a") == Secret("a", "${X}")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("a").fingerprint() == Secret("a").fingerprint() != Secret("b").fingerprint()
    assert VALUE not in Secret(VALUE).fingerprint()
    assert not Secret("")
    assert Secret(VALUE)


def test_text_that_is_not_unicode() -> None:
    odd = Secret("a\udcffb")
    assert odd == Secret("a\udcffb")
    assert odd.fingerprint()


def test_models_read_it_from_python_and_json() -> None:
    assert Model.model_validate({"token": VALUE}).token.reveal() == VALUE
    assert Model.model_validate_json(json.dumps({"token": VALUE})).token.reveal() == VALUE
    assert Model.model_validate({"token": Referenced(VALUE, "${T}")}).token.reference == "${T}"
    assert Model(token=Secret(VALUE)).token.is_literal
    assert Model.model_json_schema()["properties"]["token"]["format"] == "password"
    assert Model.model_json_schema(mode="serialization")["properties"]["token"]["type"] == "string"


@pytest.mark.parametrize("value", [1, None, b"x", ["x"]])
def test_only_texts(value: object) -> None:
    with pytest.raises(ValidationError, match="a secret is a text such as"):
        Model.model_validate({"token": value})


@pytest.mark.parametrize(
    ("content", "value"),
    [(b"abc\n", "abc"), (b"abc\r\n", "abc"), (b"\xef\xbb\xbfabc", "abc"), (b" a b \n", " a b ")],
)
def test_a_file_without_its_line_end(tmp_path: Path, content: bytes, value: str) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    secret = Secret.from_text(f"file:{file}")
    assert secret.reveal() == value
    assert not secret.is_literal
    context = SecretContext(tmp_path)
    assert Model.model_validate({"token": "file:token"}, context=context).token.reveal() == value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"s3cret\nb", "has a line break"),
        (b"s3cret\x00", "another control character"),
        (b"s3cret-\xff", "is not UTF-8 text"),
        (b"x" * 65537, "larger than 64 KiB"),
    ],
)
def test_a_bad_file(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        Secret.from_text(f"file:{file}")
    assert "s3cret" not in "".join(traceback.format_exception(caught.value)).replace(str(tmp_path), "")


@pytest.mark.parametrize("path", ["/no/such/file", "a\0b", "~nobody-is-called-so/x", "/"])
def test_no_file(path: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        Secret.from_text(f"file:{path}")


def test_referenced_text_survives_copies() -> None:
    text = Referenced("value", "${X}")
    for again in (copy.copy(text), copy.deepcopy(text), pickle.loads(pickle.dumps(text))):
        assert (again, again.reference) == ("value", "${X}")


def test_a_variable_without_its_line_end() -> None:
    assert Secret.from_text(Referenced("value\n", "${X}")).reveal() == "value"
    with pytest.raises(ValueError, match=r"the secret is empty \(\$\{X\}\)"):
        Secret.from_text(Referenced("\n", "${X}"))
