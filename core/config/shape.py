"""Questions to a settings model about its shape: which keys it has, which models and secrets stand below a field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, cast, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ..fields import Secret
from .path import KeyPath

__all__ = ["fields_by_key", "fields_in_table", "literal_secrets", "secret_texts"]


def fields_by_key(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by the key that stands for each in a file."""
    return {_key(name, info): info for name, info in model.model_fields.items()}


def fields_in_table(model: type[BaseModel], path: KeyPath, data: object) -> dict[str, FieldInfo]:
    """The fields of the table at `path` below a model.

    Of alternatives, only those that the table's own tag (such as `type = "aksk"`) allows.

    Args:
        model: The model.
        path: Keys from the model's table to the one that is asked about.
        data: The model's table as it was written.
    """
    models = [model]
    annotations: list[object] = []
    node = data
    for item in path:
        node = _child(node, item)
        if isinstance(item, str) and models:
            fields = [fields_by_key(each).get(item) for each in models]
            annotations = [info.annotation for info in fields if info is not None]
            models = []
        # Otherwise an entry of a list or of a free table: its type stands in the same annotation.
        models = [each for annotation in annotations for each in _models_in(annotation)]
    merged: dict[str, FieldInfo] = {}
    for each in [each for each in models if _fits_tags(each, node)] or models:
        merged |= fields_by_key(each)
    return merged


def secret_texts(annotation: object, value: object) -> Iterator[str]:
    """Every text in raw data that stands where a model has a `Secret`."""
    if isinstance(value, str):
        if Secret in _types_in(annotation):
            yield str(value)
    elif isinstance(value, Mapping):
        table = cast("Mapping[str, object]", value)
        models = _models_in(annotation)
        for model in models:
            for key, info in fields_by_key(model).items():
                if key in table:
                    yield from secret_texts(info.annotation, table[key])
        if not models:
            for item in table.values():
                yield from secret_texts(annotation, item)
    elif isinstance(value, list | tuple):
        for item in cast("list[object]", value):
            yield from secret_texts(annotation, item)


def literal_secrets(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Where, in a validated model, secrets stand that were written in clear."""
    if isinstance(value, Secret):
        if value.is_literal:
            yield path
    elif isinstance(value, BaseModel):
        for name, info in type(value).model_fields.items():
            yield from literal_secrets(getattr(value, name), (*path, _key(name, info)))
    elif isinstance(value, Mapping):
        for key, item in cast("Mapping[object, object]", value).items():
            yield from literal_secrets(item, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(cast("list[object]", value)):
            yield from literal_secrets(item, (*path, index))


def _child(node: object, item: str | int) -> object:
    if isinstance(node, Mapping):
        return cast("Mapping[object, object]", node).get(item)
    if isinstance(node, list) and isinstance(item, int):
        items = cast("list[object]", node)
        return items[item] if item < len(items) else None
    return None


def _fits_tags(model: type[BaseModel], node: object) -> bool:
    """Whether every field of the model that has one of few values has one of them in this table."""
    if not isinstance(node, Mapping):
        return True
    table = cast("Mapping[str, object]", node)
    return all(
        key not in table or get_origin(info.annotation) is not Literal or table[key] in get_args(info.annotation)
        for key, info in fields_by_key(model).items()
    )


def _key(name: str, info: FieldInfo) -> str:
    if isinstance(info.validation_alias, str):
        return info.validation_alias
    return info.alias or name


def _types_in(annotation: object) -> Iterator[object]:
    arguments = get_args(annotation)
    if not arguments:
        yield annotation
    for argument in arguments:
        yield from _types_in(argument)


def _models_in(annotation: object) -> list[type[BaseModel]]:
    return [each for each in _types_in(annotation) if isinstance(each, type) and issubclass(each, BaseModel)]
