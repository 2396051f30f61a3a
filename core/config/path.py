"""Where something stands in a configuration: the keys that lead to it, as a value and as a text for people."""

from __future__ import annotations

import json
import re
from typing import NamedTuple, TypeAlias

__all__ = ["KeyPath", "Position", "format_path"]

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys of tables and indexes of lists, from the top."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")


class Position(NamedTuple):
    """A place in a text file; both numbers count from 1."""

    line: int
    column: int


def format_path(path: KeyPath) -> str:
    """A path as people write it: `services.scorecard.routes[0].token`."""
    text = ""
    for item in path:
        if isinstance(item, int):
            text += f"[{item}]"
            continue
        key = item if _BARE.fullmatch(item) else json.dumps(item, ensure_ascii=False)
        text += f".{key}" if text else key
    return text
