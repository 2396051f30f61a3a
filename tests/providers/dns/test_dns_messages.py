"""Messages and SRV records: what bytes say, and who is called. No sockets."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import dns.message
import dns.rcode
import pytest
from hypothesis import given as given_any
from hypothesis import settings
from hypothesis import strategies as st

from directlane.core.endpoint import MAX_WEIGHT
from directlane.core.errors import DiscoveryUnreadable
from directlane.providers.dns.asking import Server
from directlane.providers.dns.messages import Question, Service, framed, make_query, read_answer, unframed
from directlane.providers.dns.name_server import NameServer
from directlane.providers.dns.services import choose, search_names

A = Question("a.test.", "A")
SRV = Question("_http._tcp.a.test.", "SRV")
RECORDS = {
    ("a.test.", "CNAME"): ["b.test."],
    ("b.test.", "A"): ["10.0.0.1", "10.0.0.2"],
    ("_http._tcp.a.test.", "SRV"): ["0 5 8000 B.test."],
}


def answered(question: Question, records: Mapping[tuple[str, str], list[str]] = RECORDS, ttl: int = 30) -> bytes:
    return NameServer(records, ttl=ttl).reply(make_query(question).to_wire(), over_tcp=True)


WHOLE = answered(SRV)


def test_alias_is_followed_inside_an_answer() -> None:
    answer = read_answer(answered(A), A)
    assert (answer.code, answer.addresses, answer.ttl) == ("NOERROR", ("10.0.0.1", "10.0.0.2"), 30)


def test_service_records_come_with_the_addresses_of_their_targets() -> None:
    answer = read_answer(answered(SRV), SRV)
    assert answer.services == (Service(0, 5, 8000, "b.test."),)
    assert answer.additional == {"b.test.": (("10.0.0.1", "10.0.0.2"), 30)}


def test_nothing_is_told_apart() -> None:
    no_record = read_answer(answered(Question("b.test.", "AAAA"), ttl=7), Question("b.test.", "AAAA"))
    no_name = read_answer(answered(Question("c.test.", "A"), ttl=7), Question("c.test.", "A"))
    assert (no_record.code, no_record.addresses, no_record.ttl) == ("NOERROR", (), 7)
    assert (no_name.code, no_name.addresses, no_name.ttl) == ("NXDOMAIN", (), 7)


def test_referral_is_no_answer() -> None:
    wire = dns.message.from_text(
        "id 1\nopcode QUERY\nrcode NOERROR\nflags QR\n;QUESTION\na.test. IN A\n;ANSWER\n;AUTHORITY\n"
        "test. 60 IN NS ns.test.\n;ADDITIONAL\n"
    ).to_wire()
    assert read_answer(wire, A).is_referral


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"<html>",
        make_query(A).to_wire(),  # a question
        answered(Question("b.test.", "A")),  # the answer to another one
        answered(Question("a.test.", "AAAA")),
        answered(A)[:-5],
        answered(A) + b"junk",
    ],
    ids=["nothing", "html", "a question", "another name", "another type", "cut off", "with more behind it"],
)
def test_what_is_no_answer_to_the_question_is_refused(wire: bytes) -> None:
    with pytest.raises(DiscoveryUnreadable):
        read_answer(wire, A)


def test_error_without_its_question_is_understood() -> None:
    message = dns.message.make_response(make_query(A))
    message.question.clear()
    message.set_rcode(dns.rcode.FORMERR)
    assert read_answer(message.to_wire(), A).code == "FORMERR"


@settings(deadline=None, max_examples=300)
@given_any(st.binary(max_size=100) | st.tuples(st.integers(0), st.integers(0, 255)))
def test_any_bytes_are_an_answer_or_unreadable(given: bytes | tuple[int, int]) -> None:
    wire = given if isinstance(given, bytes) else _spoiled(*given)
    for question in (A, SRV):
        with suppress(DiscoveryUnreadable):
            read_answer(wire, question)


def _spoiled(at: int, byte: int) -> bytes:
    wire = bytearray(WHOLE)
    wire[at % len(wire)] = byte
    return bytes(wire)


@given_any(st.lists(st.binary(max_size=50)))
def test_frames_come_back_as_they_went(messages: list[bytes]) -> None:
    assert unframed(framed(messages)) == messages


@given_any(st.binary(max_size=50))
def test_any_bytes_are_frames_or_unreadable(data: bytes) -> None:
    with suppress(DiscoveryUnreadable):
        assert framed(unframed(data)) == data


# --- SRV -------------------------------------------------------------------------------------------------------------


def shares(services: list[Service], addresses: dict[str, list[str]], rank: int = 1) -> dict[str, int | None]:
    return {chosen.address: chosen.weight for chosen in choose(services, addresses, rank)}


PAIR = [Service(1, 3, 80, "a."), Service(1, 1, 80, "b."), Service(2, 7, 80, "c.")]
EACH = {"a.": ["10.0.0.1"], "b.": ["10.0.0.2"], "c.": ["10.0.0.3"]}


def test_lowest_priority_is_called_and_the_next_one_has_rank_two() -> None:
    assert shares(PAIR, EACH) == {"10.0.0.1": 3, "10.0.0.2": 1}
    assert shares(PAIR, EACH, rank=2) == {"10.0.0.3": 7}
    assert shares(PAIR, EACH, rank=3) == {}


def test_priority_without_an_address_is_passed_over() -> None:
    assert shares(PAIR, {"a.": [], "c.": ["10.0.0.3"]}) == {"10.0.0.3": 7}


def test_weights_that_are_all_zero_say_nothing() -> None:
    assert shares([Service(0, 0, 80, "a."), Service(0, 0, 80, "b.")], EACH) == {"10.0.0.1": None, "10.0.0.2": None}


def test_one_weight_of_zero_is_a_very_small_share_and_no_drain() -> None:
    assert shares([Service(0, 2, 80, "a."), Service(0, 0, 80, "b.")], EACH) == {"10.0.0.1": 200, "10.0.0.2": 1}


def test_target_with_several_addresses_divides_its_share() -> None:
    found = shares(
        [Service(0, 3, 80, "a."), Service(0, 1, 80, "b.")], {"a.": ["10.0.0.1"], "b.": ["10.0.1.1", "10.0.1.2"]}
    )
    assert found == {"10.0.0.1": 6, "10.0.1.1": 1, "10.0.1.2": 1}


@settings(deadline=None)
@given_any(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 65535), st.integers(0, 40)), max_size=12), st.integers(1, 4)
)
def test_every_share_is_a_weight_that_gets_calls(rows: list[tuple[int, int, int]], rank: int) -> None:
    services = [Service(priority, weight, 80, f"{n}.") for n, (priority, weight, _) in enumerate(rows)]
    addresses = {f"{n}.": [f"10.0.{n}.{k}" for k in range(count)] for n, (_, _, count) in enumerate(rows)}
    chosen = choose(services, addresses, rank)
    assert len({each.service.priority for each in chosen}) <= 1
    assert all(each.weight is None or 1 <= each.weight <= MAX_WEIGHT for each in chosen)
    if chosen:
        priority = chosen[0].service.priority
        assert len(chosen) == sum(count for own, _, count in rows if own == priority)


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("Chat", ["chat.ns.svc.", "chat.svc.", "chat."]),
        ("a.b.c.d.e.f", ["a.b.c.d.e.f.", "a.b.c.d.e.f.ns.svc.", "a.b.c.d.e.f.svc."]),
        ("chat.ns.", ["chat.ns."]),
    ],
)
def test_search_path_is_tried_in_the_order_of_the_system(name: str, names: list[str]) -> None:
    assert search_names(name, ["ns.svc.", "svc"], 5) == names
    assert search_names(name, [], 5) == [name.rstrip(".").lower() + "."]


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("10.0.0.2", Server("10.0.0.2", 53)),
        ("10.0.0.2:5353", Server("10.0.0.2", 5353)),
        ("fd00::1", Server("fd00::1", 53)),
        ("[fd00::1]", Server("fd00::1", 53)),
        ("[fd00::1]:8600", Server("fd00::1", 8600)),
    ],
)
def test_name_server_is_an_address_with_or_without_a_port(text: str, server: Server) -> None:
    assert Server.from_text(text) == server
    assert Server.from_text(str(server)) == server


@pytest.mark.parametrize(
    "text", ["", "ns.example.com", "10.0.0.2:", "10.0.0.2:0", "10.0.0.2:70000", "10.0.0.2:x", "[x]:1"]
)
def test_anything_else_is_no_name_server(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a name server|has no port"):
        Server.from_text(text)


@given_any(st.text(max_size=30))
def test_any_text_is_a_name_server_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert 1 <= Server.from_text(text).port <= 65535
