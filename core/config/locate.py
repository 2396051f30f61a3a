"""Best effort: the position of every key in a TOML text, so that a message can point at its line.

The text has parsed already. A map that does not fit the parsed data is thrown away as a whole: no position is better
than a wrong one.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from typing import cast

from .path import KeyPath, Position

__all__ = ["toml_positions"]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# A multi-line string may end with one or two more quotes, which belong to it.
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{1,2}(?!"))?'
    r"|'''.*?'''(?:'{1,2}(?!'))?"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\r\n]+")


class _Lost(Exception):
    """The scanner does not understand the text."""


def toml_positions(text: str, data: Mapping[str, object]) -> dict[KeyPath, Position]:
    """The position of every key and list entry of a TOML text; empty if there is any doubt.

    Args:
        text: The text.
        data: What the TOML parser made of it.
    """
    scanner = _TomlScanner(text)
    try:
        scanner.scan()
    except (_Lost, IndexError, RecursionError, tomllib.TOMLDecodeError):
        return {}
    return scanner.positions() if scanner.found.keys() == _paths(data) else {}


def _paths(data: Mapping[str, object]) -> set[KeyPath]:
    found: set[KeyPath] = set()
    waiting: list[tuple[KeyPath, object]] = [((), data)]
    while waiting:
        path, node = waiting.pop()
        if path:
            found.add(path)
        if isinstance(node, dict):
            waiting += [((*path, key), value) for key, value in cast("dict[str, object]", node).items()]
        elif isinstance(node, list):
            waiting += [((*path, index), value) for index, value in enumerate(cast("list[object]", node))]
    return found


class _TomlScanner:
    """Walks over a valid TOML text and notes where each key begins."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[KeyPath, int] = {}
        self.last: dict[KeyPath, int] = {}
        """The index of the newest entry of every `[[array of tables]]`."""

    def positions(self) -> dict[KeyPath, Position]:
        starts = [0, *(match.end() for match in re.finditer("\n", self.text))]
        result: dict[KeyPath, Position] = {}
        for path, offset in self.found.items():
            line = bisect_right(starts, offset)
            result[path] = Position(line, offset - starts[line - 1] + 1)
        return result

    def scan(self) -> None:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self._take("[["):
                table = self._header(is_array=True)
                self._need("]]")
            elif self._take("["):
                table = self._header(is_array=False)
                self._need("]")
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self, *, is_array: bool) -> KeyPath:
        path: KeyPath = ()
        keys = self._keys()
        for number, (key, offset) in enumerate(keys, start=1):
            path = (*path, key)
            self.found.setdefault(path, offset)
            if is_array and number == len(keys):
                self.last[path] = self.last.get(path, -1) + 1
                self.found[*path, self.last[path]] = offset
            if path in self.last:
                path = (*path, self.last[path])
        if not is_array and path not in self.last and path[-1:] == (keys[-1][0],):
            # `[a]` after `[a.b]`: the table's own header is the better place.
            self.found[path] = keys[-1][1]
        return path

    def _pair(self, table: KeyPath) -> None:
        path = table
        for key, offset in self._keys():
            path = (*path, key)
            self.found.setdefault(path, offset)
        self._need("=")
        self._skip(_SPACE)
        self._value(path)

    def _keys(self) -> list[tuple[str, int]]:
        keys: list[tuple[str, int]] = []
        while True:
            self._skip(_SPACE)
            offset = self.at
            keys.append((self._key(), offset))
            self._skip(_SPACE)
            if not self._take("."):
                return keys

    def _key(self) -> str:
        bare = _BARE_KEY.match(self.text, self.at)
        if bare is not None:
            self.at = bare.end()
            return bare.group()
        quoted = _STRING.match(self.text, self.at)
        if quoted is None:
            raise _Lost
        self.at = quoted.end()
        value: object = tomllib.loads(f"key = {quoted.group()}")["key"]
        if not isinstance(value, str):
            raise _Lost
        return value

    def _value(self, path: KeyPath) -> None:
        string = _STRING.match(self.text, self.at)
        if string is not None:
            self.at = string.end()
        elif self._take("["):
            self._array(path)
        elif self._take("{"):
            self._skip(_BLANK)
            while not self._take("}"):
                self._pair(path)
                self._skip(_BLANK)
                self._take(",")
                self._skip(_BLANK)
        else:
            scalar = _SCALAR.match(self.text, self.at)
            if scalar is None:
                raise _Lost
            self.at = scalar.end()

    def _array(self, path: KeyPath) -> None:
        index = 0
        self._skip(_BLANK)
        while not self._take("]"):
            self.found[*path, index] = self.at
            self._value((*path, index))
            index += 1
            self._skip(_BLANK)
            self._take(",")
            self._skip(_BLANK)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        if match is not None:
            self.at = match.end()

    def _take(self, token: str) -> bool:
        if self.text.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def _need(self, token: str) -> None:
        if not self._take(token):
            raise _Lost
