"""A simulated server at work: its queue, its slots, and what is wrong with it at a moment."""

from __future__ import annotations

from collections import deque

from ..pool.statistics import EndpointStats, Lease
from .faults import BlackHole, FastFailure, Slow
from .scenario import Server

__all__ = ["Job", "Site"]


class Job:
    """One call on its way. `is_over`: its client has an answer or has given up."""

    __slots__ = ("arrived", "is_counted", "is_over", "lease", "site", "stats", "work")

    def __init__(
        self, site: Site, stats: EndpointStats, lease: Lease, arrived: float, work: float, *, is_counted: bool
    ) -> None:
        self.site = site
        self.stats = stats
        self.lease = lease
        self.arrived = arrived
        self.work = work
        self.is_counted = is_counted
        self.is_over = False


class Site:
    """A server's state. `run` moves it; nobody else does."""

    __slots__ = (
        "begun",
        "busy_seconds",
        "failed",
        "free",
        "is_faulty",
        "longest_queue",
        "picks",
        "queue",
        "server",
        "waited",
    )

    def __init__(self, server: Server) -> None:
        self.server = server
        self.is_faulty = bool(server.faults)
        self.queue: deque[Job] = deque()
        self.free = server.slots
        self.picks = 0
        self.failed = 0
        self.begun = 0
        self.waited = 0.0
        self.busy_seconds = 0.0
        self.longest_queue = 0

    def outage(self, now: float) -> BlackHole | FastFailure | None:
        """Why it would not even queue a call now."""
        for fault in self.server.faults:
            if not isinstance(fault, Slow) and fault.start <= now < fault.end:
                return fault
        return None

    def begin(self, job: Job, now: float) -> float:
        """Take a slot for the call; the second at which it will be done."""
        speed = self.server.speed
        if self.is_faulty:
            for fault in self.server.faults:
                if isinstance(fault, Slow) and fault.start <= now < fault.end:
                    speed *= fault.factor
                    break
        seconds = job.work / speed
        self.free -= 1
        self.busy_seconds += seconds
        if job.is_counted:
            self.begun += 1
            self.waited += now - job.arrived
        return now + seconds

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
