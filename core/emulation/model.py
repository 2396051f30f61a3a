"""What an emulated instance does with a request, whoever runs it.

It asks a gate whether the request may be run, runs it (by default: an echo), counts it, and misbehaves as told. Each
request that is *run* is one line in a ledger file, written with one `os.write` before the answer: the file survives
SIGKILL, so it proves what was run, and how often. The line is the request's `X-Request-Id`, or `-`.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from .exchange import Ending, ServerReply, ServerRequest, json_reply
from .faults import NONE, Fault, HalfBody, Hang, NoFault, Reset, Slow, Status, Stream
from .server import Handler

__all__ = ["NO_ID", "Gate", "Model", "Rule", "echo"]

NO_ID = "-"
"""What stands in the ledger for a request without id."""

_EVENTS = 3
_HANGING = ServerReply(ending=Ending.HANG)
_RESETTING = ServerReply(ending=Ending.RESET)

Gate = Callable[[ServerRequest], ServerReply | None]
"""Whether a request may be run: None, or the reply that refuses it (wrong credential, unknown path)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How to make a gate or an application, in a form that another process understands.

    Args:
        factory: `package.module:function`; called with the settings.
        settings: What JSON can hold. May have (emulated) secrets, so they are not shown.
    """

    factory: str
    settings: Mapping[str, object] = field(default_factory=dict[str, object], repr=False)

    def gate(self) -> Gate:
        """The gate that the factory makes.

        Raises:
            ValueError: The factory is not written as `module:function`.
            ImportError: There is no such module.
            AttributeError: The module has no such function.
        """
        return cast("Gate", self._made())

    def application(self) -> Handler:
        """The application that the factory makes. Raises as `gate` does."""
        return cast("Handler", self._made())

    def _made(self) -> object:
        module, colon, name = self.factory.partition(":")
        if not colon:
            raise ValueError(f"factory {self.factory!r} must be written as 'package.module:function'")
        factory = cast("Callable[[Mapping[str, object]], object]", getattr(importlib.import_module(module), name))
        return factory(self.settings)


class Model:
    """What an instance does with a request: the handler of its server.

    Args:
        name: Stands in every answer, so that a test sees who answered.
        ledger: File descriptor, open for appending; the caller closes it.
        gate: Lets requests in, or refuses them. Default: all come in.
        application: Answers the requests that are run. Default: `echo(name)`.
    """

    def __init__(self, name: str, ledger: int, *, gate: Gate | None = None, application: Handler | None = None) -> None:
        self.name = name
        self._ledger = ledger
        self._gate = gate
        self._application = echo(name) if application is None else application
        self._lock = threading.Lock()
        self._fault: Fault = NONE
        self._times: int | None = None

    def set_fault(self, fault: Fault, times: int | None = None) -> None:
        """Misbehave from now on, or for the next `times` requests that pass the gate. `NONE` mends it."""
        with self._lock:
            self._fault, self._times = (NONE, None) if times == 0 else (fault, times)

    def __call__(self, request: ServerRequest) -> ServerReply | Awaitable[ServerReply]:
        """Answer one request."""
        if self._gate is not None:
            refusal = self._gate(request)
            if refusal is not None:
                return refusal
        fault = self._take_fault()
        if fault.ran:
            os.write(self._ledger, f"{request.header('x-request-id') or NO_ID}\n".encode("latin-1"))
        match fault:
            case NoFault():
                return self._application(request)
            case Slow(seconds):
                return self._later(request, seconds)
            case Hang():
                return _HANGING
            case Reset():
                return _RESETTING
            case HalfBody():
                return self._half(request)
            case Status():
                return ServerReply(fault.code, fault.headers, fault.body)
            case Stream():
                ending = Ending.RESET if fault.broken else Ending.WHOLE
                return ServerReply(200, (("content-type", fault.media_type),), _pieces(fault), ending)

    def _take_fault(self) -> Fault:
        if self._fault is NONE:  # the usual case takes no lock
            return NONE
        with self._lock:
            fault = self._fault
            if self._times is not None:
                self._times -= 1
                if self._times <= 0:
                    self._fault, self._times = NONE, None
            return fault

    async def _later(self, request: ServerRequest, seconds: float = 0.0) -> ServerReply:
        await asyncio.sleep(seconds)
        reply = self._application(request)
        return reply if isinstance(reply, ServerReply) else await reply

    async def _half(self, request: ServerRequest) -> ServerReply:
        return replace(await self._later(request), ending=Ending.HALF)


def echo(name: str) -> Handler:
    """An application that tells what it got: `{"instance", "path", "method", "bytes"}`.

    A caller that asks for a stream (`Accept: text/event-stream`, or `"stream": true` in a JSON body) gets three
    server-sent events and `[DONE]`, as language models send them.
    """

    def answer(request: ServerRequest) -> ServerReply:
        if _wants_stream(request):
            return ServerReply(200, (("content-type", "text/event-stream"),), _events(name))
        facts = {"instance": name, "path": request.path, "method": request.method, "bytes": len(request.content)}
        return json_reply(facts)

    return answer


def _wants_stream(request: ServerRequest) -> bool:
    if "text/event-stream" in (request.header("accept") or ""):
        return True
    if b'"stream"' not in request.content:
        return False
    try:
        body: object = request.json()
    except ValueError:
        return False
    return isinstance(body, dict) and cast("dict[str, object]", body).get("stream") is True


async def _events(name: str) -> AsyncIterator[bytes]:
    for index in range(_EVENTS):
        yield f"data: {json.dumps({'instance': name, 'index': index})}\n\n".encode()
    yield b"data: [DONE]\n\n"


async def _pieces(fault: Stream) -> AsyncIterator[bytes]:
    for index, chunk in enumerate(fault.chunks):
        if index and fault.gap_seconds:
            await asyncio.sleep(fault.gap_seconds)
        yield chunk
