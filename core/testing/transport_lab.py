"""A server for the transport contract: over a socket. One script drives it."""

from __future__ import annotations

import inspect
import socket
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from ..emulation.exchange import Ending, ServerReply, ServerRequest
from ..endpoint import Endpoint
from ..interfaces.transport import Transport
from ..message import Request

__all__ = ["Scripted", "ServerAnswer", "TransportLab", "mark_if_async", "side_of", "socket_lab"]


@dataclass(frozen=True)
class ServerAnswer:
    """What the server is told to answer.

    Args:
        status: HTTP status.
        headers: Header fields.
        pieces: The body, piece by piece.
        is_chunked: Whether the pieces are sent one by one, without a length.
        ending: How the answer ends.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    pieces: Sequence[bytes] = (b"ok",)
    is_chunked: bool = False
    ending: Ending = Ending.WHOLE


@dataclass
class Scripted:
    """What the server is to answer now, and what it has seen. Mutable state: both."""

    answer: ServerAnswer = field(default_factory=ServerAnswer)
    seen: list[Request] = field(default_factory=list[Request])


@dataclass
class TransportLab:
    """A transport, an endpoint that it reaches, and one that refuses.

    Args:
        transport: Under test.
        endpoint: Answers as `script` says.
        refusing: Nobody listens there.
        script: What is answered, and what was seen.
    """

    transport: Transport
    endpoint: Endpoint
    refusing: Endpoint
    script: Scripted = field(default_factory=Scripted)


@contextmanager
def socket_lab(transport: Transport) -> Generator[TransportLab]:
    """A lab whose server listens on loopback. Needs the extra `emulator`."""
    from ..emulation.server import LoopbackServer

    script = Scripted()

    def handle(request: ServerRequest) -> ServerReply:
        script.seen.append(Request(request.method, request.target, request.headers, request.content))
        answer = script.answer
        content = _stream(answer.pieces) if answer.is_chunked else b"".join(answer.pieces)
        return ServerReply(answer.status, answer.headers, content, answer.ending)

    with LoopbackServer(handle) as server, closed_port() as port:
        yield TransportLab(transport, Endpoint(server.host, server.port), Endpoint("127.0.0.1", port), script)


async def _stream(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@contextmanager
def closed_port() -> Generator[int]:
    """A port that is bound and not listened on, so that nobody else can get it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def side_of(case: type) -> str:
    """Which side a case tries: `async`, or `sync`."""
    is_async = any(inspect.iscoroutinefunction(getattr(case, name)) for name in dir(case) if name.startswith("test_"))
    return "async" if is_async else "sync"


def mark_if_async(case: type) -> None:
    """Let anyio's pytest plug-in run the async tests of a case. Not at import: with strict markers, who does not have
    that plug-in and tests something else could not import the kit.
    """
    if side_of(case) == "async":
        case.pytestmark = [pytest.mark.anyio]  # type: ignore[attr-defined]  # pytest reads it
