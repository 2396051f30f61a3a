"""Runs a scenario: a heap of events, a clock that jumps from one to the next.

Each call is handled as the client handles it: the pool's picker chooses, a lease is opened, the outcome is recorded and
the lease released. A failed call is not tried again elsewhere: what is measured is the choice. Calls and their work
depend on the seed alone, so that two balancers meet exactly the same load.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import count
from random import Random

from ..endpoint import Endpoint
from ..errors import Phase, TransportError
from ..interfaces.balancer import ANY, Balancer
from ..load_report import LoadReport
from ..message import Reply
from ..outcome import OK, Outcome, Verdict, back_off, retry_elsewhere
from ..pool.pool import Pool
from ..pool.statistics import Lease
from .faults import BlackHole
from .figures import ServerFigures, SimulationResult
from .scenario import Scenario
from .site import Job, Site

__all__ = ["simulate"]

_DONE = 0  # the server has finished a call
_FAILED = 1  # the server has refused or dropped a call
_GIVEN_UP = 2  # the client's time for a call is over
_LISTED = 3  # the list of endpoints changes

_ANSWER = Reply(200, content=b"{}")
_BUSY = Reply(503)
_ELSEWHERE = retry_elsewhere(may_have_run=True)


class _VirtualClock:
    """The time of the simulation."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def unix(self) -> float:
        return self.now


def simulate(scenario: Scenario, balancer: Balancer, *, seed: int = 1) -> SimulationResult:
    """Run the scenario with this balancer in every client.

    Args:
        scenario: What happens.
        balancer: The balancer under test.
        seed: Of all chance. The same seed gives the same calls to every balancer, and the same result each time.
    """
    return _Run(scenario, balancer, seed).run()


class _Run:
    """One run's state."""

    def __init__(self, scenario: Scenario, balancer: Balancer, seed: int) -> None:
        self.scenario = scenario
        self.balancer = balancer
        self.seed = seed
        self.clock = _VirtualClock()
        self.sites = {server.name: Site(server) for server in scenario.servers}
        self.events: list[tuple[float, int, int, Job | None]] = []
        self.number = count().__next__  # orders events of the same moment as they were made
        self.latencies = array("d")
        self.failed = 0
        self.nobody = 0
        self.open = 0
        self.reported = [-math.inf] * scenario.clients
        # Errors are made once: a simulation of failures need not pay for their tracebacks.
        self.broken = TransportError("the simulated server failed", phase=Phase.WAIT)
        self.timed_out = TransportError("the simulated server did not answer", phase=Phase.WAIT, timed_out=True)
        self.pools: Sequence[Pool[Site]] = [
            Pool(balancer, self._site, self.clock, Random(f"{seed} client {client}"))
            for client in range(scenario.clients)
        ]

    def _site(self, endpoint: Endpoint) -> Site:
        return self.sites[endpoint.id]

    def run(self) -> SimulationResult:
        moments = {moment for server in self.scenario.servers for moment in (server.joins_at, server.leaves_at)}
        for moment in sorted(moments - {0.0, math.inf}):
            self._at(moment, _LISTED, None)
        self._list()
        whose = Random(f"{self.seed} clients").random
        clients, pools = self.scenario.clients, self.pools
        first = int(len(self.scenario.arrivals) * self.scenario.warm_up)
        events, clock = self.events, self.clock
        came = 0
        for arrival, work in self.scenario.arrivals.stream(Random(f"{self.seed} arrivals")):
            while events and events[0][0] <= arrival:
                self._step()
            clock.now = arrival
            client = int(whose() * clients)
            if self.scenario.report_every:
                self._report(client, self.scenario.report_every)
            self._arrive(pools[client], work, is_counted=came >= first)
            came += 1
        backlog = self.open
        while events:
            self._step()
        return self._result(came - first, backlog)

    def _at(self, moment: float, what: int, job: Job | None) -> None:
        heappush(self.events, (moment, self.number(), what, job))

    def _list(self) -> None:
        """Tell every client the endpoints of this moment."""
        now = self.clock.now
        endpoints = [
            Endpoint("192.0.2.1", 80, weight=server.weight, id=server.name)
            for server in self.scenario.servers
            if server.joins_at <= now < server.leaves_at
        ]
        for pool in self.pools:
            pool.update(endpoints)
            pool.reap()

    def _report(self, client: int, every: float) -> None:
        """Tell the client how many calls each server has, if its last reports are old."""
        now = self.clock.now
        if now - self.reported[client] >= every:
            self.reported[client] = now
            for member in self.pools[client].members():
                running, waiting = member.lane.depth()
                named = {"num_requests_running": float(running), "num_requests_waiting": float(waiting)}
                member.load.take_report(LoadReport(named=named))

    def _arrive(self, pool: Pool[Site], work: float, *, is_counted: bool) -> None:
        member = pool.pick(ANY)
        if member is None:
            self.nobody += is_counted
            return
        now = self.clock.now
        site = member.lane
        site.picks += is_counted
        self.open += 1
        job = Job(site, member.load, Lease(member.load, now), now, work, is_counted=is_counted)
        deadline = now + self.scenario.timeout
        outage = site.outage(now) if site.is_faulty else None
        if isinstance(outage, BlackHole):
            self._at(deadline, _GIVEN_UP, job)
        elif outage is not None:
            self._at(min(now + outage.after, deadline), _FAILED, job)
        elif site.free:
            done = site.begin(job, now)
            self._at(done, _DONE, job)
            if done > deadline:
                self._at(deadline, _GIVEN_UP, job)
        else:
            site.queue.append(job)
            site.longest_queue = max(site.longest_queue, len(site.queue))
            if deadline < math.inf:
                self._at(deadline, _GIVEN_UP, job)

    def _step(self) -> None:
        now, _, what, job = heappop(self.events)
        self.clock.now = now
        if job is None:
            self._list()
        elif what == _DONE:
            site = job.site
            site.free += 1
            following = site.following()
            if following is not None:
                self._at(site.begin(following, now), _DONE, following)
            if not job.is_over:
                answer = _ANSWER if self.scenario.report_every != 0 else _reporting(site)
                self._end(job, Outcome(Phase.DONE, now - job.arrived, answer), OK)
                if job.is_counted:
                    self.latencies.append(now - job.arrived)
        elif what == _FAILED:
            self._fail(job, *self._failure(job, now))
        elif not job.is_over:
            self._fail(job, Outcome(Phase.WAIT, now - job.arrived, error=self.timed_out), _ELSEWHERE)

    def _failure(self, job: Job, now: float) -> tuple[Outcome, Verdict]:
        elapsed = now - job.arrived
        fault = job.site.outage(job.arrived)
        delay = None if fault is None or isinstance(fault, BlackHole) else fault.retry_after
        if delay is None:
            return Outcome(Phase.WAIT, elapsed, error=self.broken), _ELSEWHERE
        return Outcome(Phase.DONE, elapsed, _BUSY), back_off(delay, may_have_run=True)

    def _fail(self, job: Job, outcome: Outcome, verdict: Verdict) -> None:
        self.failed += job.is_counted
        job.site.failed += job.is_counted
        self._end(job, outcome, verdict)

    def _end(self, job: Job, outcome: Outcome, verdict: Verdict) -> None:
        job.is_over = True
        job.stats.record(outcome, verdict)
        job.lease.release()
        self.open -= 1

    def _result(self, calls: int, backlog: int) -> SimulationResult:
        picks = sum(site.picks for site in self.sites.values())
        return SimulationResult(
            balancer=self.balancer.kind,
            calls=calls,
            answered=len(self.latencies),
            failed=self.failed,
            nobody=self.nobody,
            latencies=array("d", sorted(self.latencies)),
            servers={
                name: ServerFigures(
                    picks=site.picks,
                    share=site.picks / picks if picks else 0.0,
                    failed=site.failed,
                    mean_wait=site.waited / site.begun if site.begun else math.nan,
                    longest_queue=site.longest_queue,
                    busy=site.busy_seconds / (self.clock.now * site.server.slots) if self.clock.now else 0.0,
                )
                for name, site in self.sites.items()
            },
            backlog=backlog,
            open_at_end=sum(member.load.open_calls for pool in self.pools for member in pool.members()),
        )


def _reporting(site: Site) -> Reply:
    """An answer that says how many calls its server has, as vLLM writes it."""
    running, waiting = site.depth()
    value = f"TEXT named_metrics.num_requests_running={running}, named_metrics.num_requests_waiting={waiting}"
    return Reply(200, (("endpoint-load-metrics", value),), b"{}")
