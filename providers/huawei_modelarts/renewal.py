"""When a credential is fetched anew: the one place that decides it, for tokens and for temporary keys.

- It is renewed `RENEW_BEFORE` its end, or at half of its life if that is shorter.
- While a renewal fails (IAM is slow, away or throttles), the old one is used to its end.
- A credential that was refused is fetched anew at once, and not used again by a question; but one that was fetched for
  this reason a moment ago is kept: if the platform refuses whatever comes, IAM is not asked without end.
- A refusal for good is remembered and never asked for again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ...core.errors import CredentialError, DiscoveryError, DiscoveryThrottled, TransportError, headline
from ...core.message import Reply
from .grants import Grant, Obtaining, Steps

__all__ = ["RENEW_AGAIN_AFTER", "RENEW_BEFORE", "Fetched", "Renewal", "life_of"]

RENEW_BEFORE = 2400.0
"""Seconds before its end at which a credential is renewed. Huawei's own package renews temporary keys when less than 40
minutes remain; we do the same for tokens."""

RENEW_AGAIN_AFTER = 60.0
"""Seconds for which a credential is kept that took the place of a refused one, though it is refused as well."""

_AFTER_FAILED_RENEWAL = 30.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A credential that was just fetched.

    Args:
        grant: The credential.
        life: Seconds that it lives; infinity if nothing says that it ends.
        is_local: Whether it was read on this machine, which costs nothing.
    """

    grant: Grant
    life: float = math.inf
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class _Held:
    grant: Grant
    renew_at: float
    ends_at: float
    kept_until: float = -math.inf
    """Until then it is not replaced, though it is refused: it has just taken the place of a refused one."""


class Renewal:
    """Keeps a credential fresh. Mutable state: the credential in hand, why it cannot be renewed now, and why it was
    refused for good.

    One conversation at a time changes it (the core asks one question at a time); any number of threads read it.

    Args:
        fetch: Fetches one; gets the time (seconds since 1970).
    """

    def __init__(self, fetch: Callable[[float], Steps[Fetched]]) -> None:
        self._fetch = fetch
        self._held: _Held | None = None
        self._trouble: str | None = None
        self._refusal: str | None = None

    def __repr__(self) -> str:
        return f"<Renewal, renews at {self._held.renew_at:.0f}>" if self._held is not None else "<Renewal, none yet>"

    @property
    def grant(self) -> Grant | None:
        """The credential in hand; None before the first one."""
        return self._held.grant if self._held is not None else None

    @property
    def trouble(self) -> str | None:
        """Why it cannot be renewed while the old one is in use: the first reason. None: it can, or was not due."""
        return self._trouble

    def seconds_to_renewal(self, unix_time: float) -> float:
        """How long the credential needs no renewal."""
        return max(0.0, self._held.renew_at - unix_time) if self._held is not None else 0.0

    def obtain(self, unix_time: float, *, renew: bool = False) -> Obtaining:
        """The credential; fetched if there is none, if it ends soon, or if `renew` says that it was refused.

        Raises:
            CredentialError: It is refused. One that is refused for good is not asked for again.
            DiscoveryError, TransportError: It cannot be had now.
        """
        if self._refusal is not None:
            raise CredentialError(self._refusal, permanent=True)
        held = self._held
        if held is not None and renew and not self._is_kept(held, unix_time):
            held = self._held = replace(held, renew_at=-math.inf, ends_at=-math.inf)
        if held is None or unix_time >= held.renew_at:
            held = self._held = yield from self._renewed(held, unix_time)
        return held.grant

    def _is_kept(self, held: _Held, unix_time: float) -> bool:
        # Also if the clock of this machine was set back since.
        return held.kept_until - RENEW_AGAIN_AFTER <= unix_time < held.kept_until

    def _renewed(self, held: _Held | None, unix_time: float) -> Steps[_Held]:
        try:
            fetched = yield from self._fetch(unix_time)
        except (DiscoveryError, TransportError) as error:
            if isinstance(error, CredentialError) and error.permanent:
                self._refusal = str(error)
                raise
            if held is None or unix_time >= held.ends_at:
                raise
            self._trouble = self._trouble or headline(error)
            told = error.retry_after if isinstance(error, DiscoveryThrottled) else None
            again = unix_time + max(_AFTER_FAILED_RENEWAL, told or 0.0)
            return replace(held, renew_at=min(again, held.ends_at))
        self._trouble = None
        life = fetched.life
        was_refused = held is not None and held.ends_at == -math.inf
        return _Held(
            fetched.grant,
            renew_at=unix_time + max(life - RENEW_BEFORE, life / 2),
            ends_at=unix_time + life,
            kept_until=unix_time + RENEW_AGAIN_AFTER if was_refused and not fetched.is_local else -math.inf,
        )


def life_of(reply: Reply, expires_at: object, issued_at: object, unix_time: float, *, usual: float) -> float:
    """Seconds that a new credential lives, as an answer says.

    The shortest of "until its end by our clock", "from issue to end" and "from the answer's `Date` to its end", so that
    a clock that is wrong by some hours makes us renew too early, never too late.

    Args:
        reply: The answer.
        expires_at: The end, as the answer writes it.
        issued_at: The beginning, if the answer has it.
        unix_time: Our time.
        usual: What to take if the answer says nothing that can be used.
    """
    ends = _unix(expires_at)
    if ends is None:
        return usual
    beginnings = (unix_time, _unix(issued_at), _date(reply))
    spans = [ends - beginning for beginning in beginnings if beginning is not None]
    return min((span for span in spans if span > 0), default=usual)


def _unix(text: object) -> float | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _date(reply: Reply) -> float | None:
    try:
        return parsedate_to_datetime(reply.header("Date") or "").timestamp()
    except (ValueError, OverflowError):
        return None
