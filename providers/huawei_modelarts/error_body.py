"""Reads the error bodies of IAM, ModelArts and the API gateway, which come in several forms.

    {"error_code": "ModelArts.0202", "error_msg": "..", "request_id": ".."}
    {"error": {"code": 404, "message": "..", "title": "Not Found"}}
    {"errorCode": "..", "errorMsg": ".."}, {"code": "..", "message": ".."}, each also one level deeper

The same gateway code is written `APIG.0308` here and `APIGW.0308` there; it is read as `APIG.0308`. Codes are reused
with different statuses: whoever decides by a code looks at the status first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

from ...core.message import Reply

__all__ = ["PlatformError", "describe", "limit_window", "read_error"]

_MAX_BYTES = 64 * 1024
_MAX_TEXT = 300
_CODE_KEYS = ("error_code", "errorCode", "code")
_MESSAGE_KEYS = ("error_msg", "errorMsg", "message", "error_message")
_LIMIT = re.compile(r"time\s*:\s*(\d{1,6})\s*(second|minute|hour|day)", re.IGNORECASE)
_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}


@dataclass(frozen=True, slots=True)
class PlatformError:
    """What an error body says. Empty texts where it says nothing.

    Args:
        code: Such as `ModelArts.0202`, `APIG.0308` or `IAM.0061`.
        message: The platform's sentence, for people. It may repeat what was sent: mask it before it is shown.
    """

    code: str = ""
    message: str = ""


_NOTHING = PlatformError()


def read_error(content: bytes) -> PlatformError:
    """What an error body says, in whatever form; never raises."""
    if len(content) > _MAX_BYTES or not content.lstrip().startswith(b"{"):
        return _NOTHING
    try:
        data: object = json.loads(content)
    except (ValueError, RecursionError):
        return _NOTHING
    for mapping in _levels(data):
        code, message = _text(mapping, _CODE_KEYS), _text(mapping, _MESSAGE_KEYS)
        if code or message:
            return PlatformError(code.replace("APIGW.", "APIG.", 1), message)
    return _NOTHING


def describe(reply: Reply, hide: Iterable[str] = ()) -> str:
    """`status 401, ModelArts.0202: token expired`, on one line.

    Args:
        reply: An answer that is not a success.
        hide: Secrets; where the platform repeats one, it is masked.
    """
    error = read_error(reply.content)
    message = error.message
    for secret in hide:
        message = message.replace(secret, "***") if secret else message
    # One line, and nothing that a terminal would obey.
    message = "".join(sign if sign.isprintable() else " " for sign in message)[:_MAX_TEXT].strip()
    return f"status {reply.status}" + (f", {error.code}" if error.code else "") + (f": {message}" if message else "")


def limit_window(message: str) -> float | None:
    """The window of a limit, in seconds, from a text such as `policy user over ratelimit,limit:20,time:1 minute`.

    A hint: the text is not a published interface. None if it says nothing.
    """
    found = _LIMIT.search(message)
    return float(found[1]) * _SECONDS[found[2].lower()] if found else None


def _levels(data: object) -> Iterator[dict[str, object]]:
    if isinstance(data, dict):
        mapping = cast("dict[str, object]", data)
        yield mapping
        for value in mapping.values():
            if isinstance(value, dict):
                yield cast("dict[str, object]", value)


def _text(mapping: dict[str, object], names: tuple[str, ...]) -> str:
    for name in names:
        value = mapping.get(name)
        if isinstance(value, str) and value:
            # A code is one word; anything longer is no code and is not shown as one.
            return value if names is _MESSAGE_KEYS else re.sub(r"[^A-Za-z0-9._-]", "", value)[:40]
        if isinstance(value, int) and not isinstance(value, bool) and names is _CODE_KEYS and 0 <= value < 1_000_000:
            return str(value)
    return ""
