"""The Store contract: what processes that share a limit must know of each other.

A store holds four small things under plain names: leases, who is there, what was spent from rate budgets, and saved
lists, each with a version that is cheap to ask for. It knows nothing of discovery: names and data are the caller's, who
keeps secrets out of both (a question goes under the hash of its identity).

**Time is the store's.** No method takes a moment, only lengths of time in seconds, and answers speak of lengths too. So
a process whose clock is wrong by ten minutes does no harm. A store on one host uses the clock that all processes of the
host share; a store on the network uses the clock of its server.

Methods block, briefly, and may be called from any thread. They are never called on the path of a call.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from .discovery import RateBudget

__all__ = ["MAX_DATA", "MAX_NAME", "Lease", "Permit", "Saved", "Store", "StoreRefused", "StoreUnavailable"]

MAX_DATA = 16 * 1024 * 1024
"""More bytes than this are not saved under one name."""

MAX_NAME = 200
"""A name is 1 to so many characters."""


class StoreUnavailable(Exception):
    """The store does not answer now: its file is gone, the disk is full, its server is down. It may come back.

    Nobody is stopped by it: who shares goes on alone, carefully, and asks again later. The text says what happened.
    """


class StoreRefused(StoreUnavailable):
    """The store must not be used as it is, such as a file that belongs to another user. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to do something alone, for a while.

    Args:
        name: What is leased.
        holder: Who holds it.
        fence: Grows with each new lease of this name, so that a late word of an old holder is known as one. A renewed
            lease keeps its fence.
    """

    name: str
    holder: str
    fence: int


@dataclass(frozen=True, slots=True)
class Permit:
    """One query that was let go.

    Args:
        id: Tells it from all others.
        budgets: The names of the budgets that it spends from.
    """

    id: str
    budgets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Saved:
    """What was published last.

    Args:
        data: As it was published.
        version: Another one for each publication. Good for comparing with `==` only.
        age: Seconds since it was published.
    """

    data: bytes
    version: str
    age: float


class Store(ABC):
    """Shares leases, budgets and lists. Every method may raise `StoreUnavailable` and has then changed nothing or all.

    Wrong arguments raise `ValueError` in every store: names that are empty or too long, lengths of time that are not
    above 0, data that is too long.
    """

    kind: ClassVar[str]
    """The word before the colon in `store = "kind:place"`."""
    summary: ClassVar[str]
    """One line for lists."""
    capabilities: ClassVar[frozenset[str]] = frozenset()
    """What it can do, as words: `processes` (what one process of a host says, the others hear), `hosts` (those of other
    hosts, too), `lasting` (lists are still there after all processes have ended). What is not named is not there."""
    schemes: ClassVar[tuple[str, ...]] = ()
    """URL schemes that name this store too, such as `redis` and `rediss`. `open` gets such a URL whole."""

    @classmethod
    @abstractmethod
    def open(cls, place: str, environment: Mapping[str, str]) -> Self:
        """The store that the setting `store` names. Does no I/O.

        Args:
            place: What stands after the colon; may be empty. If the word before the colon is one of `schemes`, the
                whole text.
            environment: For defaults, such as the user's runtime directory; usually `os.environ`.

        Raises:
            ValueError: There can be no such place, or a library is missing. The text says what to write or to install.
        """

    @property
    @abstractmethod
    def identity(self) -> Hashable:
        """Equal for two stores that are the same place, however it was written. No secret is in it."""

    def __str__(self) -> str:
        """The place as people may see it: no secret is in it."""
        return f"{self.kind}:"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    @abstractmethod
    def lease(self, name: str, holder: str, ttl: float) -> Lease | float:
        """Take or renew a lease.

        Args:
            name: What to lease.
            holder: Who asks; unlike everybody else, and new after a restart.
            ttl: The lease ends so many seconds from now unless it is renewed.

        Returns:
            The lease; or, if another holds it, the seconds after which it ends unless it is renewed. A lease that has
            ended is a new one, with a new fence, also for who held it last.
        """

    @abstractmethod
    def release(self, lease: Lease) -> None:
        """Give a lease back before its end. Harmless for one that has ended."""

    @abstractmethod
    def attend(self, name: str, holder: str, ttl: float) -> int:
        """Say "I am here", and count who is: who must get by without the store needs to know among how many.

        Args:
            name: Where; each name has its own count.
            holder: Who says it.
            ttl: It is true for so many seconds.

        Returns:
            How many are there now, this one included.
        """

    @abstractmethod
    def take(self, budgets: Sequence[RateBudget], hold: float) -> Permit | float:
        """Let one query go, if every budget allows it: all of them are spent from, or none.

        A control plane counts a query when it arrives, which is somewhere between `take` and its answer. So it counts
        as spent *now* until `settle`, and from then on for the window of its budget. Who dies between the two is
        taken to have settled `hold` seconds after `take`.

        Args:
            budgets: Where to spend from.
            hold: The query has arrived or was given up after so many seconds, whatever happens to who sends it.

        Returns:
            A permit; or the seconds after which to ask again, above 0. They may be too few, never too many, unless
            somebody settles or cancels sooner than `hold` says.
        """

    @abstractmethod
    def settle(self, permit: Permit) -> None:
        """The query has its answer, or failed: from now on it grows old. Also right when it comes late."""

    @abstractmethod
    def cancel(self, permit: Permit) -> None:
        """The query was never sent: it does not count."""

    def spent(self, budget: RateBudget) -> int | None:
        """How many queries count in the window of a budget now, for people to see. Changes nothing.

        Those under way count too. A store that lost its memory says the whole limit for one window: nobody may ask.

        Returns:
            How many; may be more than the limit, where processes know it by different numbers. None, as here: this
            store does not say.
        """
        del budget
        return None

    @abstractmethod
    def publish(self, lease: Lease, data: bytes) -> bool:
        """Save data under the name of the lease, if nobody got a newer lease of it and it was not released.

        Returns:
            Whether it was saved. An old holder's word never stands over a newer one's.
        """

    @abstractmethod
    def read(self, name: str, *, unless: str = "") -> Saved | None:
        """What was published last under this name; None if nothing was.

        Args:
            name: Where to look.
            unless: A version that is known: None too if that is the last one. Costs little, however long the data.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections. Leases are not released. The next use opens again. May be repeated."""
