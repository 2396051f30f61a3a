"""What a credential is to the discovery and to calls, and how something is asked with it.

An `Auth` says how a credential is obtained, as a part of a discovery conversation: a login, the metadata server, a
file. What it obtains is a `Grant`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Protocol

from ...core.interfaces import Query
from ...core.message import Reply
from .grants import Grant, KeyGrant, Obtaining, Steps
from .platform_clock import PlatformClock

__all__ = ["Auth", "ask"]


class Auth(Protocol):
    """How a credential is obtained and kept."""

    @property
    def label(self) -> str:
        """Who this is, for people. Not a secret."""
        ...

    @property
    def user(self) -> str:
        """Who is limited by the limits per user; known once a grant is in hand, at the latest. Not a secret."""
        ...

    @property
    def identity(self) -> Hashable:
        """Equal for equal credentials. Holds no secret in clear."""
        ...

    @property
    def credential(self) -> Hashable | None:
        """What the platform may refuse for good, equal for equal credentials; None if nothing can be. No secret."""
        ...

    @property
    def renews(self) -> bool:
        """Whether a refused grant can be replaced."""
        ...

    @property
    def advice(self) -> str:
        """What to do when the grant is refused and nothing better is known."""
        ...

    @property
    def grant(self) -> Grant | None:
        """What is in hand; None before the first one. Read by calls, from any thread."""
        ...

    def obtain(self, unix_time: float, *, renew: bool = False) -> Obtaining:
        """A grant that is good now. `renew`: the platform refused the one that was used last.

        Raises:
            CredentialError: There is none. Permanent if asking again would be pointless or harmful.
            DiscoveryError, TransportError: It cannot be had now.
        """
        ...

    def seconds_to_renewal(self, unix_time: float) -> float:
        """How long nothing has to be asked; infinity for never again."""
        ...

    @property
    def warning(self) -> str | None:
        """What people should know though all goes on; None: nothing. Stays the same for as long as it lasts."""
        ...

    def secrets(self) -> tuple[str, ...]:
        """What must not be shown if the platform repeats it."""
        ...


def ask(
    auth: Auth,
    question: Callable[[Grant], tuple[Query, str | None]],
    unix_time: float,
    *,
    clock: PlatformClock,
    renew: bool = False,
) -> Steps[Reply]:
    """Ask with a credential; again if its refusal can be cured: by the right date, or by a new grant, each once.

    Args:
        auth: With which credential.
        question: The query without the credential, and the project that it is about (None for IAM).
        unix_time: Our time.
        clock: Learns from the answers, and dates the signatures.
        renew: Whether the grant that was used last was refused.
    """
    grant = yield from auth.obtain(unix_time, renew=renew)
    reply = yield from _ask(grant, question, unix_time, clock)
    if isinstance(grant, KeyGrant) and grant.is_refused(reply) and clock.adopt():
        reply = yield from _ask(grant, question, unix_time, clock)
    if grant.is_refused(reply) and auth.renews and not renew:
        another = yield from auth.obtain(unix_time, renew=True)
        if another != grant:
            reply = yield from _ask(another, question, unix_time, clock)
    return reply


def _ask(
    grant: Grant, question: Callable[[Grant], tuple[Query, str | None]], unix_time: float, clock: PlatformClock
) -> Steps[Reply]:
    query, project_id = question(grant)
    added = grant.headers(query, project_id, clock.signing_time(unix_time))
    reply = yield replace(query, headers=(*query.headers, *added))
    clock.learn(reply.headers, unix_time)
    return reply
