"""How names become addresses: which server is asked what, and what its answers mean.

- An answer that does not fit into a packet is asked for again over TCP.
- A server that is silent, breaks off or cannot tell (SERVFAIL, REFUSED and the like) is passed over for the next one.
  When none can tell, that is a failure: the last list stays.
- A name that does not exist (NXDOMAIN) or has no such record says that nobody serves: that is how Kubernetes and Consul
  answer for a service without a ready instance. A list that served before stays in use all the same.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

from ...core.endpoint import Endpoint, InvalidEndpoint, Snapshot
from ...core.errors import DiscoveryError, DiscoveryRefused, DiscoveryUnreadable, TransportError, headline
from ...core.interfaces import AddressSource, Conversation, EmptyAnswer, LocalQuery, PollContext
from ...core.interfaces.discovery import Step
from ...core.message import Reply
from .asking import Server, SystemSettings, ask, read_system_settings, system_settings
from .messages import Answer, Kind, Question, read_answer, unframed
from .services import choose, search_names

__all__ = ["DnsDiscovery", "DnsTarget", "Family", "Server"]

Family: TypeAlias = Literal["auto", "ipv4", "ipv6", "both"]

_MAX_SERVERS = 3
_MAX_SEARCH = 6
_ROUNDS = 2
_CERTAIN = ("NOERROR", "NXDOMAIN")

_Found: TypeAlias = tuple[tuple[str, ...], int]
"""Addresses, and for how many seconds they hold."""


@dataclass(frozen=True, slots=True)
class DnsTarget:
    """What is asked, and what its addresses become. Equal for equal questions.

    Args:
        name: The name.
        port: Port of all addresses; None: SRV records tell it.
        family: Which addresses count. auto: IPv4, and IPv6 where there is no IPv4.
        rank: Which priority of the SRV records: 1 for the lowest, and so on.
        scheme: Of the endpoints.
        path: Of the endpoints.
        server_name: Of the endpoints; None: their addresses.
        servers: Whom to ask, in order; empty: the name servers of this machine.
        search: Whether the search path of this machine is used.
        ttl_min: Seconds that each answer holds at least.
        ttl_max: ... and at most.
        timeout: Seconds that a server has for its answers.
    """

    name: str
    port: int | None = None
    family: Family = "auto"
    rank: int = 1
    scheme: str = "http"
    path: str = ""
    servers: tuple[Server, ...] = ()
    search: bool = False
    ttl_min: float = 5.0
    ttl_max: float = 60.0
    timeout: float = 1.0
    server_name: str | None = None


class _CannotTell(DiscoveryError):
    """This server has no answer; another may have one."""


class DnsDiscovery:
    """Asks for one name."""

    def __init__(self, target: DnsTarget) -> None:
        self._target = target

    @property
    def identity(self) -> Hashable:
        return "dns", self._target

    @property
    def addresses(self) -> AddressSource:
        return AddressSource.LEARNED

    @property
    def empty_answer(self) -> EmptyAnswer:
        return EmptyAnswer.KEEP

    def poll(self, context: PollContext) -> Conversation:
        """One question, and what follows from its answer.

        Raises:
            DiscoveryError: No server can tell; or there is no list yet and the name does not exist.
        """
        target = self._target
        system = SystemSettings((), (), 1)
        if not target.servers or target.search:
            system = read_system_settings((yield LocalQuery("the name servers of this machine", system_settings)))
        names = search_names(target.name, system.search[:_MAX_SEARCH] if target.search else (), system.dots)
        is_known = context.previous is not None and bool(context.previous.endpoints)
        failures: dict[Server, str] = {}
        waiting = list((target.servers or system.servers)[:_MAX_SERVERS])
        for _ in range(_ROUNDS):
            silent: list[Server] = []
            for server in waiting:
                try:
                    return (yield from self._list_from(server, names, is_known=is_known))
                except TransportError as error:
                    failures[server] = headline(error)
                    if error.timed_out:  # the packet may be lost: once more
                        silent.append(server)
                except (_CannotTell, DiscoveryUnreadable) as error:
                    failures[server] = headline(error)
            waiting = silent
        raise DiscoveryError(
            f"no name server can tell who {target.name} is: {'; '.join(failures.values())}. "
            "Next: see whether the name servers can be reached from here, and serve this name"
        )

    def _list_from(self, server: Server, names: Sequence[str], *, is_known: bool) -> Conversation:
        """The list of the first of these names that has one."""
        target = self._target
        nothing: list[Answer] = []
        for name in names:
            if target.port is not None:
                found, empty = yield from self._addresses_of(server, name)
                if found is not None:
                    addresses, ttl = found
                    entries = [self._endpoint(address, target.port) for address in addresses]
                    return Snapshot(tuple(entries), ask_again_in=self._held(ttl))
                nothing.append(empty)
            else:
                [answer] = yield from self._ask(server, [Question(name, "SRV")])
                self._check(server, name, answer)
                if answer.services:
                    return (yield from self._services(server, answer))
                nothing.append(answer)
        if not is_known and all(answer.code == "NXDOMAIN" for answer in nothing):
            # Later, a service that was there has no instance. At first, it is as likely a name that is not right.
            raise DiscoveryError(
                f"the name {target.name} does not exist (NXDOMAIN), says the name server {server}: no instance is "
                "ready yet, or the name is not the right one. Next: check `domain`, and `search` for a short one"
            )
        ttl = min(answer.ttl for answer in nothing)
        return Snapshot(attributes={"answer": nothing[-1].code}, ask_again_in=self._held(ttl))

    def _addresses_of(self, server: Server, name: str) -> Generator[Step, Reply, tuple[_Found | None, Answer]]:
        """The addresses of a name; without any, the answer that says so."""
        answers: list[Answer] = []
        for kinds in _kinds(self._target.family):
            answers = yield from self._ask(server, [Question(name, kind) for kind in kinds])
            for answer in answers:
                self._check(server, name, answer)
            found = [answer for answer in answers if answer.addresses]
            if found:
                addresses = tuple(address for answer in found for address in answer.addresses)
                return (addresses, min(answer.ttl for answer in found)), answers[0]
            if answers[0].code == "NXDOMAIN":  # it has no record of any kind
                break
        return None, answers[-1]

    def _services(self, server: Server, answer: Answer) -> Conversation:
        """The list that SRV records tell."""
        target = self._target
        found: dict[str, _Found] = {}
        rejected: dict[str, str] = {}
        wanted = list(dict.fromkeys(service.target for service in answer.services if service.target != "."))
        for name in wanted:
            came_along = _of_family(answer.additional.get(name), target.family)
            if came_along is not None:
                found[name] = came_along
        for kinds in _kinds(target.family):
            questions = [Question(name, kind) for name in wanted if name not in found for kind in kinds]
            answers = (yield from self._ask(server, questions)) if questions else []
            for question, told in zip(questions, answers, strict=True):
                if told.addresses:
                    before, ttl = found.get(question.name, ((), told.ttl))
                    found[question.name] = (*before, *told.addresses), min(ttl, told.ttl)
                elif told.code not in _CERTAIN:
                    rejected[question.name] = f"target {question.name} is left out: its addresses are {told.code}"
        if rejected and not found:
            raise _CannotTell(f"the name server {server} knows the targets of {target.name}, and no address of them")
        entries: list[Endpoint] = []
        for each in choose(answer.services, {name: addresses for name, (addresses, _) in found.items()}, target.rank):
            labels = {"target": each.service.target.rstrip("."), "priority": str(each.service.priority)}
            try:
                entries.append(self._endpoint(each.address, each.service.port, each.weight, labels))
            except InvalidEndpoint as error:
                rejected[f"{each.address} {each.service.port}"] = f"target {each.service.target} is left out: {error}"
        ttl = min((answer.ttl, *(ttl for _, ttl in found.values())))
        return Snapshot(tuple(entries), tuple(rejected.values()), ask_again_in=self._held(ttl))

    def _ask(self, server: Server, questions: Sequence[Question]) -> Generator[Step, Reply, list[Answer]]:
        """The answers of a server; those that did not fit are asked for again over TCP."""
        answers = yield from self._ask_once(server, questions, is_tcp=False)
        cut = [place for place, answer in enumerate(answers) if answer.is_truncated]
        if cut:
            whole = yield from self._ask_once(server, [questions[place] for place in cut], is_tcp=True)
            for place, answer in zip(cut, whole, strict=True):
                answers[place] = answer
        return answers

    def _ask_once(
        self, server: Server, questions: Sequence[Question], *, is_tcp: bool
    ) -> Generator[Step, Reply, list[Answer]]:
        what = f"the name server {server}{' over TCP' if is_tcp else ''}"
        run = partial(ask, server, tuple(questions), is_tcp=is_tcp, timeout=self._target.timeout)
        reply = yield LocalQuery(what, run)
        if reply.status != 200:
            raise DiscoveryRefused(f"{what}: status {reply.status}", status=reply.status)
        messages = unframed(reply.content)
        if len(messages) != len(questions):
            raise DiscoveryUnreadable(f"{what} sent {len(messages)} answers to {len(questions)} questions")
        return [read_answer(wire, question) for wire, question in zip(messages, questions, strict=True)]

    def _check(self, server: Server, name: str, answer: Answer) -> None:
        if answer.code not in _CERTAIN:
            raise _CannotTell(f"the name server {server} says {answer.code} for {name}")
        if answer.is_referral:
            raise _CannotTell(f"the name server {server} does not resolve {name}, but names other servers for it")

    def _endpoint(
        self, address: str, port: int, weight: int | None = None, labels: Mapping[str, str] | None = None
    ) -> Endpoint:
        target = self._target
        return Endpoint(
            address,
            port,
            scheme=target.scheme,
            base_path=target.path,
            weight=weight,
            labels=labels or {},
            server_name=target.server_name,
        )

    def _held(self, ttl: int) -> float:
        """Seconds until the next question."""
        return min(max(float(ttl), self._target.ttl_min), self._target.ttl_max)

    def __repr__(self) -> str:
        return f"<DnsDiscovery {self._target.name}>"


def _kinds(family: Family) -> Sequence[Sequence[Kind]]:
    """Types of records, in rounds: a round comes if the one before has found nothing."""
    rounds: dict[Family, Sequence[Sequence[Kind]]] = {
        "auto": (("A",), ("AAAA",)),
        "ipv4": (("A",),),
        "ipv6": (("AAAA",),),
        "both": (("A", "AAAA"),),
    }
    return rounds[family]


def _of_family(found: _Found | None, family: Family) -> _Found | None:
    """The addresses of this family among those that came along; None if there are none: then they are asked for."""
    if found is None or family == "both":
        return None  # half of them may have been left out
    addresses, ttl = found
    for kinds in _kinds(family):
        kept = tuple(address for address in addresses if (":" in address) is ("AAAA" in kinds))
        if kept:
            return kept, ttl
    return None
