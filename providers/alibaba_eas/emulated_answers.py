"""What the emulated discovery server answers while it is told to fail."""

from __future__ import annotations

import json

from ...core.emulation import Ending, ServerReply, json_reply
from ...core.interfaces import ControlFault

__all__ = ["USUAL_WEIGHT", "broken"]

USUAL_WEIGHT = 100
"""The weight of every instance in the vendor's public samples."""


def broken(fault: ControlFault) -> ServerReply | None:
    """How discovery answers while it is broken; None while it is not."""
    match fault:
        case ControlFault.NONE:
            return None
        case ControlFault.ERROR_500:
            return json_reply({"error": "internal error"}, 500)
        case ControlFault.NOT_FOUND:
            return json_reply({"error": "not found"}, 404)
        case ControlFault.EMPTY:
            return json_reply({"correlative": [], "endpoints": {"items": []}})
        case ControlFault.HTML:
            return ServerReply(200, (("content-type", "text/html"),), b"<html><body>Welcome</body></html>")
        case ControlFault.HALF_JSON:
            whole = json.dumps({"endpoints": {"items": [{"ip": "127.0.0.1", "port": 1, "weight": USUAL_WEIGHT}]}})
            return ServerReply(200, (("content-type", "application/json"),), whole[: len(whole) // 2].encode())
        case ControlFault.WRONG_TYPES:
            return json_reply({"correlative": 7, "endpoints": {"items": {"ip": ["127.0.0.1"], "port": "many"}}})
        case ControlFault.HANG:
            return ServerReply(ending=Ending.HANG)
        case ControlFault.RESET:
            return ServerReply(ending=Ending.RESET)
