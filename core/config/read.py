"""Reads a configuration file into plain data, with the position of every key where the format tells.

The ending of the name tells the format. Nothing here knows what the keys mean.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, cast

from ..errors import ConfigError, ConfigProblem
from ..plugins.registry import nearest
from .locate import toml_positions
from .path import KeyPath, Position
from .yaml_text import parse_yaml

__all__ = ["RawFile", "read_file"]

_MAX_BYTES = 4 * 1024 * 1024
_SUFFIXES = ".toml, .yaml, .yml or .json"
_TOML_PLACE = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")


@dataclass(frozen=True, slots=True)
class RawFile:
    """The data of a configuration file as they were written.

    Args:
        source: The path as it was given.
        folder: The folder of the file; relative paths inside it begin here.
        data: The top-level table. May hold secrets that are written in clear.
        positions: Where the keys stand; empty where the format does not tell.
    """

    source: str
    folder: Path
    data: Mapping[str, object] = field(repr=False)
    positions: Mapping[KeyPath, Position] = field(default_factory=dict[KeyPath, Position], repr=False)


def read_file(path: str | Path) -> RawFile:
    """Read a `.toml`, `.yaml`, `.yml` or `.json` file.

    Raises:
        ConfigError: It is not there, cannot be read, does not parse, or is empty.
    """
    file = Path(path)
    source = str(path)
    text = _text(file, source)
    positions: Mapping[KeyPath, Position] = {}
    try:
        match file.suffix.lower():
            case ".toml":
                data: object = _toml(text, source)
            case ".yaml" | ".yml":
                data, positions = parse_yaml(text, source)
            case ".json":
                data = _json(text, source)
            case _:
                _refuse(source, f"the format is not known; give the file a name that ends with {_SUFFIXES}")
    except RecursionError:
        _refuse(source, "the values are nested too deep")
    except ValueError:
        # Numbers with thousands of digits, dates that do not exist: the parsers let these errors through.
        _refuse(source, "a number or date in the file cannot be read; write it in quotes if it is a text")
    if data is None or data == {}:
        _refuse(source, "the file is empty; it needs at least one service, such as [services.scorecard]")
    if not isinstance(data, dict):
        _refuse(source, "the file must hold a table of settings at its top, not a list or a single value")
    table = cast("dict[str, object]", data)
    if file.suffix.lower() == ".toml":
        positions = toml_positions(text, table)
    return RawFile(source, file.parent, table, positions)


def _text(file: Path, source: str) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        _refuse(source, f"there is no such file{_neighbour(file)}; give the path of a {_SUFFIXES} file")
    except IsADirectoryError:
        _refuse(source, f"this is a directory; give the path of a {_SUFFIXES} file in it")
    except PermissionError:
        _refuse(source, "this user may not read the file; change its permissions or the user")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "this is not a path"
        _refuse(source, f"the file cannot be read: {reason}")
    if len(content) > _MAX_BYTES:
        _refuse(source, f"the file is larger than {_MAX_BYTES // 1024 // 1024} MiB; is this the right one?")
    try:
        # Line ends as the TOML parser counts them.
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        _refuse(source, "the file is not UTF-8 text; save it with the encoding UTF-8", Position(line, 1))


def _neighbour(file: Path) -> str:
    try:
        names = [entry.name for entry in file.parent.iterdir()]
    except (OSError, ValueError):
        return ""
    name = nearest(file.name, names)
    return f"; did you mean {str(file.with_name(name))!r}?" if name else ""


def _toml(text: str, source: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = _TOML_PLACE.search(message)
        position = None
        if place is not None:
            message = message[: place.start()]
            if place["line"]:
                position = Position(int(place["line"]), int(place["column"]))
            else:
                lines = text.split("\n")
                position = Position(len(lines), len(lines[-1]) + 1)
        _refuse(source, f"this is not valid TOML: {message}", position)


def _json(text: str, source: str) -> object:
    if not text.strip():
        return None

    def table(pairs: list[tuple[str, object]]) -> dict[str, object]:
        result = dict(pairs)
        if len(result) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            _refuse(source, f"the key {twice!r} stands twice in one table; keep one of them")
        return result

    def constant(name: str) -> NoReturn:
        _refuse(source, f"{name} is not a number that JSON allows")

    try:
        return json.loads(text, object_pairs_hook=table, parse_constant=constant)
    except json.JSONDecodeError as error:
        _refuse(source, f"this is not valid JSON: {error.msg}", Position(error.lineno, error.colno))


def _refuse(source: str, message: str, position: Position | None = None) -> NoReturn:
    line, column = position or (None, None)
    # `from None`: the errors of parsers carry pieces of the file, and those may be secrets.
    raise ConfigError(source, [ConfigProblem(message, line=line, column=column)]) from None
