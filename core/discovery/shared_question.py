"""What one process knows of a question that many processes ask together, and what it has to do next.

One of them holds the lease of the question and asks: the leader. The others read what it publishes. Whoever sees that
the lease has ended takes it. Without the store each asks for itself.

Pure decisions: what the store said and the time go in. All moments are of this process's own clock; the store tells
lengths of time only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum, auto

from ..interfaces.store import Lease

__all__ = ["LEASE", "Chore", "Role", "SharedQuestion"]

LEASE = 4.0
"""Seconds for which a lease is taken. So long it takes at most until somebody else asks when a leader was killed."""

_RENEW = LEASE / 3
_LOOK = 0.5
"""Seconds between two looks at what was published: a reader's at the list, a leader's at the wishes."""

_COUNT = 2.0
_SLACK = 1.0
"""Seconds by which what the store says of an age may be off, since asking it takes time."""


class Role(Enum):
    """What a process is to a question."""

    READER = auto()
    """Another process asks, or soon will."""
    LEADER = auto()
    """This one asks, and tells all others."""
    ALONE = auto()
    """The store does not answer: this one asks for itself."""


class Chore(Enum):
    """What is to be done at the store."""

    LEASE = auto()
    """Take the lease, or renew it."""
    READ = auto()
    """Read what was published last."""
    LISTEN = auto()
    """Look for wishes of the readers."""
    COUNT = auto()
    """Say which rate limits this question spends from, and count who else does."""


@dataclass
class SharedQuestion:
    """Mutable state: all of it; changed by the methods, in one thread.

    Args:
        began_at: When this process began.
    """

    began_at: float
    role: Role = Role.READER
    lease: Lease | None = None
    """The right to ask and to publish, as we know it; only the store knows whether it holds."""
    has_read: bool = False
    """Whether the newest publication is known since the lease was taken."""
    known_at: float = -math.inf
    """When the newest answer that is believed was published, or was had."""
    own_at: float = -math.inf
    """When the newest answer was had that this process believed without publishing it."""
    asked_at: float = -math.inf
    """When the question was last asked, by whomever."""
    _due: dict[Chore, float] = field(default_factory=dict[Chore, float])

    def __post_init__(self) -> None:
        self._start_over(self.began_at)

    def next_chore(self, now: float) -> tuple[Chore, float]:
        """What is to be done next at the store, and in how many seconds."""
        wanted = (Chore.READ, Chore.LEASE) if not self._leads_and_knows else (Chore.LEASE, Chore.LISTEN, Chore.COUNT)
        chore = min(wanted, key=lambda one: self._due[one])
        return chore, max(0.0, self._due[chore] - now)

    def done(self, chore: Chore, now: float) -> None:
        """A chore was done (`Chore.LEASE` has a method of its own)."""
        if chore is Chore.READ:
            self.has_read = True
        self._due[chore] = now + (_COUNT if chore is Chore.COUNT else _LOOK)

    @property
    def _leads_and_knows(self) -> bool:
        return self.role is Role.LEADER and self.has_read

    @property
    def may_ask(self) -> bool:
        """Whether this process is the one to ask."""
        return self.role is Role.ALONE or self._leads_and_knows

    # --- what happens -------------------------------------------------------------------------------------------------

    def leased(self, got: Lease | float, now: float, *, late: float) -> bool:
        """The store has answered about the lease.

        Args:
            got: What it said.
            now: The time when it was asked.
            late: Seconds by which this process tries later than it might, so that not all try at once.

        Returns:
            Whether the role has changed.
        """
        before = self.lease
        if not isinstance(got, Lease):
            self._due[Chore.LEASE] = now + got + late
            self.lease, self.role = None, Role.READER
            return before is not None
        self._due[Chore.LEASE] = now + _RENEW
        self.lease, self.role = got, Role.LEADER
        if before is not None and before.fence == got.fence and before.holder == got.holder:
            return False
        # Somebody else may have asked in between.
        self.has_read = False
        self._due |= {Chore.READ: now, Chore.LISTEN: now, Chore.COUNT: now}
        return True

    def gives_up(self, now: float, back: float) -> None:
        """The lease is given back, for another process to try. This one tries again after `back` seconds."""
        self.lease, self.role = None, Role.READER
        self._due |= {Chore.LEASE: now + back, Chore.READ: now + _LOOK}

    def is_given_up(self, now: float, late: float) -> None:
        """Another process has given the lease back: no need to wait for its end.

        Args:
            now: The time.
            late: Seconds by which this process tries later than it might.
        """
        self._due[Chore.LEASE] = now + late

    def refused(self, now: float) -> None:
        """The store did not take what we published: somebody else has the lease now."""
        self.lease, self.role = None, Role.READER
        self._due[Chore.LEASE] = self._due[Chore.READ] = now

    def store_lost(self) -> None:
        """The store does not answer any more. A lease may be anybody's by the time it does."""
        self.lease, self.role, self.has_read = None, Role.ALONE, False

    def store_found(self, now: float) -> None:
        """The store answers again."""
        self.role = Role.READER
        self._start_over(now)

    def takes(self, age: float, took: float, now: float) -> bool:
        """Whether a publication is newer than what is believed. If so, it is known from now on.

        In its usual order the store never shows an older one. It may, when it lost its memory and found an old one, or
        when we asked for ourselves while it was gone.

        Args:
            age: Seconds since it was published.
            took: Seconds that its question had taken by then.
            now: The time before the store was asked.
        """
        published_at = now - age
        if published_at < self.known_at - _SLACK or published_at - took < self.own_at:
            return False
        self.known_at = max(self.known_at, published_at)
        self.asked_at = max(self.asked_at, published_at)
        return True

    def answered(self, began: float, sent: float, now: float, *, is_published: bool) -> bool:
        """This process has an answer of its own, and everybody knows it, or nobody else.

        Args:
            began: When its question began.
            sent: When its first query went out.
            now: When it was had.
            is_published: Whether it was published.

        Returns:
            Whether it is to be believed: not if something newer may have come meanwhile.
        """
        self.asked_at = max(self.asked_at, sent)
        if is_published:
            self.known_at = max(self.known_at, now)
            return True
        if began < self.known_at:
            return False
        self.known_at = self.own_at = now
        return True

    def _start_over(self, now: float) -> None:
        self._due = dict.fromkeys(Chore, now)
