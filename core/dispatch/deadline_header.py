"""Tells an instance how much time is left, so that it need not work on what nobody waits for."""

from __future__ import annotations

from ..message import Request

__all__ = ["with_deadline"]


def with_deadline(request: Request, name: str, seconds: float) -> Request:
    """The request with what is left in milliseconds, rounded down, at least 1. A field of the caller is replaced.

    A span and not a moment: the clocks of two machines differ.
    """
    lower = name.lower()
    kept = tuple(pair for pair in request.headers if pair[0].lower() != lower)
    left = str(max(1, int(seconds * 1000)))
    return Request(request.method, request.target, (*kept, (name, left)), request.content)
