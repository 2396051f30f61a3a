"""What the emulated ModelArts answers: the endpoint list in every shape, the refusals, and broken answers. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from ...core.emulation import Ending, ModelInstance, ServerReply, json_reply
from ...core.interfaces import ControlFault

__all__ = ["SERVICE_ID", "Shape", "broken", "date", "entry", "error", "service_id", "shapes", "throttled"]

Shape: TypeAlias = Literal["A", "B", "C", "D", "E", "F", "G"]

SERVICE_ID = "8a9f6d3e-0000-4000-8000-00000e5c0de0"


def service_id(number: int) -> str:
    """The id of an emulated service; 0 is `SERVICE_ID`."""
    return f"{SERVICE_ID[:-4]}{int(SERVICE_ID[-4:], 16) + number:04x}"


def shapes(shape: Shape, entries: list[dict[str, object]], service: str = SERVICE_ID) -> object:
    """The endpoint list in one of the shapes that a client must be ready for.

    A: an object with `endpoints`. B: with `host_endpoints`. C: a bare list. D: grouped by model version. E: one entry
    by itself (the first). F: addresses below a common scheme. G: a bare list of URLs.
    """
    match shape:
        case "A":
            return {"endpoints": entries}
        case "B":
            return {"host_endpoints": entries}
        case "C":
            return entries
        case "D":
            group = {"model_id": "emulated-model", "model_version": "0.0.1", "host_endpoints": entries}
            return {"service_id": service, "endpoints": [group]}
        case "E":
            return entries[0] if entries else {"endpoints": []}
        case "F":
            return {"schema": "http", "endpoints": [f"{entry['ip']}:{entry['port']}" for entry in entries]}
        case "G":
            return [f"http://{entry['ip']}:{entry['port']}" for entry in entries]


def entry(instance: ModelInstance, weight: int | None) -> dict[str, object]:
    entry: dict[str, object] = {"schema": "http", "ip": instance.host, "port": instance.port}
    return entry if weight is None else entry | {"weight": weight}


def broken(fault: ControlFault, *, wrong_types: object, empty: object, status: int = 200) -> ServerReply | None:
    """What a broken control plane answers; None if it is not broken."""
    answers: dict[ControlFault, Callable[[], ServerReply]] = {
        ControlFault.ERROR_500: lambda: error(500, "ModelArts.0010", "Internal error"),
        ControlFault.NOT_FOUND: lambda: error(404, "APIG.0101", "The API does not exist"),
        ControlFault.EMPTY: lambda: json_reply(empty, status),
        ControlFault.HTML: lambda: ServerReply(
            status, (("content-type", "text/html"),), b"<html><body>Please log in</body></html>"
        ),
        ControlFault.HALF_JSON: lambda: ServerReply(
            status, (("content-type", "application/json"),), b'{"endpoints": [{"schema": "http", "ip": "127.0'
        ),
        ControlFault.WRONG_TYPES: lambda: json_reply(wrong_types, status),
        ControlFault.HANG: lambda: ServerReply(ending=Ending.HANG),
        ControlFault.RESET: lambda: ServerReply(ending=Ending.RESET),
    }
    make = answers.get(fault)
    return make() if make is not None else None


def error(status: int, code: str, message: str) -> ServerReply:
    body = {"error_code": code, "error_msg": message}
    if code.startswith("APIG"):
        body["request_id"] = secrets.token_hex(16)
    return json_reply(body, status)


def throttled(who: str, limit: int, window: float) -> ServerReply:
    time = "1 minute" if window == 60 else f"{window:g} second"
    reason = f"policy {who} over ratelimit,limit:{limit},time:{time}"
    return error(429, "APIG.0308", f"The throttling threshold has been reached: {reason}")


def date(unix_time: float) -> str:
    return datetime.fromtimestamp(unix_time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
