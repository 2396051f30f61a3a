"""The emulated inference gateway, which hands calls on to instances. Runs in the server's thread."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

import httpx

from ...core.emulation import Fleet, ServerReply, ServerRequest
from .emulated_answers import error
from .emulated_iam import EmulatedIam

__all__ = ["EmulatedGateway"]

_PATH = re.compile(r"/v1/infers/(?P<service>[^/?]+)(?P<rest>[^?]*)")
_NOT_FORWARDED = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "x-auth-token", "authorization"}
    | {"x-sdk-date", "x-security-token", "x-project-id"}
)


class EmulatedGateway:
    """Checks the credential and calls the instances in turn.

    Args:
        iam: Knows who asks.
        fleets: The instances of each service.
    """

    def __init__(self, iam: EmulatedIam, fleets: Mapping[str, Fleet]) -> None:
        self._iam = iam
        self._fleets = fleets
        self._turns = itertools.count()

    async def answer(self, request: ServerRequest) -> ServerReply | None:
        """The answer to a call; None if it is something else."""
        found = _PATH.match(request.target)
        if found is None:
            return None
        if self._iam.user_of(request) is None:
            return self._iam.refusal(request, at_gateway=True)
        if found["service"] not in self._fleets:
            return error(500, "ModelArts.4503", "The service is not found")
        listed = self._fleets[found["service"]].listed
        if not listed:
            return error(400, "ModelArts.4203", "The requested service is unavailable")
        query = request.target.partition("?")[2]
        path = f"{found['rest'] or '/'}{'?' + query if query else ''}"
        return await _forward(request, f"{listed[next(self._turns) % len(listed)].url}{path}")


async def _forward(request: ServerRequest, url: str) -> ServerReply:
    headers = [(name, value) for name, value in request.headers if name not in _NOT_FORWARDED]
    try:
        async with httpx.AsyncClient(verify=False, trust_env=False, timeout=40) as http:  # noqa: S501 - loopback
            reply = await http.request(request.method, url, headers=headers, content=request.content)
    except httpx.TimeoutException:
        return error(504, "ModelArts.4503", "The inference service did not answer in time")
    except httpx.ConnectError:
        return error(500, "ModelArts.4302", "Connection refused by the service instance")
    except httpx.TransportError:
        return error(502, "APIG.0201", "The connection to the backend broke")
    kept = [(name, value) for name, value in reply.headers.multi_items() if name not in _NOT_FORWARDED]
    return ServerReply(reply.status_code, (*kept, ("server", "ModelArts")), reply.content)
