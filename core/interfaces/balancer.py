"""The Balancer contract: who gets the next attempt.

A balancer is configuration; it builds a picker from the members that may be picked. A picker never changes its
membership: when the list, a weight or an ejection changes, the pool builds a new one, away from the path of the calls,
and swaps one reference.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence, Sized
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from ..clock import SYSTEM_CLOCK, Clock
from ..endpoint import Endpoint
from ..load_report import LoadReport

__all__ = ["ANY", "Balancer", "BuildContext", "Latency", "Load", "Member", "Penalty", "PickInfo", "Picker", "Report"]


@dataclass(frozen=True, slots=True)
class Penalty:
    """Failed calls, counted as calls that are still open: else an endpoint that fails fast would look idle.

    Args:
        calls: How many, at the moment `at`.
        at: Monotonic clock, in seconds.
        span: Seconds from `at` in which they fade to nothing, evenly.
        settled_at: Monotonic clock: the span may be changed from this moment on, not before.
    """

    calls: float
    at: float
    span: float
    settled_at: float

    def left(self, now: float) -> float:
        """How many of the calls still count; exactly 0 once the span is over."""
        return max(0.0, self.calls * (1.0 - (now - self.at) / self.span))


@dataclass(frozen=True, slots=True)
class Latency:
    """How long an endpoint takes to answer, as a moving average.

    Args:
        seconds: The average at the moment `at`; above 0.
        at: Monotonic clock, in seconds, of the last answer.
        fade: Seconds without an answer after which the average counts for 1/e of itself.
    """

    seconds: float
    at: float
    fade: float

    def left(self, now: float) -> float:
        """The average, fading towards 0: who was slow long ago and is never asked would never be known to be well."""
        return self.seconds * math.exp((self.at - now) / self.fade)


@dataclass(frozen=True, slots=True)
class Report:
    """What an endpoint said last about its load, and what we knew at that moment.

    Args:
        load: What it said; it counts the calls of all clients.
        at: Monotonic clock, in seconds, of its arrival.
        open_calls: Open calls of this client there, at that moment.
    """

    load: LoadReport
    at: float
    open_calls: int


class Load(Protocol):
    """How an endpoint is doing, as this client sees it. Owned by the core; read by pickers."""

    @property
    def open_calls(self) -> int:
        """Attempts that were picked and are not finished, streams included."""
        ...

    @property
    def open(self) -> Sized:
        """The same attempts; its length is `open_calls`, at half the cost for a picker that looks at many members.

        Always the same object, so a picker may keep it.
        """
        ...

    @property
    def open_work(self) -> float:
        """Expected work of the same attempts together: the sum of their `PickInfo.size`. Costs more than `open_calls`,
        and the more of them there are."""
        ...

    def open_age(self, now: float) -> float:
        """For how many seconds they have been under way, on average, at this moment of the monotonic clock; 0 if there
        are none. Costs as much as `open_work`."""
        ...

    @property
    def penalty(self) -> Penalty | None:
        """What its last failures count for; None if there were none, which is the usual case."""
        ...

    @property
    def latency(self) -> Latency | None:
        """How long it takes; None before its first good answer, and if the balancer does not ask for it."""
        ...

    @property
    def report(self) -> Report | None:
        """What it said last about its load; None before its first report, and if the balancer does not ask for it."""
        ...


class Member(Protocol):
    """One endpoint that may be picked."""

    @property
    def endpoint(self) -> Endpoint:
        """The address and its identity."""
        ...

    @property
    def weight(self) -> float:
        """Its share: always above 0 and finite. Unknown weights are resolved, drained endpoints are left out."""
        ...

    @property
    def load(self) -> Load:
        """Its statistics; they survive every rebuild."""
        ...


@dataclass(frozen=True, slots=True)
class PickInfo:
    """What a pick may depend on.

    Args:
        excluded: Ids of endpoints that must not be picked: the call has tried them.
        key: Affinity key of the call, if it has one.
        size: Expected work of the call in the caller's unit (tokens, bytes); 1.0 if nothing is known.
    """

    excluded: Collection[str] = ()
    key: bytes | None = None
    size: float = 1.0


ANY = PickInfo()
"""The pick info of a first attempt without key: made once, since nearly every call uses it."""


class Picker(Protocol):
    """Chooses a member. Called by many threads at once; never blocks, never does I/O."""

    def pick(self, info: PickInfo) -> Member | None:
        """The member for the next attempt; None if every member is excluded or there is none."""
        ...


@dataclass(frozen=True, slots=True)
class BuildContext:
    """What a balancer gets to build a picker.

    Args:
        random: Source of chance; seeded in tests and simulations.
        clock: Source of time.
        previous: The picker that is to be replaced, of the same balancer; None for the first. Carry its phase over, so
            that frequent changes of membership do not favour the first members.
    """

    random: Random
    clock: Clock = SYSTEM_CLOCK
    previous: Picker | None = None


class Balancer(BaseModel, ABC):
    """A balancing policy and its settings. Its fields are its configuration; third parties subclass it."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kind: ClassVar[str]
    """The name in configuration files."""
    summary: ClassVar[str] = ""
    """One line for lists."""
    capabilities: ClassVar[frozenset[str]] = frozenset()
    """What it can do with one setting or another, as words: `weights` (shares of calls follow the weights), `affinity`
    (calls with the same key go to the same member), `load` (who has many open calls gets fewer), `latency` (who is slow
    gets fewer), `load-reports` (it goes by what servers say of their load). What is not named is not there."""

    def latency_memory(self) -> float | None:
        """Over how many average latencies the statistics forget one; None (default): they keep none at all."""
        return None

    def wants_reports(self) -> bool:
        """Whether calls are to ask endpoints for load reports, and the statistics to keep the last; False (default):
        nothing is asked, and no answer is looked into."""
        return False

    def refresh_interval(self) -> float | None:
        """After how many seconds the pool is to build a new picker though its members are the same, over and over: for
        pickers that stand on statistics. None (default): never."""
        return None

    @abstractmethod
    def build(self, members: Sequence[Member], context: BuildContext) -> Picker:
        """A picker over these members (possibly none).

        Runs away from the path of the calls; may take milliseconds. Must not keep `context.previous`, but may return it
        if there is nothing new.
        """
