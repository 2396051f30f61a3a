"""Secrets that are made to be looked for: whatever shows one of them leaks."""

from __future__ import annotations

import base64
import logging
import pickle
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import cast
from urllib.parse import quote

__all__ = ["Canaries", "logged", "told_by", "walk"]

_DEEPEST = 6


class Canaries:
    """Hands out secrets by name, and finds them again. Two of them with different salts share no secret.

    Mutable state: the names that were asked for, in order.

    Args:
        salt: Makes the secrets of this one.
        changed: Salts for some names of their own.
    """

    def __init__(self, salt: str = "a", *, changed: Mapping[str, str] | None = None) -> None:
        self._salt = salt
        self._changed = dict(changed or {})
        self._given: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        """The secret of this name: one word of letters, digits and hyphens, the same each time."""
        salt = self._changed.get(name, self._salt)
        return self._given.setdefault(name, f"canary-{salt}-{name.replace('_', '-')}-5e5c0de5{len(name):02}{salt}")

    @property
    def names(self) -> tuple[str, ...]:
        """What was asked for."""
        return tuple(self._given)

    @property
    def environment(self) -> dict[str, str]:
        """The secrets as environment variables."""
        return {variable_of(name): value for name, value in self._given.items()}

    def in_text(self, text: str) -> str | None:
        """The name of a secret that stands in the text, in clear, in base64 or as part of a URL; None if there is none.

        A secret that is signed with, or whose fingerprint is taken, does not stand there.
        """
        for name, value in self._given.items():
            if value in text or quote(value, safe="") in text or any(coded in text for coded in _coded(value)):
                return name
        return None


class References(Canaries):
    """Hands out references such as `${CANARY_TOKEN}` instead of the secrets; `environment` has these."""

    def __call__(self, name: str) -> str:
        super().__call__(name)
        return f"${{{variable_of(name)}}}"


def _coded(value: str) -> Generator[str]:
    """The middle of the base64 of the value, for each of the three places where it may begin in a longer text."""
    for before in range(3):
        yield base64.b64encode(b" " * before + value.encode()).decode()[4:-4]


def variable_of(name: str) -> str:
    """The environment variable of a secret."""
    return f"CANARY_{name.upper()}"


def told_by(error: BaseException | None) -> Generator[str]:
    """All texts of an error and of those that led to it, as a traceback prints them."""
    known: set[int] = set()
    while error is not None and id(error) not in known:
        known.add(id(error))
        yield f"{error!s}\n{error!r}\n{error.args!r}\n{getattr(error, '__notes__', ())!r}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def walk(value: object, depth: int = 0) -> Generator[str]:
    """All texts inside a value of records, mappings and sequences."""
    yield f"{value!r} {value!s}"
    if depth == _DEEPEST or isinstance(value, str | bytes):
        return
    if isinstance(value, Mapping):
        for key, item in cast("Mapping[object, object]", value).items():
            yield from walk(key, depth + 1)
            yield from walk(item, depth + 1)
    elif isinstance(value, tuple | list | set | frozenset):
        for item in cast("Iterable[object]", value):
            yield from walk(item, depth + 1)


def pickled(value: object) -> str:
    """What a pickle of the value shows; empty if it refuses, which is right where it holds a secret."""
    try:
        return pickle.dumps(value).decode("latin-1")
    except Exception:  # noqa: BLE001 - whatever it raises, nothing was written
        return ""


@contextmanager
def logged() -> Generator[list[str]]:
    """What is logged in the body, by anybody, at any level."""
    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    root = logging.getLogger()
    handler, level = Handler(), root.level
    root.addHandler(handler)
    root.setLevel(logging.NOTSET)
    try:
        yield lines
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
