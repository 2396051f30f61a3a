"""Reads the error bodies of Alibaba Cloud's OpenAPI: `{"Code": "..", "Message": "..", "RequestId": ".."}`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import cast

from ...core.message import Reply

__all__ = ["describe", "error_code"]

_MAX_TEXT = 300


def error_code(reply: Reply) -> str:
    """The code, such as `InvalidAccessKeyId.NotFound`; empty if the body has none."""
    return re.sub(r"[^A-Za-z0-9._-]", "", _text(reply, "Code"))[:60]


def describe(reply: Reply, hide: Iterable[str] = ()) -> str:
    """`status 403, Forbidden.RAM: you may not ..., request 1A2B`, on one line.

    Args:
        reply: An answer that is not a success.
        hide: Secrets; where the platform repeats one, it is masked.
    """
    message, code, request = _text(reply, "Message"), error_code(reply), _text(reply, "RequestId")
    for secret in hide:
        message = message.replace(secret, "***") if secret else message
    # One line, and nothing that a terminal would obey.
    message = "".join(sign if sign.isprintable() else " " for sign in message)[:_MAX_TEXT].strip()
    parts = [f"status {reply.status}", code] if code else [f"status {reply.status}"]
    shown = ", ".join(parts) + (f": {message}" if message else "")
    return f"{shown}, request {request}" if re.fullmatch(r"[A-Za-z0-9-]{1,64}", request) else shown


def _text(reply: Reply, name: str) -> str:
    try:
        data: object = json.loads(reply.content)
    except (ValueError, RecursionError):
        return ""
    value = cast("dict[str, object]", data).get(name) if isinstance(data, dict) else None
    return value if isinstance(value, str) else ""
