"""Rules for everything that is configured: providers, balancers, transports. A model's fields are its settings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar, cast

from pydantic import BaseModel, ValidationError

__all__ = ["NO_SUCH_SETTING", "check_schema", "check_strict", "refused"]

_E = TypeVar("_E", bound=Exception)

NO_SUCH_SETTING = "no_such_setting_of_anybody"
_SECRET_NAME = re.compile(r"(^|_)(token|password|passwd|secret|credential|api_?key|secret_?key)($|_)")


def refused(error: type[_E], work: Callable[[], object], rule: str) -> _E:
    """The error that `work` raises, which must be of this type.

    Raises:
        AssertionError: It raised nothing, or something else. The text is the rule.
    """
    try:
        work()
    except error as caught:
        return caught
    except Exception as other:  # noqa: BLE001 - whatever it is, it breaks the rule
        raise AssertionError(f"{rule} (raised {type(other).__name__}, not {error.__name__})") from None
    raise AssertionError(rule)


def check_strict(model: type[BaseModel], settings: Mapping[str, object]) -> None:
    """Unknown settings are refused, and what was accepted cannot be changed any more."""
    model.model_validate(settings)
    refused(
        ValidationError,
        lambda: model.model_validate({**settings, NO_SUCH_SETTING: 1}),
        f"{model.__name__} takes a setting that does not exist: a typing mistake would go unseen",
    )
    # An instance may have no field at all, so the configuration of the model is what can be looked at.
    assert model.model_config.get("frozen"), f"{model.__name__} can be changed after it was checked: set frozen"
    assert model.model_config.get("hide_input_in_errors"), (
        f"{model.__name__} shows what was given in validation errors, which may be a secret: set hide_input_in_errors"
    )


def check_schema(model: type[BaseModel]) -> None:
    """The JSON Schema describes every setting and gives no secret away."""
    schema = model.model_json_schema()
    json.dumps(schema)
    assert schema.get("additionalProperties") is False, f"the schema of {model.__name__} allows unknown settings"
    for where, name, field in _fields(schema, model.__name__):
        described = "description" in field or "const" in field or "$ref" in field or "allOf" in field
        assert described, f"{where}.{name} has no description: Field(description=...)"
        if _SECRET_NAME.search(name.lower()):
            default = field.get("default")
            assert not (isinstance(default, str) and default), (
                f"{where}.{name} is a secret by its name and has a default that the schema shows to everybody"
            )


def _fields(schema: Mapping[str, object], name: str) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    """Model, name and schema of every field, those of models below included."""
    tables = {name: schema, **cast("dict[str, Mapping[str, object]]", schema.get("$defs", {}))}
    for where, table in tables.items():
        properties = cast("Mapping[str, Mapping[str, object]]", table.get("properties", {}))
        for field, described in properties.items():
            yield where, field, described
