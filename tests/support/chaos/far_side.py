"""The far side: instances that fail in every way, and a control plane that lies. It knows the truth."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from random import Random
from typing import ClassVar

from directlane import (
    AddressSource,
    Conversation,
    Discovery,
    DiscoveryRefused,
    DiscoveryThrottled,
    DiscoveryUnreadable,
    EmptyAnswer,
    Endpoint,
    Outcome,
    Phase,
    PollContext,
    Provider,
    ProviderFacts,
    Reply,
    Snapshot,
    TransportError,
    Verdict,
    Wire,
    http_verdict,
)
from directlane.core.dispatch.call import Attempt, Call
from directlane.core.interfaces.discovery import LocalQuery, Query, RateBudget
from directlane.core.message import Headers, Request
from directlane.core.outcome import REAUTHENTICATE
from directlane.core.retry_after import retry_after
from directlane.core.simulation.engine import Answer, Told
from directlane.core.simulation.events import Events

from .settings import ATTEMPT_FAULTS, LIST_FAULTS, Course

__all__ = ["ChaosProvider", "FarSide", "Instance", "List", "Told"]

LIMIT_WINDOW = 5.0


@dataclass(frozen=True)
class _Ask:
    url: str
    empty_answer: EmptyAnswer
    limit: int | None
    addresses: AddressSource = AddressSource.LEARNED

    @property
    def identity(self) -> Hashable:
        return self.url

    def poll(self, context: PollContext) -> Conversation:
        budgets = () if self.limit is None else (RateBudget("plane", self.limit, LIMIT_WINDOW),)
        reply = yield Query(self.url, headers=(("x-at", f"{context.unix_time:.0f}"),), budgets=budgets)
        if reply.status == 429:
            raise DiscoveryThrottled("asked too often", retry_after=retry_after(reply.headers))
        if reply.status != 200:
            raise DiscoveryRefused(f"status {reply.status}", status=reply.status)
        if reply.content == b"crash":
            raise ZeroDivisionError("a mistake of the plug-in")
        try:
            told = reply.json()
            entries = tuple(Endpoint(host, 80, id=who, weight=weight) for who, host, weight in told["list"])
        except (ValueError, TypeError, KeyError) as error:
            raise DiscoveryUnreadable("not the answer that we know") from error
        return Snapshot(entries, version=str(told["number"]))


def _sign(request: Request, unix_time: float) -> Headers:
    return (("x-signature", f"{request.method} {unix_time:.0f}"),)


class ChaosProvider(Provider):
    """A provider whose control plane is the far side."""

    kind: ClassVar[str] = "chaos"
    facts: ClassVar[ProviderFacts] = ProviderFacts("Chaos", "for tests")

    url: str
    empty: EmptyAnswer
    limit: int | None = None
    is_signed: bool = False

    def discovery(self) -> Discovery:
        return _Ask(self.url, self.empty, self.limit)

    def wire(self, endpoint: Endpoint) -> Wire:
        return Wire(f"/{endpoint.id}", (("authorization", "token"),), _sign if self.is_signed else None)

    def classify(self, outcome: Outcome) -> Verdict:
        if outcome.status == 401:
            return REAUTHENTICATE
        if outcome.status == 418:
            raise ZeroDivisionError("a mistake of the plug-in")
        return http_verdict(outcome)


@dataclass(slots=True)
class Instance:
    """One instance as it is."""

    id: str
    host: str
    weight: int | None
    fault: str | None = None
    faulty_until: float = 0.0


@dataclass(frozen=True, slots=True)
class List:
    """What one answer says, as a client must understand it: ids with host and weight. None: it must not be believed."""

    number: int
    told_at: float
    arrives_at: float
    entries: frozenset[tuple[str, str, int | None]] | None
    keeps: bool = False
    """It is a good answer that changes nothing: nobody is ready."""


@dataclass
class _Plane:
    """The control plane of one route."""

    instances: list[Instance]
    history: list[list[Instance]] = field(default_factory=list[list[Instance]])
    lists: list[List] = field(default_factory=list[List])
    busy_until: float = 0.0


class FarSide:
    """Instances and control planes: a network and a control plane for the simulation.

    Args:
        course: What happens.
        events: When it is.
        tell: Takes a line of the story.
        blame: Called when the client does what it must not.
    """

    def __init__(
        self, course: Course, events: Events, tell: Callable[..., None], blame: Callable[[str, str], None]
    ) -> None:
        self.course = course
        self.events = events
        self.tell = tell
        self.blame = blame
        self.chance = Random(f"{course.seed} far side")
        self.counts: Counter[str] = Counter()
        self.is_healed = False
        self.on_answer: Callable[[Attempt, Answer], None] = lambda attempt, answer: None
        """Told what will come of each attempt."""
        self.planes: dict[str, _Plane] = {}
        self.arrivals: list[float] = []
        self._number = 0
        self._made = 0
        attempts = [fault for fault in ATTEMPT_FAULTS if course.has(fault)]
        self._attempt_faults = attempts
        self._attempt_rates = [course.faults[fault] for fault in attempts]
        self._list_faults = [fault for fault in LIST_FAULTS if course.has(fault)]
        self._list_rates = [course.faults[fault] for fault in self._list_faults]
        for route, many in enumerate(course.instances):
            self.add_plane(route, many)

    def add_plane(self, route: int, many: int) -> str:
        """The control plane of one more route; its URL."""
        url = f"http://plane-{route}"
        if url not in self.planes:
            self.planes[url] = _Plane([self._new_instance(route) for _ in range(many)])
        return url

    def _new_instance(self, route: int) -> Instance:
        self._made += 1
        host = f"10.{route}.{self._made // 200}.{self._made % 200 + 1}"
        return Instance(f"{chr(97 + route)}{self._made}", host, self.chance.choice((None, None, 1, 2, 5)))

    # --- what happens by itself -------------------------------------------------------------------------------------

    def heal(self) -> None:
        """From now on everything is well."""
        self.is_healed = True
        for plane in self.planes.values():
            for instance in plane.instances:
                instance.fault = None
        self.tell("everything is well from now on")

    def change_members(self) -> None:
        """Somebody comes, goes, gets another weight, or another address."""
        chance, course = self.chance, self.course
        url = chance.choice(list(self.planes))
        plane = self.planes[url]
        plane.history.append([Instance(each.id, each.host, each.weight) for each in plane.instances])
        route = int(url.rpartition("-")[2])
        what = chance.random()
        if course.has("reused address") and (what < 0.3 or not course.has("members")):
            if plane.instances:
                one = chance.choice(plane.instances)
                one.host = self._new_instance(route).host
                self.counts["reused address"] += 1
                self.tell("%s has another address: %s", one.id, one.host)
            return
        self.counts["members"] += 1
        if what < 0.55 or not plane.instances:
            plane.instances.append(self._new_instance(route))
            self.tell("%s joins", plane.instances[-1].id)
        elif what < 0.8:
            gone = plane.instances.pop(chance.randrange(len(plane.instances)))
            self.tell("%s leaves", gone.id)
        else:
            one = chance.choice(plane.instances)
            one.weight = chance.choice((None, 0, 1, 7))
            self.tell("%s has weight %s", one.id, one.weight)

    # --- the network ------------------------------------------------------------------------------------------------

    def lives(self, who: str, host: str) -> Instance | None:
        """The instance at this address; None if there is none any more, whatever a list says."""
        everybody = (each for plane in self.planes.values() for each in plane.instances)
        return next((each for each in everybody if each.id == who and each.host == host), None)

    def _fault_of(self, who: str, host: str) -> str | None:
        """What is wrong with the instance at this address now."""
        now, chance = self.events.now, self.chance
        instance = next(
            (
                each
                for plane in self.planes.values()
                for each in plane.instances
                if each.id == who and each.host == host
            ),
            None,
        )
        if instance is None:
            return chance.choice(("refused", "no way"))  # nobody lives there any more
        if self.is_healed or not self._attempt_faults:
            return None
        if now >= instance.faulty_until:
            in_trouble = chance.random() < self.course.trouble
            instance.fault = chance.choices(self._attempt_faults, self._attempt_rates)[0] if in_trouble else None
            instance.faulty_until = now + chance.expovariate(1.0 / 3.0)
            if instance.fault is not None:
                self.tell("%s is in trouble: %s", who, instance.fault)
        if instance.fault is not None and chance.random() < 0.2:
            return None  # now and then one comes through
        return instance.fault

    def attempt(self, call: Call, attempt: Attempt) -> Answer:
        """An attempt begins now."""
        answer = self._attempt(call, attempt)
        self.on_answer(attempt, answer)
        return answer

    def _attempt(self, call: Call, attempt: Attempt) -> Answer:
        endpoint, chance = attempt.member.endpoint, self.chance
        fault = self._fault_of(endpoint.id, endpoint.host)
        if fault in ("bad event", "broken stream") and not call.is_streamed:
            fault = "reset after"
        if fault is not None:
            self.counts[fault] += 1
        quick = 0.001 + chance.expovariate(100.0)
        connect, total = attempt.timeouts.connect, attempt.timeouts.total
        match fault:
            case "refused":
                return _broken(Phase.CONNECT, quick)
            case "no way":
                return _broken(Phase.CONNECT, connect, timed_out=True)
            case "hangs":
                return _broken(Phase.WAIT, total * 1.001 + 0.001, timed_out=True)
            case "reset before":
                return _broken(chance.choice((Phase.SEND, Phase.WAIT)), quick)
            case "reset after":
                return _broken(chance.choice((Phase.WAIT, Phase.STREAM)), quick * 3)
            case "500" | "502" | "503" | "429" | "401":
                return Answer(_replied(int(fault)), quick)
            case "503 later" | "429 later":
                later = chance.choice(("0", "0.05", "1", "3", "60", "soon"))
                return Answer(_replied(int(fault[:3]), (("retry-after", later),)), quick)
            case "unreadable":
                return Answer(_replied(418), quick)
            case "bad event":
                return Answer(Outcome(Phase.DONE, 0.0, Reply(200), fault="the first event is an error"), quick, 0.1)
            case "broken stream":
                error = TransportError("broken in stream", phase=Phase.STREAM)
                return Answer(_replied(200), quick, chance.expovariate(1.0), error)
            case "slow":
                return Answer(_replied(200), 0.2 + chance.expovariate(1.0), chance.expovariate(1.0))
            case _ if self.is_healed:
                return Answer(_replied(200), 0.02, 0.02)  # nobody is slower than the others
            case _:
                return Answer(_replied(200), quick * 5, chance.expovariate(2.0))

    # --- the control plane ------------------------------------------------------------------------------------------

    def ask(self, query: Query | LocalQuery) -> Told:
        """A query leaves now."""
        assert isinstance(query, Query), "a control plane is asked over HTTP"
        chance, now = self.chance, self.events.now
        plane = self.planes[query.url]
        if now < plane.busy_until:
            self.blame("one question at a time", f"{query.url} is asked again before the answer came")
        fault: str | None = None
        if self._list_faults and not self.is_healed and chance.random() < max(self.course.trouble, 0.2):
            fault = chance.choices(self._list_faults, self._list_rates)[0]
            self.counts[fault] += 1
        seconds = 0.002 + chance.expovariate(50.0)
        if fault == "silent plane":
            seconds = 1e9
        limit = self.course.discovery.timeout
        plane.busy_until = now + min(seconds, limit)
        if query.budgets:
            # It is counted when it arrives, somewhere on the way.
            self.arrivals.append(now + chance.random() * min(seconds, limit))
        answer, entries, keeps = self._answer(plane, fault)
        self._number += 1
        if fault == "silent plane":
            entries, keeps = None, False
        plane.lists.append(List(self._number, now, now + min(seconds, limit), entries, keeps))
        if fault is not None:
            self.tell("%s is asked, and: %s", query.url, fault)
        if isinstance(answer, list):
            answer = Reply(200, content=json.dumps({"number": self._number, "list": answer}).encode())
        return Told(answer, seconds)

    def next_piece(self, query: Query) -> Told:
        """Nobody watches here."""
        raise AssertionError(query)

    def _answer(
        self, plane: _Plane, fault: str | None
    ) -> tuple[list[tuple[str, str, int | None]] | Reply | TransportError, _Entries | None, bool]:
        """The answer, what a client must make of it, and whether it only confirms that nobody is ready."""
        chance = self.chance
        truth = [(each.id, each.host, each.weight) for each in plane.instances]
        match fault:
            case "old list" if plane.history:
                truth = [(each.id, each.host, each.weight) for each in chance.choice(plane.history)]
            case "empty list":
                truth = []
            case "half a list":
                truth = [entry for entry in truth if chance.random() < 0.5]
            case "garbage":
                return Reply(200, content=chance.choice((b"", b"<html>", b'{"list": [[1]]}', b"[]"))), None, False
            case "refused list":
                return Reply(chance.choice((403, 404, 500))), None, False
            case "throttled":
                return Reply(429, (("retry-after", "2"),)), None, False
            case "lost answer":
                return TransportError("broken", phase=chance.choice((Phase.CONNECT, Phase.WAIT))), None, False
            case "broken plug-in":
                return Reply(200, content=b"crash"), None, False
            case "strangers":
                return [(who, "8.8.8.8", weight) for who, _, weight in truth], *self._of_nobody(is_broken=bool(truth))
            case _:
                pass
        listed = list(truth)
        if fault == "some strangers":
            listed[:0] = [("x1", "203.0.113.9", None), ("x2", "evil.example", 100)]
        if fault == "twice":
            # The first entry counts.
            listed += [(who, "10.99.0.1", 9) for who, _, _ in truth] + truth[:1]
        if not truth:
            return listed, *self._of_nobody(is_broken=bool(listed))
        return listed, frozenset(truth), False

    def _of_nobody(self, *, is_broken: bool) -> tuple[_Entries | None, bool]:
        if is_broken or self.course.empty is EmptyAnswer.REFUSE:
            return None, False
        return frozenset(), self.course.empty is EmptyAnswer.KEEP


_Entries = frozenset[tuple[str, str, int | None]]


def _broken(phase: Phase, seconds: float, *, timed_out: bool = False) -> Answer:
    error = TransportError(f"broken in {phase.value}", phase=phase, timed_out=timed_out)
    return Answer(Outcome(phase, seconds, error=error), seconds)


def _replied(status: int, headers: Headers = ()) -> Outcome:
    return Outcome(Phase.DONE, 0.0, Reply(status, headers, b"{}"))
