"""Spoils a good answer, one part at a time: what a control plane sends on a bad day, or after its next release."""

from __future__ import annotations

import copy
import json
from collections.abc import Generator
from typing import cast

__all__ = ["spoiled"]

_OTHERS: tuple[object, ...] = (None, True, -1, 10**30, 0.5, "", "x", "\ud800", [], {}, [None], {"a": None})
_MOST = 60
"""Only so many parts are spoiled: a list repeats itself."""


def spoiled(body: bytes) -> Generator[bytes]:
    """The body with one part removed or replaced, for each part of it. What is no JSON is cut at each quarter."""
    for quarter in range(1, 4):
        yield body[: len(body) * quarter // 4]
    try:
        data = cast("object", json.loads(body))
    except ValueError:
        return
    for path in list(_paths(data))[:_MOST]:
        for other in _OTHERS:
            yield _changed(data, path, other)
        yield _changed(data, path, None, remove=True)


def _paths(data: object, path: tuple[str | int, ...] = ()) -> Generator[tuple[str | int, ...]]:
    if path:
        yield path
    if isinstance(data, dict):
        for key, value in cast("dict[str, object]", data).items():
            yield from _paths(value, (*path, key))
    elif isinstance(data, list):
        for place, value in enumerate(cast("list[object]", data)):
            yield from _paths(value, (*path, place))


def _changed(data: object, path: tuple[str | int, ...], other: object, *, remove: bool = False) -> bytes:
    whole = copy.deepcopy(data)
    inner = whole
    for step in path[:-1]:
        inner = cast("dict[str | int, object]", inner)[step]
    table = cast("dict[str | int, object]", inner)  # or a list: both take what stands in the path
    if remove:
        del table[path[-1]]
    else:
        table[path[-1]] = other
    return json.dumps(whole).encode()
