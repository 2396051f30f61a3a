"""A pool in virtual time, whose endpoints do as they are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from random import Random

from clock_lab import VirtualClock

from directlane import OK, Endpoint, Outcome, Phase, PickInfo, Reply, TransportError
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.config.ejection import EjectionSettings
from directlane.core.interfaces.balancer import ANY, Balancer
from directlane.core.outcome import retry_elsewhere
from directlane.core.pool.pool import Pool, PoolMember
from directlane.core.pool.statistics import Lease
from directlane.core.timers import TimerQueue

__all__ = ["Member", "PoolLab", "endpoints_of"]

Member = PoolMember[str]


def endpoints_of(names: Iterable[str]) -> list[Endpoint]:
    """Endpoints with these ids; `name:3` has weight 3."""
    listed: list[Endpoint] = []
    for name in names:
        who, _, weight = name.partition(":")
        listed.append(Endpoint("10.0.0.1", 80, id=who, weight=int(weight) if weight else None))
    return listed


class PoolLab:
    """A pool, its clock and its timers. `dead` cannot be connected to, `ill` fail, all others answer."""

    def __init__(
        self,
        *names: str,
        balancer: Balancer | None = None,
        slow_start: float = 0.0,
        seed: int = 1,
        **ejection: object,
    ) -> None:
        self.clock = VirtualClock(0.0)
        self.timers = TimerQueue(self.clock)
        self.changes: list[tuple[int, int]] = []
        self.dead: set[str] = set()
        self.ill: set[str] = set()
        self.pool: Pool[str] = Pool(
            balancer if balancer is not None else WeightedRoundRobin(),
            lambda endpoint: endpoint.id,
            self.clock,
            Random(seed),
            name="r",
            ejection=EjectionSettings.model_validate(ejection),
            slow_start=slow_start,
            timers=self.timers,
            on_change=lambda: self.changes.append((self.pool.healthy, self.pool.size)),
        )
        if names:
            self.list(*names)

    def list(self, *names: str) -> None:
        """Another list."""
        self.pool.update(endpoints_of(names))
        self.pool.reap()

    def wait(self, seconds: float) -> None:
        """Let time pass; timers ring when they are due."""
        end = self.clock.now + seconds
        while self.timers.next_at <= end:
            self.clock.now = max(self.clock.now, self.timers.next_at)
            self.timers.run_due()
        self.clock.now = end

    def pick(self, info: PickInfo = ANY) -> Member:
        """A member; there must be one."""
        member = self.pool.pick(info)
        assert member is not None
        return member

    def end(self, member: Member, elapsed: float = 0.0) -> bool:
        """End a call to this member as its state would have it; whether it went well."""
        lease = Lease(member.load, self.clock.now - elapsed)
        who = member.endpoint.id
        phase = Phase.CONNECT if who in self.dead else Phase.WAIT if who in self.ill else None
        if phase is None:
            member.load.record(Outcome(Phase.DONE, elapsed, Reply(200)), OK)
        else:
            failed = Outcome(phase, elapsed, error=TransportError("broken", phase=phase))
            member.load.record(failed, retry_elsewhere(may_have_run=phase is Phase.WAIT))
        lease.release()
        return phase is None

    def call(self, info: PickInfo = ANY) -> str:
        """One attempt; who got it."""
        member = self.pick(info)
        self.end(member)
        return member.endpoint.id

    def calls(self, number: int) -> Counter[str]:
        """So many attempts; who got how many."""
        return Counter(self.call() for _ in range(number))

    def states(self) -> dict[str, str]:
        """How they stand."""
        return {member.endpoint.id: self.pool.standing(member).state for member in self.pool.members()}

    def reason(self, who: str) -> str | None:
        """Why one is out."""
        return next(self.pool.standing(member).reason for member in self.pool.members() if member.endpoint.id == who)
