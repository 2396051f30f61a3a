"""Logins of one process: never two at a time with the same password, and none with one that was refused for good.

Some platforms lock an account after a few wrong passwords, and a process may have many services that log in with the
same one. Who waits for the same login as is under way gets its answer.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field

from ..clock import Clock
from ..errors import CredentialError
from ..interfaces.discovery import LocalQuery, NextPiece, Query
from ..message import Reply

__all__ = ["REFUSED_FOR", "LoginTurn", "Logins"]

REFUSED_FOR = 300.0
"""Seconds for which a refusal is true for all."""

Answer = Reply | BaseException


@dataclass(slots=True)
class _Login:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    done: int = 0
    last: tuple[Query, Answer] | None = None
    refused: tuple[float, str] | None = None


class Logins:
    """What is known of each login. Belongs to one event loop.

    Args:
        clock: Source of time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._logins: defaultdict[Hashable, _Login] = defaultdict(_Login)

    async def enter(self, query: Query) -> Answer | None:
        """Wait for the turn. What is to be taken for the answer, if nothing is to be sent; None: it is our turn."""
        login = self._logins[query.login]
        seen = login.done
        await login.lock.acquire()
        known: Answer | None = None
        if login.refused is not None and self._clock.monotonic() - login.refused[0] < REFUSED_FOR:
            known = CredentialError(login.refused[1], permanent=True)
        elif login.done > seen and login.last is not None and login.last[0] == query:
            known = login.last[1]
        if known is not None:
            login.lock.release()
        return known

    def leave(self, query: Query, answer: Answer | None, refusal: CredentialError | None) -> None:
        """The turn is over.

        Args:
            query: As entered with.
            answer: What came; None if it was given up.
            refusal: What the answer means, if that is a refusal for good.
        """
        login = self._logins[query.login]
        login.done += 1
        login.last = None if answer is None else (query, answer)
        login.refused = None if refusal is None else (self._clock.monotonic(), str(refusal))
        login.lock.release()


class LoginTurn:
    """The login of one conversation. Mutable state: the query that has the turn, and its answer.

    Args:
        logins: Of the process; None: nobody else logs in.
    """

    def __init__(self, logins: Logins | None) -> None:
        self._logins = logins
        self._query: Query | None = None
        self._answer: Answer | None = None

    async def enter(self, step: Query | LocalQuery | NextPiece) -> Answer | None:
        """Before something is asked: as `Logins.enter`; at once for what is no login."""
        if self._logins is None or not isinstance(step, Query) or step.login is None:
            return None
        known = await self._logins.enter(step)
        if known is None:
            self._query = step
        return known

    def answered(self, answer: Answer) -> None:
        """What came, before the conversation hears of it."""
        self._answer = answer

    def leave(self, refusal: CredentialError | None = None) -> None:
        """The conversation has said what the answer means. Harmless without a turn."""
        query, self._query = self._query, None
        if self._logins is not None and query is not None:
            self._logins.leave(query, self._answer, refusal)
