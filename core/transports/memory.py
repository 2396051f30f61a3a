"""Answers of servers that live in memory: for tests and simulations, without a socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..errors import TransportError
from ..interfaces.transport import Timeouts
from ..message import Headers, Request

__all__ = ["MemoryServer", "Scripted", "body_of"]


@dataclass(frozen=True, slots=True)
class Scripted:
    """An answer.

    Args:
        status: HTTP status code.
        headers: Header fields.
        pieces: The body in pieces; an error in place of a piece breaks the answer off there.
    """

    status: int = 200
    headers: Headers = ()
    pieces: Sequence[bytes | TransportError] = field(default=(), repr=False)


MemoryServer = Callable[[Request, Timeouts], Scripted | TransportError]
"""One instance: gets a complete request, whose body is bytes, and answers, or fails in some phase."""


def body_of(scripted: Scripted) -> Sequence[bytes | TransportError]:
    """The pieces that travel: empty ones do not."""
    return tuple(piece for piece in scripted.pieces if not isinstance(piece, bytes) or piece)
