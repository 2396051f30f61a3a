"""A service without sockets, threads or real time: endpoints from a list, a clock that is set, a scripted network."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar

from clock_lab import VirtualClock

from directlane import (
    AddressSource,
    Balancer,
    CallSettings,
    Conversation,
    Discovery,
    EmptyAnswer,
    Endpoint,
    Outcome,
    Phase,
    PickInfo,
    PollContext,
    Provider,
    ProviderFacts,
    Reply,
    Request,
    RoutePlan,
    ServicePlan,
    Snapshot,
    TransportError,
    Verdict,
    Wire,
    http_verdict,
)
from directlane.core.discovery.hub import DiscoveryHub
from directlane.core.dispatch.call import Attempt, Call, Queue, Reauthenticate, Wait
from directlane.core.dispatch.dispatch import Dispatcher
from directlane.core.dispatch.route import Route
from directlane.core.dispatch.routing import Routing
from directlane.core.interfaces.balancer import BuildContext, Member, Picker
from directlane.core.timers import TimerQueue
from directlane.core.transports.memory_transport import MemoryTransport

__all__ = ["Answered", "InTurn", "Lab", "ListProvider", "answered", "failed"]


@dataclass(frozen=True)
class _ListDiscovery:
    endpoints: tuple[Endpoint, ...]
    addresses: AddressSource = AddressSource.CONFIGURED
    empty_answer: EmptyAnswer = EmptyAnswer.BELIEVE

    @property
    def identity(self) -> Hashable:
        return self.endpoints

    def poll(self, context: PollContext) -> Conversation:
        return Snapshot(self.endpoints, ask_again_in=math.inf)
        yield  # makes it a generator


class ListProvider(Provider):
    """A provider whose endpoints are given."""

    kind: ClassVar[str] = "list"
    facts: ClassVar[ProviderFacts] = ProviderFacts("List", "for tests")

    endpoints: tuple[Endpoint, ...] = ()
    wires: Wire = Wire()
    judge: Callable[[Outcome], Verdict] = http_verdict

    def discovery(self) -> Discovery:
        return _ListDiscovery(self.endpoints)

    def wire(self, endpoint: Endpoint) -> Wire:
        return self.wires

    def classify(self, outcome: Outcome) -> Verdict:
        return self.judge(outcome)


class InTurn(Balancer):
    """Picks the first member that is not excluded: tests know who comes next."""

    kind: ClassVar[str] = "in_turn"

    def build(self, members: Sequence[Member], context: BuildContext) -> Picker:
        return _First(list(members))


class _First:
    def __init__(self, members: list[Member]) -> None:
        self._members = members

    def pick(self, info: PickInfo) -> Member | None:
        return next((member for member in self._members if member.endpoint.id not in info.excluded), None)


@dataclass(frozen=True)
class Answered:
    """What the network does with one attempt, and how long it takes."""

    outcome: Outcome
    seconds: float = 0.0


def answered(status: int = 200, content: bytes = b"", seconds: float = 0.01, **headers: str) -> Answered:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Answered(Outcome(Phase.DONE, seconds, reply=Reply(status, pairs, content)), seconds)


def failed(phase: Phase, seconds: float = 0.01, *, timed_out: bool = False) -> Answered:
    error = TransportError(f"broken in {phase.value}", phase=phase, timed_out=timed_out)
    return Answered(Outcome(phase, seconds, error=error), seconds)


@dataclass
class Lab:
    """One service, driven by hand."""

    routes: list[RoutePlan]
    settings: CallSettings = field(default_factory=CallSettings)
    balancer: Balancer = field(default_factory=InTurn)
    seed: int = 1
    clock: VirtualClock = field(default_factory=VirtualClock)
    waits: list[float] = field(default_factory=list[float])
    asked: list[str] = field(default_factory=list[str])
    requests: list[Request] = field(default_factory=list[Request])
    reauthentications: int = 0

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.timers = TimerQueue(self.clock)
        self.hub = DiscoveryHub(self.clock, self.random, timers=self.timers)
        plan = ServicePlan("svc", tuple(self.routes), self.balancer, MemoryTransport(servers={}), calls=self.settings)
        self.live = [Route(route, plan, self.hub, self.clock, self.random) for route in self.routes]
        self.routing = Routing(self.live, self.random)
        self.dispatcher = Dispatcher("svc", self.routing, self.settings, self.clock, self.random)

    @classmethod
    def of(cls, *hosts: str, judge: Callable[[Outcome], Verdict] = http_verdict, **settings: object) -> Lab:
        """A service with one route to these hosts."""
        endpoints = tuple(Endpoint(host, 80, id=host) for host in hosts)
        provider = ListProvider(endpoints=endpoints, judge=judge)
        return cls([RoutePlan("only", provider)], CallSettings.model_validate(settings))

    def call(self, *, may_repeat: bool = True, is_streamed: bool = False, timeout: float = 30.0) -> Call:
        now = self.clock.monotonic()
        request = Request("POST", "/x", (), b"body")
        return Call(request, now, now + timeout, may_repeat, is_streamed=is_streamed)

    def run(self, call: Call, network: Callable[[Attempt], Answered]) -> Reply:
        """Drive one call to its end in virtual time."""
        flow = self.dispatcher.dispatch(call)
        effect = next(flow)
        while True:
            outcome: Outcome | None = None
            if isinstance(effect, Attempt):
                call.attempt = effect
                self.asked.append(effect.member.endpoint.id)
                self.requests.append(effect.request)
                result = network(effect)
                self.clock.now += result.seconds
                outcome = result.outcome
            elif isinstance(effect, Wait):
                self.waits.append(effect.seconds)
                self.clock.now += effect.seconds
            elif isinstance(effect, Queue):
                if effect.ticket.wake_by(lambda: None):  # one call at a time: nobody else gives a slot back
                    self.clock.now += effect.timeout
            else:
                assert isinstance(effect, Reauthenticate)
                self.reauthentications += 1
            try:
                effect = flow.send(outcome)
            except StopIteration as end:
                reply: Reply = end.value
                return reply

    def open_calls(self) -> int:
        """Attempts that are under way, over all endpoints."""
        return sum(member.load.open_calls for route in self.live for member in route.pool.members())
