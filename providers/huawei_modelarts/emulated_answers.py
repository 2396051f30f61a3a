"""What the emulated ModelArts answers: the endpoint list in every shape, the refusals, and broken answers. No I/O."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from ...core.emulation import Ending, ModelInstance, ServerReply, json_reply
from ...core.interfaces import ControlFault

__all__ = [
    "REFUSALS",
    "SERVICE_ID",
    "Refuser",
    "Shape",
    "broken",
    "date",
    "entry",
    "error",
    "refusal",
    "service_id",
    "shapes",
    "throttled",
]

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
    """One instance in the endpoint list; without a weight the field is missing."""
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
    """A refusal in the form of the API; the gateway (codes `APIG.*`) adds a request id."""
    body = {"error_code": code, "error_msg": message}
    if code.startswith("APIG"):
        body["request_id"] = secrets.token_hex(16)
    return json_reply(body, status)


REFUSALS: tuple[tuple[int, str, str], ...] = (
    (401, "ModelArts.0201", "The token is missing"),
    (401, "ModelArts.0202", "The token has expired"),
    (401, "ModelArts.0203", "The token cannot be parsed"),
    (401, "ModelArts.0204", "The token cannot be parsed"),
    (401, "ModelArts.4127", "The token is invalid"),
    (401, "ModelArts.4201", "The token is invalid"),
    (401, "ModelArts.6620", "The token is invalid"),
    (401, "APIG.0301", "Incorrect IAM authentication information: decrypt token fail"),
    (401, "APIG.0303", "Incorrect app authentication information"),
    (401, "APIG.0305", "Incorrect authentication information"),
    (401, "APIG.0307", "The token must be updated"),
    (401, "ModelArts.0207", "The token has no project"),
    (401, "ModelArts.0212", "The token has no project"),
    (400, "ModelArts.0204", "The project is missing"),
    (400, "ModelArts.0210", "The project is wrong"),
    (403, "ModelArts.0206", "The AK/SK is invalid"),
    (403, "ModelArts.0210", "The project id in the URL differs from that of the token"),
    (403, "ModelArts.0108", "No permission"),
    (403, "ModelArts.0112", "No permission in the workspace"),
    (403, "APIG.0302", "The user may not call this API"),
    (401, "ModelArts.4203", "No permission"),
    (404, "ModelArts.3502", "The service does not exist"),
    (404, "ModelArts.2786", "The project does not exist"),
    (404, "APIG.0101", "The API does not exist"),
    (403, "ModelArts.4116", "The account is in arrears"),
    (403, "ModelArts.4118", "The account is suspended"),
    (401, "ModelArts.6201", "The account is in arrears"),
    (401, "ModelArts.6203", "The account is suspended"),
    (429, "APIG.0308", "The throttling threshold has been reached: policy user over ratelimit,limit:20,time:1 minute"),
    (429, "ModelArts.2799", "Too many requests"),
    (429, "ModelArts.6101", "The system is busy"),
    (500, "ModelArts.0010", "Internal error"),
    (503, "APIG.0201", "The backend is unavailable"),
)
"""Status, code and a sentence of ours for each refusal of the endpoint list that Huawei's error pages name."""


def refusal(status: int, code: str) -> ServerReply:
    """One of the refusals; a code that is not among them gets a plain sentence."""
    text = next((text for known, name, text in REFUSALS if (known, name) == (status, code)), "Refused")
    return error(status, code, text)


class Refuser:
    """Answers in place of somebody, for so many times. Mutable state: with what, and how many times are left."""

    def __init__(self) -> None:
        self._answer: tuple[int, str] | None = None
        self._left: int | None = None

    def refuse(self, status: int, code: str, times: int | None) -> None:
        """From now on, `times` times. None: until `end`."""
        self._answer, self._left = (status, code), times

    def end(self) -> None:
        """Answer nothing any more."""
        self._answer = None

    def reply(self) -> ServerReply | None:
        """What to answer now; None: what is asked for."""
        if self._answer is None:
            return None
        reply = refusal(*self._answer)
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                self._answer = None
        return reply


def throttled(who: str, limit: int, window: float) -> ServerReply:
    """429 of the gateway: `who` made more than `limit` queries in `window` seconds."""
    time = "1 minute" if window == 60 else f"{window:g} second"
    reason = f"policy {who} over ratelimit,limit:{limit},time:{time}"
    return error(429, "APIG.0308", f"The throttling threshold has been reached: {reason}")


def date(unix_time: float) -> str:
    """A time as IAM writes it: UTC, with microseconds and a `Z`."""
    return datetime.fromtimestamp(unix_time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
