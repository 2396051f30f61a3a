"""The affinity key of a call that brings none: read from the request, as the configuration says.

Reading never fails a call. Whatever is missing, empty, too large or of another form gives no key: the balancer then
chooses as for any call without one, and `Affinity.missing` counts it. A service without this setting has no reader, so
its bodies are never looked into.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import cast
from urllib.parse import parse_qsl

from ..config.affinity import AffinitySettings, PromptPrefix
from ..message import Content, Request, header
from ..tally import Tally

__all__ = ["LARGEST_BODY", "Affinity", "affinity_from"]

LARGEST_BODY = 8 * 1024 * 1024
"""Bytes. Larger bodies are not parsed for a key: it would take longer than what affinity saves."""

_Read = Callable[[Request], bytes | None]


class Affinity:
    """Reads the keys of one service.

    Args:
        read: Makes a key of a request; None or empty if it has none.
    """

    __slots__ = ("_missing", "_read")

    def __init__(self, read: _Read) -> None:
        self._read = read
        self._missing = Tally()

    def key(self, request: Request) -> bytes | None:
        """The key of a request; None if it has none. Never raises for what stands in a request."""
        key = self._read(request)
        if not key:
            self._missing.add()
            return None
        return key

    @property
    def missing(self) -> int:
        """How many requests had no key until now."""
        return self._missing.value


def affinity_from(settings: AffinitySettings | None) -> Affinity | None:
    """The reader for these settings; None if there are none."""
    if settings is None:
        return None
    return Affinity(_reader(settings))


def _reader(settings: AffinitySettings) -> _Read:
    if settings.header is not None:
        return _header_reader(settings.header)
    if settings.cookie is not None:
        return _cookie_reader(settings.cookie)
    if settings.query is not None:
        return _query_reader(settings.query)
    if settings.json_pointer is not None:
        return _json_reader(settings.json_pointer)
    assert settings.prompt_prefix is not None  # noqa: S101 - the settings have exactly one source
    return _prompt_reader(settings.prompt_prefix)


def _header_reader(name: str) -> _Read:
    def read(request: Request) -> bytes | None:
        value = header(request.headers, name)
        return None if value is None else _encoded(value.strip(" \t"))

    return read


def _cookie_reader(name: str) -> _Read:
    def read(request: Request) -> bytes | None:
        for field, value in request.headers:
            if field.lower() != "cookie":
                continue
            for pair in value.split(";"):
                key, equals, text = pair.strip(" \t").partition("=")
                if key == name and equals:
                    is_quoted = len(text) > 1 and text[0] == text[-1] == '"'
                    return _encoded(text[1:-1] if is_quoted else text)
        return None

    return read


def _query_reader(name: str) -> _Read:
    def read(request: Request) -> bytes | None:
        query = request.target.partition("?")[2]
        for key, value in parse_qsl(query, errors="surrogateescape"):
            if key == name:
                return _encoded(value)
        return None

    return read


def _json_reader(pointer: str) -> _Read:
    tokens = _tokens(pointer)

    def read(request: Request) -> bytes | None:
        try:
            return _encoded(_text(_at(_parsed(request.content), tokens)))
        except _NO_KEY:
            return None

    return read


def _prompt_reader(settings: PromptPrefix) -> _Read:
    tokens = _tokens(settings.pointer)
    block = settings.characters
    longest = block * settings.blocks

    def read(request: Request) -> bytes | None:
        try:
            text = _prompt(_at(_parsed(request.content), tokens), longest)
        except _NO_KEY:
            return None
        if len(text) < longest:
            # Whole blocks only: a conversation that grows within a block keeps its key.
            text = text[: len(text) - len(text) % block] or text
        return _encoded(text)

    return read


# --- JSON -------------------------------------------------------------------------------------------------------------

_NO_KEY = (ValueError, LookupError, RecursionError)
"""What says that a body has no key: it is not JSON or too deep, or the pointer leads nowhere."""


_INDEX = re.compile(r"0|[1-9][0-9]{0,15}")


def _tokens(pointer: str) -> tuple[str, ...]:
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])


def _parsed(content: Content) -> object:
    """The body as JSON. A body that is streamed cannot be read twice, so it is not looked into."""
    if not isinstance(content, bytes) or not content or len(content) > LARGEST_BODY:
        raise ValueError("no body that can be looked into")
    return cast("object", json.loads(content))


def _at(value: object, tokens: tuple[str, ...]) -> object:
    for token in tokens:
        if isinstance(value, dict):
            value = cast("dict[str, object]", value)[token]
        elif isinstance(value, list) and _INDEX.fullmatch(token):
            value = cast("list[object]", value)[int(token)]
        else:
            raise LookupError("the pointer leads nowhere")
    return value


def _text(value: object) -> str:
    """A value as text: a text as it is, nothing for null, everything else as compact JSON with sorted names."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _prompt(value: object, longest: int) -> str:
    """The first characters of a prompt. Of a list, no more entries are looked at than are needed."""
    if not isinstance(value, list):
        return _message(value)[:longest]
    pieces: list[str] = []
    length = 0
    for item in cast("list[object]", value):
        piece = _message(item) + "\n"
        pieces.append(piece)
        length += len(piece)
        if length >= longest:
            break
    return "".join(pieces)[:longest]


def _message(value: object) -> str:
    """A message as text: role and content. Fields that differ from call to call, such as an id, do not count."""
    if not isinstance(value, dict):
        return _text(value)
    fields = cast("dict[str, object]", value)
    content = fields.get("content", fields.get("text"))
    if content is None:
        return _text(fields)
    text = "".join(map(_message, cast("list[object]", content))) if isinstance(content, list) else _text(content)
    role = fields.get("role")
    return f"{role}\n{text}" if isinstance(role, str) else text


def _encoded(text: str) -> bytes:
    # JSON allows half a character, and so does a percent-encoded query.
    return text.encode("utf-8", "surrogatepass")
