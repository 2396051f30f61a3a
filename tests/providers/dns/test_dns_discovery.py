"""Conversations with name servers: real ones on loopback, asked by hand, so that nothing waits for a clock."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import cast

import dns.rcode
import pytest
from pydantic import ValidationError

from directlane.core.endpoint import Endpoint, Snapshot
from directlane.core.errors import DiscoveryError, Phase, TransportError
from directlane.core.interfaces import AddressSource, EmptyAnswer, LocalQuery, PollContext
from directlane.core.message import Reply
from directlane.core.os_reason import os_reason
from directlane.providers.dns import DnsProvider, plugin
from directlane.providers.dns.discovery import DnsTarget
from directlane.providers.dns.emulator import DnsEmulator
from directlane.providers.dns.name_server import NameServer, empty_answer

NAME = "_http._tcp.chat.test"
KNOWN = Snapshot((Endpoint("10.9.9.9", 80),))


def provider(*servers: NameServer, **more: object) -> DnsProvider:
    given = {"domain": NAME, "record": "srv", "nameservers": [server.address for server in servers], **more}
    return DnsProvider.model_validate({key: value for key, value in given.items() if value is not None})


def ask(
    made: DnsProvider, previous: Snapshot | None = None, *, system: dict[str, object] | None = None
) -> tuple[Snapshot, list[str]]:
    """The list, and what was asked."""
    conversation = made.discovery().poll(PollContext(unix_time=0.0, previous=previous))
    asked: list[str] = []
    query = next(conversation)
    try:
        while True:
            assert isinstance(query, LocalQuery)
            asked.append(query.what)
            try:
                reply = Reply(200, content=json.dumps(system).encode()) if "this machine" in query.what else query.run()
            except OSError as error:
                timed_out = isinstance(error, TimeoutError)
                text = f"{query.what}: {os_reason(error)}"
                query = conversation.throw(TransportError(text, phase=Phase.WAIT, timed_out=timed_out))
            except DiscoveryError as error:
                query = conversation.throw(error)
            else:
                query = conversation.send(reply)
    except StopIteration as end:
        snapshot: Snapshot = end.value
        return snapshot, asked


def ids(snapshot: Snapshot) -> list[str]:
    return [endpoint.authority for endpoint in snapshot.endpoints]


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer(
        {
            (f"{NAME}.", "SRV"): ["1 3 8001 one.test.", "1 1 8002 two.test.", "2 1 8003 three.test."],
            ("one.test.", "A"): ["10.0.0.1"],
            ("two.test.", "AAAA"): ["fd00::2"],
            ("three.test.", "A"): ["10.0.0.3"],
            ("three.test.", "AAAA"): ["fd00::3"],
        },
        ttl=30,
    ) as made:
        yield made


@pytest.mark.parametrize("has_additional", [True, False])
def test_addresses_of_targets_are_the_same_whether_they_come_along_or_not(
    server: NameServer, has_additional: bool
) -> None:
    server.has_additional = has_additional
    snapshot, _ = ask(provider(server))
    assert ids(snapshot) == ["10.0.0.1:8001", "[fd00::2]:8002"]
    assert [endpoint.weight for endpoint in snapshot.endpoints] == [3, 1]
    assert snapshot.endpoints[0].labels == {"target": "one.test", "priority": "1"}
    assert snapshot.ask_again_in == 30
    assert any(kind in ("A", "AAAA") for _, kind, _ in server.asked) is not has_additional


@pytest.mark.parametrize(
    ("family", "found"),
    [
        ("ipv4", ["10.0.0.1:8001"]),
        ("ipv6", ["[fd00::2]:8002"]),
        ("both", ["10.0.0.1:8001", "[fd00::2]:8002"]),
    ],
)
def test_family_of_the_targets(server: NameServer, family: str, found: list[str]) -> None:
    assert ids(ask(provider(server, family=family))[0]) == found


def test_next_priority_is_another_rank(server: NameServer) -> None:
    assert ids(ask(provider(server, rank=2))[0]) == ["10.0.0.3:8003"]


def test_target_that_cannot_be_resolved_is_left_out_with_a_reason(server: NameServer) -> None:
    server.has_additional = False
    server.misbehave = lambda query, over_tcp: (
        empty_answer(query, dns.rcode.SERVFAIL).to_wire() if "one.test" in str(query.question[0].name) else None
    )
    snapshot, _ = ask(provider(server))
    assert ids(snapshot) == ["[fd00::2]:8002"]
    assert snapshot.rejected == ("target one.test. is left out: its addresses are SERVFAIL",)


def test_service_that_is_decidedly_not_there_has_no_endpoint(server: NameServer) -> None:
    server.records[f"{NAME}.", "SRV"] = ["0 0 0 ."]
    assert ask(provider(server))[0].endpoints == ()


@pytest.mark.parametrize(
    ("records", "family", "found"),
    [
        ({"A": ["10.0.0.1"], "AAAA": ["fd00::1"]}, "auto", ["10.0.0.1:80"]),
        ({"AAAA": ["fd00::1"]}, "auto", ["[fd00::1]:80"]),
        ({"A": ["10.0.0.1"], "AAAA": ["fd00::1"]}, "both", ["10.0.0.1:80", "[fd00::1]:80"]),
        ({"A": ["10.0.0.1"], "AAAA": ["fd00::1"]}, "ipv6", ["[fd00::1]:80"]),
        ({"A": ["10.0.0.1"]}, "ipv6", []),
    ],
)
def test_addresses_with_a_port(
    server: NameServer, records: dict[str, list[str]], family: str, found: list[str]
) -> None:
    server.records = {("chat.test.", kind): texts for kind, texts in records.items()}
    made = provider(server, domain="Chat.test", record="address", port=80, family=family, scheme="https", path="/v1/")
    snapshot, _ = ask(made, KNOWN)
    assert ids(snapshot) == found
    assert {(e.scheme, e.base_path, e.weight) for e in snapshot.endpoints} <= {("https", "/v1", None)}


@pytest.mark.parametrize(("ttl", "held"), [(0, 5.0), (4, 5.0), (20, 20.0), (3600, 60.0)])
def test_time_to_live_is_kept_within_bounds(server: NameServer, ttl: int, held: float) -> None:
    server.ttl = ttl
    assert ask(provider(server))[0].ask_again_in == held
    server.records.clear()
    assert ask(provider(server), KNOWN)[0].ask_again_in == held, "also of an answer without records"


def test_truncated_answer_is_asked_for_over_tcp(server: NameServer) -> None:
    server.limit = 60
    snapshot, asked = ask(provider(server))
    assert len(snapshot.endpoints) == 2
    assert asked == [f"the name server {server.address}", f"the name server {server.address} over TCP"]


def test_name_that_does_not_exist_is_a_failure_at_first_and_nobody_serves_later(server: NameServer) -> None:
    server.records.clear()
    with pytest.raises(DiscoveryError, match=r"does not exist \(NXDOMAIN\).*Next: check `domain`"):
        ask(provider(server))
    snapshot, _ = ask(provider(server), KNOWN)
    assert (snapshot.endpoints, snapshot.attributes) == ((), {"answer": "NXDOMAIN"})
    assert provider(server).discovery().empty_answer is EmptyAnswer.KEEP


def test_name_without_such_a_record_says_that_nobody_serves(server: NameServer) -> None:
    server.records = {(f"{NAME}.", "A"): ["10.0.0.1"]}
    assert ask(provider(server))[0].attributes == {"answer": "NOERROR"}


@pytest.mark.parametrize("code", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP, dns.rcode.FORMERR])
def test_server_that_cannot_tell_is_passed_over(server: NameServer, code: dns.rcode.Rcode) -> None:
    with NameServer() as broken:
        broken.misbehave = lambda query, over_tcp: empty_answer(query, code).to_wire()
        assert len(ask(provider(broken, server))[0].endpoints) == 2
        with pytest.raises(DiscoveryError, match=f"says {dns.rcode.to_text(code)} for .*Next: see whether"):
            ask(provider(broken), KNOWN)


def test_silent_server_is_asked_twice_and_the_other_one_before(server: NameServer) -> None:
    with NameServer() as silent:
        silent.misbehave = lambda query, over_tcp: b""
        with pytest.raises(DiscoveryError, match="no name server can tell"):
            ask(provider(silent, timeout="100ms"))
        assert len(silent.asked) == 2
        assert len(ask(provider(silent, server, timeout="500ms"))[0].endpoints) == 2
        assert len(silent.asked) == 3


def test_port_where_nobody_listens_is_a_failure(server: NameServer) -> None:
    server.stop()
    with pytest.raises(DiscoveryError, match=r"no answer within 0\.1 s"):
        ask(provider(server, timeout="100ms"))


def test_garbage_over_udp_does_not_count_and_over_tcp_is_a_failure(server: NameServer) -> None:
    server.limit = 60
    server.misbehave = lambda query, over_tcp: b"<html></html>" if over_tcp else None
    with pytest.raises(DiscoveryError, match="sent no answer"):
        ask(provider(server))
    server.misbehave = lambda query, over_tcp: b"<html></html>"
    with pytest.raises(DiscoveryError, match="no answer within"):
        ask(provider(server, timeout="100ms"))


SYSTEM: dict[str, object] = {"servers": ["127.0.0.1"], "search": ["ns.test.", "test."], "dots": 1}


def test_search_path_is_off_unless_it_is_set(server: NameServer) -> None:
    server.records = {("chat.test.", "A"): ["10.0.0.1"]}
    more = {"domain": "chat", "record": "address", "port": 80}
    assert ids(ask(provider(server, search=True, **more), system=SYSTEM)[0]) == ["10.0.0.1:80"]
    with pytest.raises(DiscoveryError, match="NXDOMAIN"):
        ask(provider(server, **more), system=SYSTEM)


def test_name_servers_of_this_machine_are_read_for_each_question() -> None:
    conversation = provider().discovery().poll(PollContext(0.0))
    first = next(conversation)
    assert isinstance(first, LocalQuery)
    second = conversation.send(
        Reply(200, content=json.dumps({**SYSTEM, "servers": ["10.0.0.2", "https://x"]}).encode())
    )
    assert isinstance(second, LocalQuery)
    assert (first.what, second.what) == ("the name servers of this machine", "the name server 10.0.0.2:53")


def test_addresses_are_learned_and_equal_questions_are_shared(server: NameServer) -> None:
    assert provider(server).discovery().addresses is AddressSource.LEARNED
    assert provider(server).discovery().identity == provider(server, token="t").discovery().identity
    assert provider(server).discovery().identity != provider(server, rank=2).discovery().identity


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"domain": "10.0.0.1"}, "is an address, not a name"),
        ({"domain": "a b"}, "is not a name such as"),
        ({"domain": "a..b"}, "is not a name such as"),
        ({"domain": "x" * 64}, "is not a name such as"),
        ({"record": "address"}, "needs `port`"),
        ({"port": 80}, "SRV records tell the port"),
        ({"record": "address", "port": 80, "rank": 2}, "`rank` is for SRV records"),
        ({"rank": 0}, "rank"),
        ({"nameservers": ["ns.example.com"]}, "is not a name server"),
        ({"nameservers": ["10.0.0.1"] * 4}, "nameservers"),
        ({"ttl_min": "2m"}, "`ttl_max` is shorter"),
        ({"ttl_min": 0}, "0.1 seconds or more"),
        ({"timeout": "1ms"}, "0.1 seconds or more"),
        ({"path": "v1"}, "must start with '/'"),
        ({"auth": "plain"}, "needs a `token`"),
    ],
)
def test_settings_that_are_refused_and_why(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        provider(**settings)
    assert message in str(caught.value)
    assert caught.value.error_count() == 1


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in DnsProvider.model_fields.values())


def test_plugin_brings_the_provider_and_its_emulator() -> None:
    (brought,) = plugin.directlane_providers()
    assert brought.model is DnsProvider
    assert brought.emulator is not None
    assert isinstance(brought.emulator(1), DnsEmulator)


def test_order_of_the_records_is_no_news(server: NameServer) -> None:
    """Name servers turn it with each answer; so does ours."""
    server.records = {("chat.test.", "A"): [f"10.0.0.{n}" for n in range(1, 9)]}
    made = provider(server, domain="chat.test", record="address", port=80)
    assert len({tuple(ids(ask(made)[0])) for _ in range(8)}) == 1


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"domain": "chat.example.com", "record": "address", "port": 443}, "chat.example.com"),
        ({"domain": "Chat.example.com.", "record": "address", "port": 443}, "chat.example.com"),
        ({"domain": "_http._tcp.chat.example.com"}, "chat.example.com"),
        ({"domain": "_chat.example.com"}, "example.com"),
        ({"domain": "chat.example.com"}, "chat.example.com"),
        ({"domain": "_http._tcp.chat.example.com", "server_name": "Own.example.com"}, "own.example.com"),
    ],
)
def test_name_of_certificates_is_the_name_that_was_asked_for(given: dict[str, object], name: str) -> None:
    made = DnsProvider.model_validate({"record": "srv", "scheme": "https", **given})
    identity = made.discovery().identity
    assert isinstance(identity, tuple)
    target = cast("DnsTarget", identity[1])
    assert Endpoint("10.0.0.1", 443, "https", server_name=target.server_name).tls_name == name


def test_name_of_certificates_is_that_of_every_endpoint(server: NameServer) -> None:
    made = provider(server, scheme="https", server_name="chat.example.com")
    assert {endpoint.server_name for endpoint in ask(made)[0].endpoints} == {"chat.example.com"}
    plain = provider(server)
    assert {endpoint.server_name for endpoint in ask(plain)[0].endpoints} == {None}


def test_name_of_certificates_without_https_is_refused() -> None:
    with pytest.raises(ValidationError, match="`server_name` is for https"):
        DnsProvider.model_validate({"domain": "a.b", "port": 80, "server_name": "a.b"})
