"""The provider of domain names keeps to the contract, as far as DNS can say what the contract asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address

import dns.exception
import dns.message
import dns.rrset
import pytest

from directlane.core.interfaces import EmptyAnswer
from directlane.core.interfaces.discovery import LocalQuery, Query
from directlane.core.message import Reply
from directlane.providers.dns import DnsProvider
from directlane.providers.dns.messages import framed
from directlane.testing import Canaries, Listed, ProviderContract

NAME = "_http._tcp.chat.test."


class TestDns(ProviderContract):
    model = DnsProvider
    capabilities = frozenset({"discovery"})  # weights of SRV records have another range and meaning: tested elsewhere
    empty_answer = EmptyAnswer.KEEP

    def route(self, secret: Canaries) -> Mapping[str, object]:
        return {"domain": NAME, "record": "srv", "nameservers": ["10.0.0.2"], "token": secret("token")}

    def answer(self, query: Query | LocalQuery, listed: Sequence[Listed]) -> Reply:
        try:
            return Reply(200, content=framed([message_of(listed)]))
        except (ValueError, dns.exception.DNSException) as error:
            pytest.skip(f"a message cannot say this: {type(error).__name__}")

    def other_routes(self, secret: Canaries) -> Sequence[Mapping[str, object]]:
        return [{**self.route(secret), "rank": 2}, {**self.route(secret), "domain": "_http._tcp.others.test"}]

    def test_throttling_is_told_with_its_delay(self) -> None:
        pytest.skip("a name server does not say that it is asked too often")


def message_of(listed: Sequence[Listed]) -> bytes:
    """An answer with these instances."""
    message = dns.message.make_response(dns.message.make_query(NAME, "SRV"))
    targets = [(f"t{place}.test.", each) for place, each in enumerate(listed)]
    if targets:
        texts = [f"0 0 {each.port} {target}" for target, each in targets]
        message.answer.append(dns.rrset.from_text_list(NAME, 30, "IN", "SRV", texts))
    for target, each in targets:
        address = ip_address(str(each.host))
        kind = "A" if address.version == 4 else "AAAA"
        message.additional.append(dns.rrset.from_text(target, 30, "IN", kind, str(address)))
    return message.to_wire()
