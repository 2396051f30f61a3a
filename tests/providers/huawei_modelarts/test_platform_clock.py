"""This machine's clock is wrong: it is named where it matters, and made up for after a refusal. No socket."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelarts_lab import AKSK, GATEWAY, LIST, NOON, PASSWORD, TOKEN, dated, login, refusal, route, talk, temporary_key

from directlane.core.endpoint import Endpoint
from directlane.core.errors import CredentialError
from directlane.core.interfaces import Query
from directlane.core.message import Headers, Reply, Request, header
from directlane.providers.huawei_modelarts.platform_clock import PlatformClock

REFUSED = refusal(401, "APIG.0301", "verify aksk signature fail")
AGENCY = {"type": "agency", "agency": "ops", "domain": "owner", "source": AKSK}
HOUR = 3600.0


def date_header(at: float) -> Headers:
    return (("Date", format_datetime(datetime.fromtimestamp(at, UTC), usegmt=True)),)


def signed_at(query: Query) -> float:
    text = header(query.headers, "X-Sdk-Date") or ""
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


# --- what is learned --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead", "sentence"),
    [
        (0, ""),
        (60, ""),
        (-60, ""),
        (61, " This machine's clock is 1 minute behind Huawei's."),
        (16 * 60, " This machine's clock is 16 minutes behind Huawei's."),
        (-HOUR, " This machine's clock is 60 minutes ahead of Huawei's."),
    ],
)
def test_a_difference_of_more_than_a_minute_is_named(ahead: float, sentence: str) -> None:
    clock = PlatformClock()
    clock.learn(date_header(NOON + ahead), NOON)
    assert clock.sentence() == sentence


@pytest.mark.parametrize("headers", [(), (("Date", ""),), (("Date", "soon"),), (("Date", "Mon, 99 Foo 9999"),)])
def test_an_answer_without_a_date_says_nothing(headers: Headers) -> None:
    clock = PlatformClock()
    clock.learn(headers, NOON)
    assert clock.difference == 0.0


def test_an_answer_that_came_late_is_no_wrong_clock() -> None:
    # Our time is that of the beginning of the question, which may have waited for its turn.
    clock = PlatformClock()
    clock.learn(date_header(NOON), NOON)
    clock.learn(date_header(NOON + 130), NOON)
    assert clock.sentence() == ""


def test_a_clock_that_was_put_right_is_right_after_three_answers() -> None:
    clock = PlatformClock()
    clock.learn(date_header(NOON - HOUR), NOON)
    assert clock.adopt()
    for _ in range(3):
        clock.learn(date_header(NOON), NOON)
    assert clock.sentence() == ""
    assert clock.adopt()
    assert clock.signing_time(NOON) == NOON


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_adopting_twice_makes_no_difference(differences: list[float]) -> None:
    # So a refusal that has another reason is not asked about again and again.
    clock = PlatformClock()
    for difference in differences:
        clock.learn(date_header(NOON + difference), NOON)
    clock.adopt()
    assert not clock.adopt()
    assert abs(clock.signing_time(NOON) - NOON - clock.difference) <= 60


# --- what is done with it ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
def test_a_refused_signature_is_dated_anew_by_huaweis_clock(ahead: float) -> None:
    discovery = route(credential=AKSK).discovery()
    told = talk(discovery, [dated(REFUSED, NOON + ahead), dated(LIST, NOON + ahead)])
    assert [signed_at(query) for query in told.queries] == [NOON, NOON + ahead]
    assert told.snapshot is not None
    later = talk(discovery, [dated(LIST, NOON + 10 + ahead)], at=NOON + 10)
    assert signed_at(later.queries[0]) == NOON + 10 + ahead


def test_a_strange_date_does_not_break_what_works() -> None:
    discovery = route(credential=AKSK).discovery()
    talk(discovery, [dated(LIST, 0.0)])
    assert signed_at(talk(discovery, [dated(LIST, 0.0)], at=NOON + 5).queries[0]) == NOON + 5


def test_a_signature_that_is_refused_at_the_right_time_is_not_sent_again() -> None:
    told = talk(route(credential=AKSK).discovery(), [dated(REFUSED, NOON + 30)])
    assert isinstance(told.error, CredentialError)
    assert "minutes" not in str(told.error).replace("15 minutes are allowed", "")


def test_a_refusal_that_stays_names_the_clock() -> None:
    told = talk(route(credential=AKSK).discovery(), [dated(REFUSED, NOON + HOUR)] * 2)
    assert isinstance(told.error, CredentialError)
    assert "This machine's clock is 60 minutes behind Huawei's." in str(told.error)
    assert len(told.queries) == 2


@pytest.mark.parametrize("credential", [TOKEN, PASSWORD])
def test_a_token_that_is_refused_at_once_names_the_clock_too(credential: dict[str, str]) -> None:
    stale = dated(refusal(401, "ModelArts.0202"), NOON - HOUR)
    answers = [stale] if credential is TOKEN else [login(), stale, login("MIInext"), stale]
    error = talk(route(credential=credential).discovery(), answers).error
    assert "This machine's clock is 60 minutes ahead of Huawei's." in str(error)


def test_taking_an_agency_on_makes_up_for_the_clock_and_the_list_needs_no_second_try() -> None:
    answers = [dated(REFUSED, NOON + HOUR), dated(temporary_key(at=NOON + HOUR), NOON + HOUR), dated(LIST, NOON + HOUR)]
    told = talk(route(credential=AGENCY).discovery(), answers)
    assert [signed_at(query) for query in told.queries] == [NOON, NOON + HOUR, NOON + HOUR]


def test_through_the_gateway_the_clock_is_made_up_for_after_a_refused_call() -> None:
    provider = route(GATEWAY, credential={"type": "ecs"})
    sign = provider.wire(Endpoint("infer.example.com", 443, scheme="https")).sign
    assert sign is not None
    key = dated(temporary_key(at=NOON + HOUR, status=200), NOON + HOUR)
    talk(provider.upkeep(), [Reply(404), key])
    assert header(sign(Request("POST", "/x"), NOON), "X-Sdk-Date") == "20270115T080000Z"
    talk(provider.upkeep(), [Reply(404), key], reauthenticate=True)
    assert header(sign(Request("POST", "/x"), NOON), "X-Sdk-Date") == "20270115T090000Z"


@pytest.mark.parametrize("wrong", [-5 * HOUR, -HOUR, 0.0, HOUR, 5 * HOUR])
def test_a_new_credential_is_renewed_before_its_end_whatever_our_clock_says(wrong: float) -> None:
    # Their clock: it is issued at NOON and lives four hours. Ours is wrong.
    ours = NOON + wrong
    discovery = route(credential=PASSWORD).discovery()
    talk(discovery, [dated(login(life=4 * HOUR), NOON), dated(LIST, NOON)], at=ours)
    end = ours + 4 * HOUR
    told = talk(discovery, [login("MIInext"), LIST], at=end - 1)
    assert told.tokens[-1] == "MIInext"
