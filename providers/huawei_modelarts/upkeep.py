"""What calls through the gateway need: a token or a key that is fetched and renewed, in each process for itself."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

from ...core.endpoint import Snapshot
from ...core.interfaces import Conversation, PollContext
from .auth import Auth
from .platform_clock import PlatformClock

__all__ = ["GatewayUpkeep"]

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
        return Snapshot(ask_again_in=rest if math.isinf(rest) else min(rest, _LOOK_AGAIN))
