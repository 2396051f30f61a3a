"""A simulated server at work: its queue, its slots, and what is wrong with it at a moment."""

from __future__ import annotations

from collections import deque

from ..interfaces.balancer import ANY, PickInfo
from ..pool.pool import Pool
from ..pool.statistics import EndpointStats, Lease
from .faults import BlackHole, FastFailure
from .scenario import Server

__all__ = ["Call", "Job", "Site"]


class Call:
    """One call of a client, with all of its attempts.

    Args:
        pool: The pool of its client.
        arrived: Second of its arrival.
        work: Seconds of work on a server of speed 1.
        attempts: How many it may make.
        is_counted: False for the calls of the warm-up.
        key: Its affinity key, if there are keys.
        size: What the client knows of its work.
    """

    __slots__ = ("arrived", "attempts", "info", "is_counted", "pool", "work")

    def __init__(
        self,
        pool: Pool[Site],
        arrived: float,
        work: float,
        attempts: int,
        *,
        is_counted: bool,
        key: bytes | None,
        size: float,
    ) -> None:
        self.pool: Pool[Site] = pool
        self.arrived: float = arrived
        self.work: float = work
        self.attempts: int = attempts
        self.is_counted: bool = is_counted
        self.info: PickInfo = ANY if key is None and size == 1.0 else PickInfo(key=key, size=size)

    def goes_elsewhere(self, tried: str) -> bool:
        """Count a failed attempt; whether another one may follow, which leaves out the endpoints that were tried."""
        self.attempts -= 1
        self.info = PickInfo((*self.info.excluded, tried), self.info.key, self.info.size)
        return self.attempts > 0


class Job:
    """One attempt of a call on its way. `is_over`: its client has an answer or has given up."""

    __slots__ = ("call", "is_over", "lease", "site", "started", "stats")

    def __init__(self, call: Call, site: Site, stats: EndpointStats, started: float) -> None:
        self.call: Call = call
        self.site: Site = site
        self.stats: EndpointStats = stats
        self.lease: Lease = Lease(stats, started, call.info.size)
        self.started: float = started
        self.is_over: bool = False


class Site:
    """A server's state. `run` moves it; nobody else does."""

    __slots__ = (
        "begun",
        "busy_seconds",
        "failed",
        "fair",
        "free",
        "is_faulty",
        "longest_queue",
        "picks",
        "queue",
        "server",
        "waited",
    )

    def __init__(self, server: Server) -> None:
        self.server: Server = server
        self.is_faulty: bool = bool(server.faults)
        self.queue: deque[Job] = deque()
        self.free: int = server.slots
        self.picks: int = 0
        self.fair: float = 0.0
        self.failed: int = 0
        self.begun: int = 0
        self.waited: float = 0.0
        self.busy_seconds: float = 0.0
        self.longest_queue: int = 0

    def outage(self, now: float) -> BlackHole | FastFailure | None:
        """Why it would not even queue a call now."""
        for fault in self.server.faults:
            if isinstance(fault, BlackHole | FastFailure) and fault.start <= now < fault.end:
                return fault
        return None

    def begin(self, job: Job, now: float) -> float:
        """Take a slot for the call; the second at which it will be done."""
        seconds = job.call.work / self._speed(now)
        self.free -= 1
        self.busy_seconds += seconds
        if job.call.is_counted:
            self.begun += 1
            self.waited += now - job.started
        return now + seconds

    def _speed(self, now: float) -> float:
        if self.is_faulty:
            for fault in self.server.faults:
                if not isinstance(fault, BlackHole | FastFailure) and fault.start <= now < fault.end:
                    return self.server.speed * fault.factor_at(now)
        return self.server.speed

    def depth(self) -> tuple[int, int]:
        """How many calls run here and how many wait."""
        return self.server.slots - self.free, sum(not job.is_over for job in self.queue)

    def following(self) -> Job | None:
        """The next call of the queue whose client still waits for it; out of the queue."""
        while self.queue:
            job = self.queue.popleft()
            if not job.is_over:
                return job
        return None
