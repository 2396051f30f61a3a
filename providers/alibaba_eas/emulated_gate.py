"""What the emulated instances and the gateway demand of a call: the right path, and the token in a form they accept."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import cast

from ...core.emulation import Gate, ServerReply, ServerRequest, json_reply
from .auth import signature

__all__ = ["PREDICT", "REFUSED", "make_gate"]

PREDICT = "/api/predict/"
REFUSED = ""
"""Stands in the tally for calls without a good token."""


def make_gate(settings: Mapping[str, object]) -> Gate:
    """The gate of an instance.

    Args:
        settings: `service`, `tokens` (None: no authentication), `accept` (a list of `plain`, `signed`, `bearer`),
            `date_tolerance` (seconds or None), `tally` (counts the calls by token; default: nobody sees it).
    """
    resource = PREDICT + cast("str", settings["service"])
    tokens = cast("Sequence[str] | None", settings["tokens"])
    accept = cast("Sequence[str]", settings["accept"])
    tolerance = cast("float | None", settings["date_tolerance"])
    tally = cast("dict[str, int]", settings.get("tally", {}))

    def is_allowed(request: ServerRequest) -> bool:
        if tokens is None:
            return True
        right = next((token for token in tuple(tokens) if is_right(request, token)), REFUSED)
        tally[right] = tally.get(right, 0) + 1
        return right != REFUSED

    def is_right(request: ServerRequest, token: str) -> bool:
        given = request.header("authorization") or ""
        if given.startswith("EAS "):
            return "signed" in accept and _is_signed(request, token, tolerance)
        if given.startswith("Bearer "):
            return "bearer" in accept and _is_same(given.removeprefix("Bearer "), token)
        return "plain" in accept and _is_same(given, token)

    def gate(request: ServerRequest) -> ServerReply | None:
        path = request.path
        if path != resource and not path.startswith(f"{resource}/"):
            return json_reply({"error": f"service not found: {path}"}, 404)
        return None if is_allowed(request) else json_reply({"error": "the token is missing or not valid"}, 401)

    return gate


def _is_signed(request: ServerRequest, token: str, tolerance: float | None) -> bool:
    given = (request.header("authorization") or "").removeprefix("EAS ")
    digest = request.header("content-md5") or ""
    date = request.header("date") or ""
    # One of the vendor's SDKs drops leading zeros of the digest, so only the number counts.
    actual = hashlib.md5(request.content, usedforsecurity=False).hexdigest()
    if digest.lstrip("0") != actual.lstrip("0"):
        return False
    if tolerance is not None and not _is_fresh(date, tolerance):
        return False
    wanted = signature(
        token.encode(),
        method=request.method,
        digest=digest,
        content_type=request.header("content-type") or "",
        date=date,
        resource=request.target,
    )
    return _is_same(given, wanted)


def _is_fresh(date: str, tolerance: float) -> bool:
    try:
        told = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return False
    return abs(told - time.time()) <= tolerance


def _is_same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
