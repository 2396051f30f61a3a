"""What came of a simulation, as numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["ServerFigures", "SimulationResult"]


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """One server's part.

    Args:
        picks: Attempts that were given to it.
        share: The same as a share of all picks, from 0 to 1.
        fair_share: What its weight would have given it of the picks of the time in which it was listed, from 0 to 1.
        failed: How many of them failed.
        mean_wait: Seconds in its queue, on average over the calls that it began. NaN if there were none.
        longest_queue: Most calls that waited at the same time, over the whole run.
        busy: Share of its slots' time that it worked, over the whole run.
    """

    picks: int
    share: float
    fair_share: float
    failed: int
    mean_wait: float
    longest_queue: int
    busy: float


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """What came of one run. Calls of the warm-up are not counted.

    Args:
        balancer: Its kind.
        calls: Calls that came.
        answered: How many were answered in time.
        failed: How many failed or were given up.
        nobody: How many found no endpoint to ask.
        attempts: How many attempts the calls took together.
        latencies: Seconds from the arrival to the answer, of the answered calls; sorted.
        servers: By name, in the order of the scenario.
        backlog: Open calls at the moment the last call came. Much more than usual means that the load is too much for
            what the balancer makes of the fleet: with more calls, the latencies would be higher still.
        kept: Of the answered calls with a key that was seen before, the share that went where the key was answered
            last: how often a cache there would help. NaN without keys.
        open_at_end: Open calls by the statistics of all clients when everything was over: 0, or a lease was lost.
    """

    balancer: str
    calls: int
    answered: int
    failed: int
    nobody: int
    attempts: int
    latencies: Sequence[float] = field(repr=False)
    servers: Mapping[str, ServerFigures] = field(repr=False)
    backlog: int
    kept: float
    open_at_end: int

    @property
    def mean(self) -> float:
        """Mean latency in seconds; NaN if nothing was answered."""
        return math.fsum(self.latencies) / len(self.latencies) if self.latencies else math.nan

    def percentile(self, percent: float) -> float:
        """The latency in seconds that this many percent of the answered calls did not exceed; NaN without any."""
        if not 0 <= percent <= 100:
            raise ValueError(f"a percentile is from 0 to 100, not {percent!r}")
        if not self.latencies:
            return math.nan
        return self.latencies[max(0, math.ceil(len(self.latencies) * percent / 100) - 1)]

    @property
    def p50(self) -> float:
        """Median latency in seconds."""
        return self.percentile(50)

    @property
    def p99(self) -> float:
        """Latency in seconds that one call in a hundred exceeds."""
        return self.percentile(99)

    @property
    def shares(self) -> dict[str, float]:
        """Share of the picks by server name."""
        return {name: figures.share for name, figures in self.servers.items()}

    @property
    def worst_deviation(self) -> float:
        """How far the share of a server is off its fair share, at worst, as a part of the fair share; 0 if even."""
        return max(
            (
                abs(server.share - server.fair_share) / server.fair_share
                for server in self.servers.values()
                if server.fair_share
            ),
            default=0.0,
        )
