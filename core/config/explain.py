"""pydantic's errors as short plain sentences, at the place where the mistake stands in the file.

A sentence never holds what was written, because that may be a secret. The exceptions are the texts of our own and of a
plug-in's validators, and those are searched for secrets before they are shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ..fields.secret import MASK
from ..plugins.registry import nearest
from .path import KeyPath
from .shape import fields_in_table, secret_texts

__all__ = ["explain", "unknown_key"]

_SHORTEST_MASKED = 4
"""Shorter values are left: masking every "a" in a sentence would tell more than it hides."""

_TYPES = {
    "bool": "true or false",
    "dict": "a table",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "mapping": "a table",
    "model": "a table",
    "set": "a list",
    "string": "a text",
    "tuple": "a list",
}
"""What pydantic's `<word>_type` and `<word>_parsing` errors expect."""

_Context = Mapping[str, object]
_SENTENCES: dict[str, Callable[[_Context], str]] = {
    "int_from_float": lambda _: "must be a whole number",
    "model_attributes_type": lambda _: "must be a table",
    "finite_number": lambda _: "must be a finite number",
    "greater_than": lambda context: f"must be above {context['gt']}",
    "greater_than_equal": lambda context: f"must be {context['ge']} or more",
    "less_than": lambda context: f"must be below {context['lt']}",
    "less_than_equal": lambda context: f"must be {context['le']} or less",
    "string_too_short": lambda context: _at_least(context["min_length"], "character"),
    "string_too_long": lambda context: f"must have {context['max_length']} characters at most",
    "string_pattern_mismatch": lambda context: f"must match the pattern {context['pattern']}",
    "too_short": lambda context: _at_least(context["min_length"], "entry", "entries"),
    "too_long": lambda context: f"must have {context['max_length']} entries at most",
    "union_tag_invalid": lambda context: f"must be one of: {context['expected_tags']}",
    "union_tag_not_found": lambda context: f"needs the key {_tag(context)}, which says which of the forms it is",
}


def explain(
    error: ValidationError, model: type[BaseModel], data: Mapping[str, object], *, also: Iterable[str] = ()
) -> list[tuple[KeyPath, str]]:
    """Every mistake in a table as a path below it and a sentence.

    Args:
        error: What pydantic said.
        model: The model that was to be made.
        data: The table that it was to be made from.
        also: Keys that are valid in the same table and do not belong to the model.
    """
    sentences: dict[KeyPath, list[str]] = {}
    for detail in error.errors(include_url=False):
        path = _place(detail, data)
        found = sentences.setdefault(path, [])
        sentence = _sentence(detail, model, data, path, also)
        if sentence not in found:
            found.append(sentence)
    hidden = sorted(
        {text for text in secret_texts(model, data) if len(text) >= _SHORTEST_MASKED}, key=len, reverse=True
    )
    # Several at one place are the alternatives of a union.
    return [(path, _mask(", or ".join(found), hidden)) for path, found in sentences.items()]


def unknown_key(key: str, known: Sequence[str]) -> str:
    """What to say about a key that nothing here has."""
    guess = nearest(key, known)
    if guess is not None:
        return f'unknown key; did you mean "{guess}"?'
    return f"unknown key; the keys here are: {', '.join(known)}" if known else "unknown key; nothing is expected here"


def _place(detail: ErrorDetails, data: Mapping[str, object]) -> KeyPath:
    """The path of an error in the data: pydantic's location without the tags of unions.

    pydantic hands out the very object that it complains about: of several readings, the one that leads there is right.
    """
    is_missing = detail["type"] == "missing"
    location = detail["loc"][:-1] if is_missing else detail["loc"]
    wanted: object = detail["input"]
    fallback: KeyPath | None = None
    for path, node in _readings(location, data):
        if fallback is None:
            fallback = path
        if node is wanted:
            break
    else:
        path = fallback or ()
    if detail["type"] == "union_tag_invalid":
        return (*path, _tag(detail.get("ctx", {})))
    return (*path, detail["loc"][-1]) if is_missing else path


def _readings(location: tuple[int | str, ...], node: object) -> Iterator[tuple[KeyPath, object]]:
    if not location:
        yield (), node
        return
    item, rest = location[0], location[1:]
    child: object = None
    has_child = False
    here = node
    if isinstance(here, Mapping):
        table = cast("Mapping[object, object]", here)
        has_child = item in table
        child = table.get(item)
    elif isinstance(here, list) and isinstance(item, int):
        entries = cast("list[object]", here)
        has_child = item < len(entries)
        child = entries[item] if has_child else None
    if has_child:
        for path, end in _readings(rest, child):
            yield (item, *path), end
    yield from _readings(rest, node)


def _sentence(
    detail: ErrorDetails, model: type[BaseModel], data: Mapping[str, object], path: KeyPath, also: Iterable[str]
) -> str:
    kind = detail["type"]
    context: _Context = detail.get("ctx", {})
    if kind == "extra_forbidden":
        known = [*(also if len(path) == 1 else ()), *fields_in_table(model, path[:-1], data)]
        return unknown_key(str(path[-1]), known)
    if kind == "missing":
        info = fields_in_table(model, path[:-1], data).get(str(path[-1]))
        text = f": {info.description}" if info is not None and info.description else ""
        return f"is required and missing{text}"
    if kind in ("value_error", "assertion_error"):
        return _one_line(str(context.get("error", ""))) or "is not valid"
    if kind in ("literal_error", "enum"):
        return _choice(context, detail["input"])
    if kind in _SENTENCES:
        return _SENTENCES[kind](context)
    word, _, end = kind.rpartition("_")
    if end in ("type", "parsing") and word in _TYPES:
        return f"must be {_TYPES[word]}"
    if kind.startswith("ip_"):
        if "network" in kind:
            return "must be a network such as 10.0.0.0/8, without bits of a host"
        return "must be an IP address such as 10.0.0.1"
    return _one_line(detail["msg"].replace("Input should be", "must be", 1))


def _choice(context: _Context, written: object) -> str:
    expected = str(context["expected"])
    guess = nearest(written, re.findall(r"'([^']*)'", expected)) if isinstance(written, str) else None
    return f"must be {expected}" + (f'; did you mean "{guess}"?' if guess else "")


def _tag(context: _Context) -> str:
    """The key that tells the forms of a table apart."""
    return str(context["discriminator"]).strip("'")


def _at_least(count: object, one: str, many: str | None = None) -> str:
    if count == 1:
        return "must not be empty"
    return f"must have at least {count} {many or one + 's'}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _mask(sentence: str, hidden: Sequence[str]) -> str:
    for text in hidden:
        sentence = sentence.replace(text, MASK)
    return sentence
