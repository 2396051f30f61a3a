"""DNS messages: what to ask, and what an answer says. No I/O.

Whatever bytes come, they are an answer or `DiscoveryUnreadable`: a name server is somebody on the network. Records are
sorted: name servers turn their order with each answer, and that is no news.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from dns.rdtypes.IN.SRV import SRV

from ...core.errors import DiscoveryUnreadable

__all__ = ["Answer", "Question", "Service", "framed", "make_query", "read_answer", "unframed"]

Kind: TypeAlias = Literal["A", "AAAA", "SRV"]

_PAYLOAD = 1232
"""What fits into one packet everywhere: the value of DNS flag day 2020."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Args:
        name: The name, in lower case, with the dot at its end.
        kind: The type of record.
    """

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Service:
    """One SRV record (RFC 2782). `target` is in lower case, with the dot at its end; "." means: not available."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What one answer says.

    Args:
        code: `NOERROR`, `NXDOMAIN`, `SERVFAIL` and so on.
        ttl: Seconds for which it holds; of an answer without records, for which that holds (RFC 2308).
        addresses: Of the name, aliases (CNAME) followed; IP addresses as text.
        services: Of the name, likewise.
        additional: Addresses of other names that came along, with their own seconds.
        is_truncated: Whether there is more that did not fit.
        is_referral: Whether it names other servers instead of answering (RFC 2308, 2.1).
    """

    code: str
    ttl: int
    addresses: tuple[str, ...] = ()
    services: tuple[Service, ...] = ()
    additional: Mapping[str, tuple[tuple[str, ...], int]] = field(
        default_factory=dict[str, tuple[tuple[str, ...], int]], hash=False
    )
    is_truncated: bool = False
    is_referral: bool = False


def make_query(question: Question) -> dns.message.QueryMessage:
    """The question as a message, with an id by chance."""
    return dns.message.make_query(question.name, question.kind, use_edns=0, payload=_PAYLOAD)


def read_answer(wire: bytes, question: Question) -> Answer:
    """What an answer to this question says.

    Raises:
        DiscoveryUnreadable: It is not a message, or not an answer to this question.
    """
    try:
        message = dns.message.from_wire(wire)
        if not isinstance(message, dns.message.QueryMessage) or not message.flags & dns.flags.QR:
            raise DiscoveryUnreadable("what came is not an answer")
        code = dns.rcode.to_text(message.rcode())
        is_truncated = bool(message.flags & dns.flags.TC)
        if code not in ("NOERROR", "NXDOMAIN") and not message.question:
            return Answer(code, 0, is_truncated=is_truncated)  # RFC 2136 and old servers: an error without its question
        _check_question(message.question, question)
        chain = message.resolve_chaining()
        found = _records(chain.answer)
        return Answer(
            code,
            int(chain.minimum_ttl),
            addresses=_addresses(found) if question.kind != "SRV" else (),
            services=_services(found),
            additional=_additional(message.additional),
            is_truncated=is_truncated,
            is_referral=not found and _is_referral(message.authority),
        )
    except (dns.exception.DNSException, ValueError, AttributeError) as error:
        raise DiscoveryUnreadable(f"the answer cannot be read: {type(error).__name__}") from None


def _check_question(asked: Sequence[dns.rrset.RRset], question: Question) -> None:
    if len(asked) != 1 or _text(asked[0].name) != question.name or asked[0].rdtype != _type(question.kind):
        raise DiscoveryUnreadable("the answer is to another question")


def _type(kind: Kind) -> dns.rdatatype.RdataType:
    return dns.rdatatype.from_text(kind)


def _additional(section: Iterable[dns.rrset.RRset]) -> dict[str, tuple[tuple[str, ...], int]]:
    found: dict[str, tuple[tuple[str, ...], int]] = {}
    for records in section:
        if records.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA):
            name = _text(records.name)
            before, ttl = found.get(name, ((), int(records.ttl)))
            found[name] = (*before, *_addresses(_records(records))), min(ttl, int(records.ttl))
    return found


def _records(found: dns.rrset.RRset | None) -> list[object]:
    return [] if found is None else list(cast("Iterable[object]", found))


def _addresses(records: Iterable[object]) -> tuple[str, ...]:
    addresses = {record.address for record in records if isinstance(record, A | AAAA)}
    return tuple(sorted(addresses, key=lambda text: (":" in text, ipaddress.ip_address(text).packed)))


def _services(records: Iterable[object]) -> tuple[Service, ...]:
    found = (
        Service(record.priority, record.weight, record.port, _text(record.target))
        for record in records
        if isinstance(record, SRV)
    )
    return tuple(sorted(found, key=lambda service: (service.priority, service.target, service.port)))


def _is_referral(authority: Sequence[dns.rrset.RRset]) -> bool:
    kinds = {records.rdtype for records in authority}
    return dns.rdatatype.NS in kinds and dns.rdatatype.SOA not in kinds


def _text(name: dns.name.Name) -> str:
    return name.to_text().lower()


def framed(messages: Iterable[bytes]) -> bytes:
    """Messages in one piece, each behind its length, as DNS over TCP has them (RFC 1035, 4.2.2)."""
    return b"".join(len(message).to_bytes(2, "big") + message for message in messages)


def unframed(data: bytes) -> list[bytes]:
    """What `framed` put together.

    Raises:
        DiscoveryUnreadable: It is cut off.
    """
    messages: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            raise DiscoveryUnreadable("the answer is cut off")
        messages.append(data[at + 2 : end])
        at = end
    return messages
