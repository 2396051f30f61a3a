"""Puts the values of environment variables where a configuration says `${NAME}`.

`$${` stands for a literal `${`. A text in which something was replaced becomes a `Referenced`, so that a `Secret` made
from it knows its reference. What comes out of a variable is not expanded again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from ..fields import Referenced
from ..fields.secret import FILE_PREFIX, MASK
from .path import KeyPath

__all__ = ["Expansion", "expand"]

_TOKEN = re.compile(r"\$\$\{|\$\{(?P<name>[^{}]*)\}|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_A_NAME = "after `${` must stand the name of an environment variable and `}`; for a plain `${` write `$${`"
_MAX_VALUES = 100_000
_MAX_DEPTH = 100


@dataclass(slots=True)
class Expansion:
    """What came of expanding a configuration.

    Args:
        data: The same shape as before; only texts differ.
        problems: Places and messages.
        used: The reference that stands for each value that came from the environment.
    """

    data: object
    problems: list[tuple[KeyPath, str]] = field(default_factory=list[tuple[KeyPath, str]])
    used: dict[str, str] = field(default_factory=dict[str, str], repr=False)


def expand(data: object, environment: Mapping[str, str]) -> Expansion:
    """Replace every `${NAME}` in the texts of `data`; keys stay as they are.

    Args:
        data: Tables, lists and values.
        environment: The variables.
    """
    expander = _Expander(environment)
    result = expander.walk((), data)
    return Expansion(result, expander.problems, expander.used)


class _Expander:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._count = 0
        self.problems: list[tuple[KeyPath, str]] = []
        self.used: dict[str, str] = {}

    def walk(self, path: KeyPath, node: object) -> object:
        self._count += 1
        if len(path) > _MAX_DEPTH or self._count > _MAX_VALUES:
            # YAML aliases can make a small file endless.
            if self._count <= _MAX_VALUES + 1 or len(path) <= _MAX_DEPTH:
                self._too_much()
            return None
        if isinstance(node, str):
            return self._text(path, node)
        if isinstance(node, Mapping):
            table = cast("Mapping[object, object]", node)
            result: dict[str, object] = {}
            for key, value in table.items():
                if isinstance(key, str):
                    result[key] = self.walk((*path, key), value)
                else:
                    self.problems.append((path, f"a key must be a text, not {key!r}; put it in quotes"))
            return result
        if isinstance(node, list | tuple):
            items = cast("list[object]", node)
            return [self.walk((*path, index), item) for index, item in enumerate(items)]
        return node

    def _too_much(self) -> None:
        message = "the configuration is nested too deep or has too many values; are there aliases that repeat it?"
        if not any(text == message for _, text in self.problems):
            self.problems.append(((), message))

    def _text(self, path: KeyPath, text: str) -> str:
        if "${" not in text:
            return text
        value = shown = ""
        end = 0
        was_replaced = False
        for match in _TOKEN.finditer(text):
            literal = text[end : match.start()]
            end = match.end()
            value += literal
            shown += MASK if literal else ""
            if match.group() == "$${":
                value += "${"
                continue
            replacement = self._variable(path, match["name"])
            value += replacement
            shown += match.group() if replacement else ""
            was_replaced = True
        value += text[end:]
        shown += MASK if text[end:] else ""
        if not was_replaced:
            return value
        # The path of a secret file is no secret and helps; any other text around a reference may be one.
        return Referenced(value, text if text.startswith(FILE_PREFIX) else shown or text)

    def _variable(self, path: KeyPath, name: str | None) -> str:
        # The text itself is never shown: it may be a password in which `${` means nothing.
        if name is None or not _NAME.fullmatch(name):
            self.problems.append((path, _NOT_A_NAME))
            return ""
        value = self._environment.get(name)
        if value is None:
            self.problems.append((path, f"the environment variable {name} is not set; set it before you start"))
            return ""
        try:
            value.encode()
        except UnicodeEncodeError:
            self.problems.append((path, f"the environment variable {name} is not UTF-8 text"))
            return ""
        if value:
            self.used[value] = f"${{{name}}}"
        return value
