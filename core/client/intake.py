"""Takes a call in: from what the caller writes to a checked `Call`. No I/O, and little work."""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import cast
from urllib.parse import quote

from ..clock import Clock
from ..config.model import CallSettings
from ..dispatch.call import NOBODY, Call
from ..errors import InvalidRequestError
from ..message import Content, Headers, Request, headers_from
from ..syntax import check_headers, check_method, check_target
from .affinity import Affinity, affinity_from

__all__ = ["Intake"]

_REPEATABLE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""Idempotent methods (RFC 9110, 9.2.2)."""

_SAFE = "/?=&%:;+,!$'()*@~#[]"
"""What stays as it is in a path that has to be encoded: it may be encoded in part already."""

_PRINTABLE = re.compile(r"[ \x80-\U0010ffff]")

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_WITH_HOST = (
    "the path is a whole URL, and the endpoint is chosen for you\n"
    "Next: give what stands behind the host, such as '/v1/models'."
)


def _body(content: object) -> Content:
    """A body that can be sent, from one that is not plain bytes."""
    kind = type(content).__name__
    if isinstance(content, str):
        return content.encode()
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(cast("bytes", content))
    if isinstance(content, list | tuple):
        fits = all(isinstance(piece, bytes) for piece in cast("Iterable[object]", content))
    else:
        fits = isinstance(content, Iterable | AsyncIterable) and not isinstance(content, Mapping)
    if not fits:
        raise InvalidRequestError(
            f"the body is of type {kind}; it must be bytes, text, or an iterable of bytes\n"
            "Next: for JSON, give json.dumps(...)."
        )
    return cast("Content", content)


def _key(key: object) -> bytes:
    if isinstance(key, str):
        return key.encode()
    if not isinstance(key, bytes):
        raise InvalidRequestError(
            f"the key is of type {type(key).__name__}; it must be text or bytes\nNext: give str(...)."
        )
    return key


def _is_above_0(value: object) -> bool:
    return isinstance(value, int | float) and value > 0


class Intake:
    """Makes the calls of one service.

    Args:
        settings: The service's limits.
        clock: Source of time.
    """

    __slots__ = ("_accepts", "_checked", "_clock", "_repeatable", "_stream_timeout", "_timeout", "affinity")

    def __init__(self, settings: CallSettings, clock: Clock) -> None:
        self._clock = clock
        self._checked: Headers = ()
        codings = ", ".join(settings.accept_encoding)
        self._accepts: Headers = (("Accept-Encoding", codings),) if codings else ()
        self._timeout = settings.timeout
        self._stream_timeout = settings.stream_timeout
        self._repeatable = settings.repeatable
        self.affinity: Affinity | None = affinity_from(settings.affinity)
        """Reads the key of a call that brings none; None if the service has no such setting."""

    def call(
        self,
        content: Content | str,
        path: str,
        method: str,
        headers: Headers | Iterable[tuple[str, str]] | dict[str, str] | None,
        *,
        key: str | bytes | None,
        timeout: float | None,
        repeatable: bool | None,
        size: float | None = None,
        is_streamed: bool = False,
    ) -> Call:
        """A call that begins now.

        Raises:
            InvalidRequestError: The body, the method, the path, a header field or the key is not what it must be.
            ValueError: The timeout is not above 0, or the size is not a finite number of 0 or more.
        """
        if timeout is None:
            timeout = self._timeout
        elif not _is_above_0(timeout):
            raise ValueError(f"timeout must be above 0 seconds, not {timeout!r}")
        if type(content) is not bytes:
            content = _body(content)
        if path:
            if not path.isascii() or " " in path:
                # What people write is encoded for them; control characters are nobody's intention.
                check_target(_PRINTABLE.sub("x", path))
                path = quote(path, safe=_SAFE)
            check_target(path)
            if "://" in path and _ABSOLUTE.match(path):
                raise InvalidRequestError(_WITH_HOST)
        if method != "POST":
            check_method(method)
        fields: Headers = ()
        if headers:
            fields = headers_from(headers)
            # Most callers send the same fields each time: what was checked last need not be checked again.
            if fields != self._checked:
                check_headers(fields)
                self._checked = fields
        is_decoded = False
        # A caller with a word of its own on codings (httpx always has one) decodes by itself.
        if self._accepts and not any(name.lower() == "accept-encoding" for name, _ in fields):
            is_decoded = method != "HEAD"
            fields = (*fields, *self._accepts) if fields else self._accepts
        if repeatable is None:
            configured = self._repeatable
            repeatable = configured if isinstance(configured, bool) else method in _REPEATABLE_METHODS
        request = Request(method, path, fields, content)
        if key is None and self.affinity is not None:
            key = self.affinity.key(request)
        if size is None:
            size = 1.0
        elif not 0 <= size < math.inf:
            raise ValueError(f"size must be a number of 0 or more, in any unit, not {size!r}")
        now = self._clock.monotonic()
        deadline = now + timeout
        ends_at: float | None = None
        if is_streamed and self._stream_timeout is not None:
            ends_at = now + self._stream_timeout
            deadline = min(deadline, ends_at)
        if key is not None and type(key) is not bytes:
            key = _key(key)
        # By place: by name, so many arguments take twice as long.
        return Call(request, now, deadline, repeatable, key, NOBODY, is_streamed, is_decoded, size, ends_at)
