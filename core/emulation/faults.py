"""What an emulated instance can be told to do instead of answering well.

Values only. Each has a JSON form, because an instance may live in a process of its own. Which faults count as a request
that was *run* is part of the meaning: see `ran`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias, cast

from ..message import Headers

__all__ = [
    "HALF_BODY",
    "HANG",
    "NONE",
    "RESET",
    "Fault",
    "HalfBody",
    "Hang",
    "NoFault",
    "Reset",
    "Slow",
    "Status",
    "Stream",
    "fault_from_json",
    "fault_to_json",
]


@dataclass(frozen=True, slots=True)
class NoFault:
    """Answer well."""

    kind: ClassVar[str] = "none"
    ran: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Slow:
    """Run the request, and answer after `seconds`."""

    kind: ClassVar[str] = "slow"
    ran: ClassVar[bool] = True
    seconds: float


@dataclass(frozen=True, slots=True)
class Hang:
    """Run the request and never answer; the connection stays open."""

    kind: ClassVar[str] = "hang"
    ran: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Reset:
    """Run the request and reset the connection instead of answering, as a crash in the middle of it does."""

    kind: ClassVar[str] = "reset"
    ran: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class HalfBody:
    """Run the request, declare the whole length of the answer, send half of it and close."""

    kind: ClassVar[str] = "half_body"
    ran: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Status:
    """Answer with this status.

    Args:
        code: HTTP status code.
        body: The body. Default: empty.
        headers: Header fields.
        ran: Whether the request counts as run. Default (None): a 4xx refuses it before it is run, any other status
            comes after.
    """

    kind: ClassVar[str] = "status"
    code: int
    body: bytes = b""
    headers: Headers = ()
    ran: bool | None = None

    def __post_init__(self) -> None:
        if self.ran is None:
            object.__setattr__(self, "ran", not 400 <= self.code < 500)


@dataclass(frozen=True, slots=True)
class Stream:
    """Run the request and answer with these pieces.

    Args:
        chunks: The pieces, sent one by one.
        gap_seconds: Pause between two pieces. Default: none.
        broken: Whether the connection is reset after the last piece, before the end of the body. Default: no.
        media_type: Content type of the answer. Default: server-sent events.
    """

    kind: ClassVar[str] = "stream"
    ran: ClassVar[bool] = True
    chunks: tuple[bytes, ...]
    gap_seconds: float = 0.0
    broken: bool = field(default=False, kw_only=True)
    media_type: str = field(default="text/event-stream", kw_only=True)


Fault: TypeAlias = NoFault | Slow | Hang | Reset | HalfBody | Status | Stream

NONE = NoFault()
HANG = Hang()
RESET = Reset()
HALF_BODY = HalfBody()


def fault_to_json(fault: Fault) -> dict[str, object]:
    """The JSON form of a fault; bodies as base64."""
    match fault:
        case Slow(seconds):
            return {"kind": fault.kind, "seconds": seconds}
        case Status():
            body, headers = _text(fault.body), [list(pair) for pair in fault.headers]
            return {"kind": fault.kind, "code": fault.code, "body": body, "headers": headers, "ran": fault.ran}
        case Stream():
            return {
                "kind": fault.kind,
                "chunks": [_text(chunk) for chunk in fault.chunks],
                "gap_seconds": fault.gap_seconds,
                "broken": fault.broken,
                "media_type": fault.media_type,
            }
        case _:
            return {"kind": fault.kind}


def fault_from_json(data: Mapping[str, object]) -> Fault:
    """A fault from its JSON form.

    Raises:
        ValueError: There is no fault of this kind.
    """
    match data.get("kind"):
        case Slow.kind:
            return Slow(float(cast("float", data["seconds"])))
        case Status.kind:
            pairs = cast("list[list[str]]", data["headers"])
            return Status(
                code=cast("int", data["code"]),
                body=_bytes(cast("str", data["body"])),
                headers=tuple((name, value) for name, value in pairs),
                ran=cast("bool", data["ran"]),
            )
        case Stream.kind:
            return Stream(
                chunks=tuple(_bytes(chunk) for chunk in cast("list[str]", data["chunks"])),
                gap_seconds=cast("float", data["gap_seconds"]),
                broken=cast("bool", data["broken"]),
                media_type=cast("str", data["media_type"]),
            )
        case kind:
            for fault in (NONE, HANG, RESET, HALF_BODY):
                if fault.kind == kind:
                    return fault
            raise ValueError(f"there is no fault of kind {kind!r}")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)
