"""Writes plain data as TOML 1.0: tables, lists, texts, numbers, booleans. Python reads TOML but does not write it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import cast

__all__ = ["toml_text"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}
_MUST_ESCAPE = re.compile(r'["\\\x00-\x1f\x7f]')


def toml_text(data: Mapping[str, object]) -> str:
    """The TOML text of a table. Lists of tables become `[[name]]`; tables deeper inside lists are written inline.

    Raises:
        TypeError: A value has no form in TOML.
    """
    lines: list[str] = []
    _table(data, (), lines)
    return "\n".join(lines).lstrip("\n") + "\n"


def _table(table: Mapping[str, object], path: tuple[str, ...], lines: list[str]) -> None:
    below: list[tuple[str, object]] = []
    for key, value in table.items():
        if _is_below(value):
            below.append((key, value))
        else:
            lines.append(f"{_key(key)} = {_value(value)}")
    for key, value in below:
        name = ".".join(map(_key, (*path, key)))
        if isinstance(value, Mapping):
            inner = cast("Mapping[str, object]", value)
            # A table with nothing but tables in it needs no line of its own.
            if not inner or not all(_is_below(item) for item in inner.values()):
                lines += ["", f"[{name}]"]
            _table(inner, (*path, key), lines)
        else:
            for item in cast("list[Mapping[str, object]]", value):
                lines += ["", f"[[{name}]]"]
                _table(item, (*path, key), lines)


def _is_below(value: object) -> bool:
    """Whether it gets a header of its own, below the plain values of its table."""
    return isinstance(value, Mapping) or _is_list_of_tables(value)


def _is_list_of_tables(value: object) -> bool:
    if not isinstance(value, list | tuple) or not value:
        return False
    return all(isinstance(item, Mapping) for item in cast("list[object]", value))


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return repr(value)  # digits on both sides of a point, or an exponent: just what TOML wants
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in cast('list[object]', value))}]"
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, object]", value).items()
        return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in pairs) + "}"
    raise TypeError(f"TOML has no form for a value of type {type(value).__name__}")


def _string(text: str) -> str:
    return f'"{_MUST_ESCAPE.sub(lambda found: _escape(found[0]), text)}"'


def _escape(character: str) -> str:
    return _ESCAPES.get(character) or f"\\u{ord(character):04X}"
