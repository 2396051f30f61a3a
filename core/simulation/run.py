"""Runs a scenario: what happens to calls, servers and clients, event by event.

Each attempt is handled as the client handles it: the pool's picker chooses, a lease is opened, the outcome is recorded
and the lease released. Calls, their work and their keys depend on the seed alone, so that two balancers meet exactly
the same load.
"""

from __future__ import annotations

import math
from array import array
from random import Random

from ..endpoint import Endpoint
from ..errors import Phase, TransportError
from ..interfaces.balancer import Balancer
from ..load_report import LoadReport
from ..message import Reply
from ..outcome import OK, Outcome, Verdict, back_off, retry_elsewhere
from ..pool.pool import Pool, resolved_weights
from .events import Events
from .faults import BlackHole, FastFailure
from .figures import ServerFigures, SimulationResult
from .scenario import Scenario
from .site import Call, Job, Site

__all__ = ["simulate"]

_ANSWER = Reply(200, content=b"{}")
_BUSY = Reply(503)
_ELSEWHERE = retry_elsewhere(may_have_run=True)


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
        self.events = Events()
        self.sites = {server.name: Site(server) for server in scenario.servers}
        self.endpoints: list[Endpoint] = []
        self.latencies = array("d")
        self.failed = 0
        self.nobody = 0
        self.open = 0
        self.picks_of_this_list = 0
        self.reported = [-math.inf] * scenario.clients
        self.last_seen: dict[bytes, Site] = {}
        self.seen_again = 0
        self.kept = 0
        # Errors are made once: a simulation of failures need not pay for their tracebacks.
        self.broken = TransportError("the simulated server failed", phase=Phase.WAIT)
        self.timed_out = TransportError("the simulated server did not answer", phase=Phase.WAIT, timed_out=True)
        self.pools = [self._new_pool(f"{seed} client {client}") for client in range(scenario.clients)]
        self.retired: list[Pool[Site]] = []

    def _new_pool(self, seed: str) -> Pool[Site]:
        scenario = self.scenario
        return Pool(
            self.balancer,
            self._site,
            self.events,
            Random(seed),
            ejection=scenario.ejection,
            slow_start=scenario.slow_start,
            timers=self.events,
        )

    def _site(self, endpoint: Endpoint) -> Site:
        return self.sites[endpoint.id]

    def run(self) -> SimulationResult:
        scenario, events, pools = self.scenario, self.events, self.pools
        moments = {moment for server in scenario.servers for moment in (server.joins_at, server.leaves_at)}
        for moment in sorted(moments - {0.0, math.inf}):
            events.at(moment, self._list)
        for number, deploy in enumerate(scenario.deploys):
            for client in range(scenario.clients):
                events.at(deploy.start + client * deploy.pause, self._replace, client, number)
        self._list()
        whose = Random(f"{self.seed} clients").random
        names = Random(f"{self.seed} keys")
        keys = scenario.keys
        first = int(len(scenario.arrivals) * scenario.warm_up)
        came = 0
        for arrival, work in scenario.arrivals.stream(Random(f"{self.seed} arrivals")):
            events.run_until(arrival)
            client = int(whose() * scenario.clients)
            if scenario.report_every:
                self._report(client, scenario.report_every)
            key = None if keys is None else keys.draw(names)
            size = work if scenario.tells_size else 1.0
            call = Call(pools[client], arrival, work, scenario.attempts, is_counted=came >= first, key=key, size=size)
            if not self._attempt(call):
                self.nobody += call.is_counted
            came += 1
        backlog = self.open
        events.run()
        return self._result(came - first, backlog)

    def _list(self) -> None:
        """Tell every client the endpoints of this moment."""
        self._share_out()
        now = self.events.now
        self.endpoints = [
            Endpoint("192.0.2.1", 80, weight=server.weight, id=server.name)
            for server in self.scenario.servers
            if server.joins_at <= now < server.leaves_at
        ]
        for pool in self.pools:
            pool.update(self.endpoints)
            pool.reap()

    def _share_out(self) -> None:
        """Share the attempts that this list has seen among its servers, as their weights would have it."""
        weights = resolved_weights([endpoint.weight for endpoint in self.endpoints])
        total = math.fsum(weights)
        for endpoint, weight in zip(self.endpoints, weights, strict=True):
            self.sites[endpoint.id].fair += self.picks_of_this_list * weight / total if total else 0.0
        self.picks_of_this_list = 0

    def _replace(self, client: int, deploy: int) -> None:
        """A new process takes the place of a client and knows nothing. The old one finishes what it has."""
        self.pools[client].close()
        self.retired.append(self.pools[client])
        pool = self.pools[client] = self._new_pool(f"{self.seed} client {client} deploy {deploy}")
        pool.update(self.endpoints)
        self.reported[client] = -math.inf

    def _report(self, client: int, every: float) -> None:
        """Tell the client how many calls each server has, if its last reports are old."""
        now = self.events.now
        if now - self.reported[client] >= every:
            self.reported[client] = now
            for member in self.pools[client].members():
                running, waiting = member.lane.depth()
                named = {"num_requests_running": float(running), "num_requests_waiting": float(waiting)}
                member.load.take_report(LoadReport(named=named))

    def _attempt(self, call: Call) -> bool:
        """Ask an endpoint; False if there is none to ask."""
        member = call.pool.pick(call.info)
        if member is None:
            return False
        events = self.events
        now = events.now
        site = member.lane
        site.picks += call.is_counted
        self.picks_of_this_list += call.is_counted
        self.open += 1
        job = Job(call, site, member.load, now)
        deadline = now + self.scenario.timeout
        outage = site.outage(now) if site.is_faulty else None
        if isinstance(outage, BlackHole):
            events.at(deadline, self._give_up, job)
        elif outage is not None:
            events.at(min(now + outage.after, deadline), self._refuse, job, outage)
        elif site.free:
            done = site.begin(job, now)
            events.at(done, self._done, job)
            if done > deadline:
                events.at(deadline, self._give_up, job)
        else:
            site.queue.append(job)
            site.longest_queue = max(site.longest_queue, len(site.queue))
            if deadline < math.inf:
                events.at(deadline, self._give_up, job)
        return True

    def _done(self, job: Job) -> None:
        """The server has finished a call."""
        now = self.events.now
        site = job.site
        site.free += 1
        following = site.following()
        if following is not None:
            self.events.at(site.begin(following, now), self._done, following)
        if job.is_over:
            return
        answer = _ANSWER if self.scenario.report_every != 0 else _reporting(site)
        self._end(job, Outcome(Phase.DONE, now - job.started, answer), OK)
        call = job.call
        if call.is_counted:
            self.latencies.append(now - call.arrived)
        key = call.info.key
        if key is not None:
            last = self.last_seen.get(key)
            if last is not None and call.is_counted:
                self.seen_again += 1
                self.kept += last is site
            self.last_seen[key] = site

    def _refuse(self, job: Job, fault: FastFailure) -> None:
        """The server has refused or dropped a call."""
        elapsed = self.events.now - job.started
        if fault.retry_after is None:
            self._fail(job, Outcome(Phase.WAIT, elapsed, error=self.broken), _ELSEWHERE)
        else:
            self._fail(job, Outcome(Phase.DONE, elapsed, _BUSY), back_off(fault.retry_after, may_have_run=True))

    def _give_up(self, job: Job) -> None:
        """The client's time for an attempt is over."""
        if not job.is_over:
            self._fail(job, Outcome(Phase.WAIT, self.events.now - job.started, error=self.timed_out), _ELSEWHERE)

    def _fail(self, job: Job, outcome: Outcome, verdict: Verdict) -> None:
        call = job.call
        job.site.failed += call.is_counted
        self._end(job, outcome, verdict)
        if not (call.goes_elsewhere(job.site.server.name) and self._attempt(call)):
            self.failed += call.is_counted

    def _end(self, job: Job, outcome: Outcome, verdict: Verdict) -> None:
        job.is_over = True
        job.stats.record(outcome, verdict)
        job.lease.release()
        self.open -= 1

    def _result(self, calls: int, backlog: int) -> SimulationResult:
        self._share_out()
        picks = sum(site.picks for site in self.sites.values())
        seconds = self.events.now
        return SimulationResult(
            balancer=self.balancer.kind,
            calls=calls,
            answered=len(self.latencies),
            failed=self.failed,
            nobody=self.nobody,
            attempts=picks,
            latencies=array("d", sorted(self.latencies)),
            servers={
                name: ServerFigures(
                    picks=site.picks,
                    share=site.picks / picks if picks else 0.0,
                    fair_share=site.fair / picks if picks else 0.0,
                    failed=site.failed,
                    mean_wait=site.waited / site.begun if site.begun else math.nan,
                    longest_queue=site.longest_queue,
                    busy=site.busy_seconds / (seconds * site.server.slots) if seconds else 0.0,
                )
                for name, site in self.sites.items()
            },
            backlog=backlog,
            kept=self.kept / self.seen_again if self.seen_again else math.nan,
            open_at_end=sum(
                member.load.open_calls for pool in (*self.pools, *self.retired) for member in pool.members()
            ),
        )


def _reporting(site: Site) -> Reply:
    """An answer that says how many calls its server has, as vLLM writes it."""
    running, waiting = site.depth()
    value = f"TEXT named_metrics.num_requests_running={running}, named_metrics.num_requests_waiting={waiting}"
    return Reply(200, (("endpoint-load-metrics", value),), b"{}")
