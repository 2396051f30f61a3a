"""Several IAM users: the questions for the endpoint list go round, so that each user's limit carries its share.

One that is refused or throttled is left out and named; the others go on. A refused password is left out for good, all
else for a while. Only when nobody is left does the question fail; for good, if all are refused for good.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from ...core.errors import CredentialError, DiscoveryError, DiscoveryRefused, DiscoveryThrottled, headline
from .auth import Auth

__all__ = ["Rotation"]

_REST = 300.0
_THROTTLED_REST = 60.0
_TRIES = 3
"""Users that one question tries at most: a conversation must end."""


@dataclass(frozen=True, slots=True)
class _Out:
    reason: str
    until: float


class Rotation:
    """Whose turn it is. Mutable state: the turn, and who is left out, why and until when.

    One conversation at a time changes it (the core asks one question at a time).

    Args:
        users: One or more.
    """

    def __init__(self, users: Sequence[Auth]) -> None:
        self.users: tuple[Auth, ...] = tuple(users)
        self._turn = 0
        self._out: dict[int, _Out] = {}

    def __repr__(self) -> str:
        return f"<Rotation of {len(self.users)}, {len(self._out)} left out>"

    @property
    def identity(self) -> Hashable:
        """Equal for equal credentials in equal order. Holds no secret in clear."""
        return tuple(user.identity for user in self.users)

    @property
    def credential(self) -> Hashable | None:
        """What can be refused for good as a whole; None if some user cannot be."""
        each = tuple(user.credential for user in self.users)
        if None in each:
            return None
        return each[0] if len(each) == 1 else each

    def next_users(self, unix_time: float) -> tuple[Auth, ...]:
        """Who is tried for the next question, in this order; nobody if all are left out for good."""
        count = len(self.users)
        order = [(self._turn + step) % count for step in range(count)]
        ready = [number for number in order if number not in self._out or self._out[number].until <= unix_time]
        # If all are left out, the one that comes back first is asked: the platform knows best.
        waiting = sorted((self._out[number].until, number) for number in order if number in self._out)
        chosen = ready or [number for until, number in waiting[:1] if math.isfinite(until)]
        if chosen:
            self._turn = (chosen[0] + 1) % count
        return tuple(self.users[number] for number in chosen[:_TRIES])

    def took(self, user: Auth) -> None:
        """The platform took this user."""
        self._out.pop(self.users.index(user), None)

    def leave_out(self, user: Auth, error: DiscoveryError, unix_time: float) -> bool:
        """A question failed with this user. Whether another one may do better; only then is this one left out."""
        if len(self.users) == 1:
            return False
        if isinstance(error, DiscoveryThrottled):
            rest = error.retry_after if error.retry_after is not None else _THROTTLED_REST
        elif isinstance(error, CredentialError):
            rest = math.inf if error.permanent else _REST
        elif isinstance(error, DiscoveryRefused) and error.status == 403:
            rest = _REST
        else:
            return False
        self._out[self.users.index(user)] = _Out(headline(error), unix_time + rest)
        return True

    def warnings(self) -> tuple[str, ...]:
        """One for each user that is left out now, or in trouble."""
        renewing = tuple(user.warning for user in self.users)
        return (*self._left_out(), *(warning for warning in renewing if warning is not None))

    def _left_out(self) -> tuple[str, ...]:
        return tuple(
            f"{self.users[number].label} is left out: {out.reason}" for number, out in sorted(self._out.items())
        )

    def nobody_left(self) -> CredentialError:
        """What to raise if everybody is left out for good."""
        return CredentialError(
            f"every user in `credential` is refused: {'; '.join(self._left_out())}. "
            "Next: correct them in the configuration, and start again",
            permanent=True,
        )

    def is_refused_for_good(self) -> bool:
        """Whether nobody is left that may ever be taken again."""
        return len(self._out) == len(self.users) and all(math.isinf(out.until) for out in self._out.values())
