"""What a run is made of: everything follows from the seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from directlane import Balancer, CallSettings, EmptyAnswer
from directlane.balancers.consistent_hash import ConsistentHash
from directlane.balancers.least_loaded import LeastLoaded
from directlane.balancers.random import WeightedRandom
from directlane.balancers.sticky import Sticky
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.config.model import DiscoverySettings

__all__ = ["ATTEMPT_FAULTS", "FAULTS", "LIST_FAULTS", "Course", "Size"]

ATTEMPT_FAULTS = (
    "refused",  # nobody listens
    "no way",  # the connection is never opened
    "hangs",  # accepted, and never answered
    "reset before",  # broken before the request has run; the client cannot know
    "reset after",  # broken after it has run
    "slow",
    "500",
    "502",
    "503",
    "503 later",  # with Retry-After
    "429",
    "429 later",
    "401",  # the credential is old
    "bad event",  # a stream that begins with an error
    "broken stream",
    "unreadable",  # the provider's plug-in fails to classify the answer
)
"""What may happen to an attempt."""

LIST_FAULTS = (
    "old list",
    "empty list",
    "garbage",
    "refused list",
    "throttled",
    "silent plane",
    "lost answer",
    "strangers",  # addresses that nobody may be sent to
    "some strangers",
    "twice",  # entries are listed more than once
    "half a list",  # members flap
    "broken plug-in",
)
"""What may happen to a question."""

FAULTS = (
    *ATTEMPT_FAULTS,
    *LIST_FAULTS,
    "wall clock",  # jumps to and fro
    "late",  # timers, pauses and time limits ring late
    "cancel",  # the caller gives up, at any moment
    "give up",  # stamina is switched off
    "members",  # instances come, go, and change their weight
    "reused address",  # an id gets another address
    "reload",
)
"""All kinds of trouble. Those of a run can be switched off one by one."""


@dataclass(frozen=True)
class Size:
    """How much happens in a run. Default: little; many small runs find more than one long one.

    Args:
        calls: At most.
        seconds: In which they come.
    """

    calls: int = 40
    seconds: float = 30.0


@dataclass
class Course:
    """What the seed says about a run.

    Args:
        seed: Of all chance.
        size: How much happens.
        without: Faults that are switched off.
    """

    seed: int
    size: Size = Size()
    without: frozenset[str] = frozenset()
    faults: dict[str, float] = field(init=False)
    """The kinds of trouble that this run has, and how likely each is compared with the others."""

    def __post_init__(self) -> None:
        chance = Random(f"{self.seed} course")
        # Few kinds at a time: with all of them at once nothing ever goes well, and little is found.
        share = chance.choice((0.1, 0.25, 0.5))
        drawn = {fault: chance.uniform(0.1, 1.0) for fault in FAULTS if chance.random() < share}
        self.faults = {fault: rate for fault, rate in drawn.items() if fault not in self.without}
        self.trouble = chance.choice((0.05, 0.2, 0.5))
        """Part of the time for which an instance is in trouble."""
        self.tiers = chance.choice(((0,), (0,), (0, 0), (0, 1), (0, 0, 1), (0, 1, 2)))
        self.route_weights = [chance.choice((1, 1, 1, 3, 0)) for _ in self.tiers]
        if not any(self.route_weights):
            self.route_weights[0] = 1
        self.instances = [chance.choice((1, 2, 2, 3, 5, 8)) for _ in self.tiers]
        self.empty = chance.choice(list(EmptyAnswer))
        self.budget = chance.choice((None, None, 3))
        self.is_signed = chance.random() < 0.3
        self.balancer: Balancer = chance.choice(
            (WeightedRoundRobin, LeastLoaded, WeightedRandom, ConsistentHash, Sticky)
        )()
        self.discovery = DiscoverySettings(interval=chance.choice((1.0, 5.0)), timeout=chance.choice((0.5, 3.0)))
        self.streamed = chance.choice((0.0, 0.3))
        self.keyed = chance.choice((0.0, 0.5, 1.0))
        self.repeatable = chance.choice((0.0, 0.5, 1.0))
        self.once_only = chance.choice((0.0, 0.2))
        """Part of the calls whose body can be sent once only."""
        self.choosy = chance.choice((0.0, 0.0, 0.2))
        """Part of the calls whose caller excludes an endpoint."""
        self.timeouts = chance.choice(((30.0,), (0.2, 1.0), (0.05, 1.0, 5.0)))
        self.heals = chance.random() < 0.2
        """Whether everything is well at the end, and has to be found well."""
        slots = chance.choice(
            (None, None, {"per_endpoint": 1, "queue": 3}, {"per_endpoint": 2}, {"per_endpoint": 2, "adaptive": True})
        )
        self.calls = CallSettings.model_validate(
            {
                "attempts": chance.choice((1, 2, 3, 3, 6, 20)),
                "connect_timeout": chance.choice((0.2, 1.0)),
                "attempt_timeout": chance.choice((None, None, 0.5)),
                "first_event_timeout": chance.choice((None, 0.5)),
                "backoff": chance.choice((0.01, 0.05, 0.5)),
                "retry_after_max": chance.choice((0.5, 5.0)),
                "hedge": chance.choice((None, None, {"after": 0.02}, {"percentile": 80, "minimum_samples": 10})),
                "slots": slots,
                "slow_start": chance.choice((0.0, 3.0)),
                "deadline_header": chance.choice((None, "x-left")),
                "retry_budget": {
                    "share": chance.choice((0.0, 0.2, 1.0)),
                    "minimum": chance.choice((0, 3, 100)),
                    "per_second": chance.choice((0.0, 1.0)),
                    "window": chance.choice((1.0, 10.0)),
                },
                "ejection": {
                    "consecutive_failures": chance.choice((1, 2, 5)),
                    "base_time": chance.choice((0.3, 2.0)),
                    "max_time": 4.0,
                    "max_share": chance.choice((0.5, 0.5, 0.3, 1.0)),
                    "window": chance.choice((3.0, 30.0)),
                    "latency_factor": chance.choice((None, None, 3.0)),
                },
            }
        )

    def has(self, fault: str) -> bool:
        """Whether this run knows this kind of trouble."""
        return fault in self.faults
