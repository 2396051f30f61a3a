"""Replies whose bodies came compressed: what they are packed with, and what is left of their headers.

An answer is decoded only if all of its codings are known; another one (`br`, which we never ask for) passes as it is,
with its `Content-Encoding`, so that the caller can tell.
"""

from __future__ import annotations

from dataclasses import replace

from ..endpoint import Endpoint
from ..errors import Phase, TransportError
from ..message import Headers, Reply
from .decoders import DECODERS, BodyDecoder, CodingError

__all__ = ["applied_codings", "decoded_reply", "undecodable", "without_coding"]

_MOST = 3
"""Codings of one body. Nobody packs more often; a longer list is made to cost us time."""

_OF_THE_CODING = frozenset({"content-encoding", "content-length"})


def applied_codings(status: int, headers: Headers) -> tuple[str, ...]:
    """The codings to undo, in the order in which they were applied; empty if the body is to stay as it is."""
    if status in (204, 304):
        return ()
    names: list[str] = []
    for name, value in headers:
        if len(name) == 16 and name.lower() == "content-encoding":
            names += [coding.strip().lower() for coding in value.split(",")]
    codings = tuple(name for name in names if name and name != "identity")
    if len(codings) > _MOST or any(coding not in DECODERS for coding in codings):
        return ()
    return codings


def without_coding(headers: Headers) -> Headers:
    """The header fields as they are true for the decoded body."""
    return tuple(pair for pair in headers if pair[0].lower() not in _OF_THE_CODING)


def decoded_reply(reply: Reply, endpoint: Endpoint, limit: int | None) -> Reply:
    """The reply with its body decoded.

    Args:
        reply: As it came over the wire.
        endpoint: Who answered, for the error.
        limit: Bytes that the body may stand for. None: any.

    Raises:
        TransportError: With phase STREAM: the body is broken, or too long.
    """
    codings = applied_codings(reply.status, reply.headers)
    if not codings or not reply.content:
        return reply
    try:
        decoder = BodyDecoder(codings, limit)
        content = b"".join(decoder.feed(reply.content))
        decoder.end()
    except (CodingError, ValueError) as error:
        raise undecodable(endpoint, error) from error
    return replace(reply, headers=without_coding(reply.headers), content=content)


def undecodable(endpoint: Endpoint, error: Exception) -> TransportError:
    """Our error for a body that cannot be decoded."""
    return TransportError(f"the answer of {endpoint.authority} cannot be decoded: {error}", phase=Phase.STREAM)
