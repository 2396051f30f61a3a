"""Calls through the gateway: what they carry, and how that is kept fresh, in each process for itself."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

from ...core.endpoint import Snapshot
from ...core.interfaces import Conversation, PollContext, Query, Wire
from ...core.message import Headers, Request, header
from .auth import Auth
from .given import TokenAuth
from .grants import KeyGrant
from .platform_clock import PlatformClock

__all__ = ["GatewayUpkeep", "gateway_wire"]


_LOOK_AGAIN = 300.0
"""The credential is looked at this often (seconds): it costs no request, and no jitter can carry us past its end."""


@dataclass(frozen=True, slots=True)
class GatewayUpkeep:
    """Keeps the credential of the calls fresh.

    Args:
        auth: Which credential. The wire reads from this very object.
        clock: Dates the signatures.
    """

    auth: Auth
    clock: PlatformClock

    @property
    def credential(self) -> Hashable | None:
        """Equal for equal credentials that the platform may refuse for good; None if there is none such."""
        return self.auth.credential

    @property
    def identity(self) -> Hashable:
        return ("huawei_modelarts credential", self.auth)

    def poll(self, context: PollContext) -> Conversation:
        """A login or the like, if one is due; otherwise no question at all."""
        now = context.unix_time
        yield from self.auth.obtain(now, renew=context.reauthenticate)
        if context.reauthenticate:
            # A call was refused. If it was signed by a wrong clock, what was just asked tells the right time.
            self.clock.adopt()
        rest = self.auth.seconds_to_renewal(now)
        warning = self.auth.warning
        return Snapshot(
            ask_again_in=rest if math.isinf(rest) else min(rest, _LOOK_AGAIN),
            warnings=() if warning is None else (warning,),
        )


def gateway_wire(
    auth: Auth, clock: PlatformClock, origin: str, prefix: str, headers: Headers, project_id: str | None
) -> Wire:
    """What calls to the gateway look like.

    Args:
        auth: With which credential.
        clock: Dates the signatures.
        origin: Scheme, host and port of the gateway.
        prefix: Goes in front of the path of every call.
        headers: The user's own.
        project_id: As configured.
    """
    if isinstance(auth, TokenAuth):
        return Wire(prefix, (*headers, ("X-Auth-Token", auth.token.reveal())))

    def sign(request: Request, unix_time: float) -> Headers:
        grant = auth.grant
        if grant is None:
            # The call goes out bare: the refusal it gets makes the core ask for a credential.
            return ()
        content = request.content
        if isinstance(grant, KeyGrant) and not isinstance(content, bytes):
            raise ValueError("a streamed body cannot be signed: pass bytes, or use the credential type 'password'")
        # Only what no HTTP library changes on its way is signed.
        content_type = header(request.headers, "Content-Type")
        kept = (("Content-Type", content_type),) if content_type is not None else ()
        body = content if isinstance(content, bytes) else b""
        query = Query(origin + request.target, request.method, kept, body)
        return grant.headers(query, project_id or grant.project_id, clock.signing_time(unix_time))

    return Wire(prefix, headers, sign)
