"""Agencies and the metadata server: how a temporary key is asked for, kept and renewed. No socket."""

from __future__ import annotations

import json
from typing import Any

import pytest
from modelarts_lab import AKSK, DIRECT, GATEWAY, LIST, NOON, PASSWORD, TOKEN, login, refusal, route, talk, temporary_key

from directlane.core.endpoint import Endpoint
from directlane.core.errors import (
    CredentialError,
    DiscoveryError,
    DiscoveryRefused,
    DiscoveryUnreadable,
    Phase,
    TransportError,
)
from directlane.core.interfaces import Query
from directlane.core.message import Reply, Request, header

AGENCY = {"type": "agency", "agency": "ops", "domain": "owner", "source": AKSK}
ECS = {"type": "ecs"}
PLAIN = Reply(404)
HARDENED = Reply(200, content=b"metadata-token\n")
AWAY = TransportError("no answer", phase=Phase.WAIT)


def signed_with(query: Query) -> str | None:
    found = (header(query.headers, "Authorization") or "").partition("Access=")[2]
    return found.partition(",")[0] or None


def key() -> Reply:
    return temporary_key(status=200)


# --- an agency --------------------------------------------------------------------------------------------------------


def test_an_agency_is_taken_on_with_a_signature_and_the_list_asked_with_its_key() -> None:
    told = talk(route(credential=AGENCY).discovery(), [temporary_key(), LIST])
    taken, listed = told.queries
    assert (taken.method, taken.url) == (
        "POST",
        "https://iam.cn-north-4.myhuaweicloud.com/v3.0/OS-CREDENTIAL/securitytokens",
    )
    assert json.loads(taken.content) == {
        "auth": {
            "identity": {
                "methods": ["assume_role"],
                "assume_role": {"domain_name": "owner", "agency_name": "ops", "duration_seconds": 3600},
            }
        }
    }
    # The project is the owner's: who takes the agency on must not name it.
    assert (signed_with(taken), header(taken.headers, "X-Project-Id")) == ("AK", None)
    assert (signed_with(listed), header(listed.headers, "X-Security-Token")) == ("AKone", "STonehidden")
    assert header(listed.headers, "X-Project-Id") == "p"


def test_with_a_password_an_agency_is_taken_on_by_a_token_of_the_whole_account() -> None:
    told = talk(route(credential={**AGENCY, "source": PASSWORD}).discovery(), [login(), temporary_key(), LIST])
    scope = json.loads(told.queries[0].content)["auth"]["scope"]
    assert scope == {"domain": {"name": "acme"}}
    assert told.tokens == [None, "MIIfirst", None]


def test_an_agencys_limits_are_its_own_and_the_owners() -> None:
    provider = route(credential=AGENCY)
    names = [budget.name for budget in provider.budgets()]
    assert names == ["modelarts/cn-north-4/user/agency/owner/ops", "modelarts/cn-north-4/tenant/owner"]
    assert talk(provider.discovery(), [temporary_key(), LIST]).queries[-1].budgets == provider.budgets()


def test_a_temporary_key_is_renewed_at_half_of_a_short_life_and_forty_minutes_before_a_long_ones_end() -> None:
    for life, due in ((3600.0, 1800.0), (86_400.0, 86_400.0 - 2400.0)):
        discovery = route(credential=AGENCY).discovery()
        talk(discovery, [temporary_key(life=life), LIST])
        assert len(talk(discovery, [LIST], at=NOON + due - 1).queries) == 1
        later = talk(discovery, [temporary_key("two", at=NOON + due, life=life), LIST], at=NOON + due + 1)
        assert signed_with(later.queries[-1]) == "AKtwo"


@pytest.mark.parametrize("answer", [AWAY, Reply(503), Reply(429), Reply(200, content=b"<html>"), refusal(403, "IAM.1")])
def test_while_iam_gives_no_new_key_the_old_one_serves_to_its_end(answer: Reply | TransportError) -> None:
    discovery = route(credential=AGENCY).discovery()
    talk(discovery, [temporary_key(), LIST])
    assert signed_with(talk(discovery, [answer, LIST], at=NOON + 3500).queries[-1]) == "AKone"
    assert talk(discovery, [answer], at=NOON + 3601).error is not None


@pytest.mark.parametrize("code", ["APIG.0301", "APIG.0303", "APIG.0305", "APIG.0307", "ModelArts.0202"])
def test_a_key_that_ended_early_is_replaced_once(code: str) -> None:
    discovery = route(credential=AGENCY).discovery()
    talk(discovery, [temporary_key(), LIST])
    told = talk(discovery, [refusal(401, code), temporary_key("two"), LIST])
    assert [signed_with(query) for query in told.queries] == ["AKone", "AK", "AKtwo"]
    again = talk(discovery, [refusal(401, code), temporary_key("three"), refusal(401, code)], at=NOON + 61)
    assert isinstance(again.error, CredentialError)
    assert not again.error.permanent


def test_the_same_key_is_not_tried_again_when_nothing_better_comes() -> None:
    discovery = route(credential=AGENCY).discovery()
    told = talk(discovery, [temporary_key(), refusal(403, "ModelArts.0206"), temporary_key()])
    assert isinstance(told.error, CredentialError)


def test_a_wrong_password_behind_an_agency_is_sent_once() -> None:
    discovery = route(credential={**AGENCY, "source": PASSWORD}).discovery()
    assert discovery.credential is not None
    first = talk(discovery, [Reply(401)])
    again = talk(discovery, [], at=NOON + 9999)
    for told in (first, again):
        assert isinstance(told.error, CredentialError)
        assert told.error.permanent
    assert "hunter2" not in str(first.error)


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (refusal(403, "IAM.0003"), CredentialError, "Agent Operator"),
        (refusal(404, "IAM.0004"), CredentialError, "agency 'ops' of account 'owner' to access key AK"),
        (refusal(500, "IAM.0006"), DiscoveryRefused, "IAM.0006"),
        (Reply(201, content=b"{}"), DiscoveryUnreadable, "no usable key"),
        (Reply(201, content=b"[" * 99_999), DiscoveryUnreadable, "no usable key"),
        (Reply(201, content=b'{"credential": {"access": "a", "secret": "b"}}'), DiscoveryUnreadable, "no usable key"),
        (
            Reply(201, content=b'{"credential": {"access": "a,b", "secret": "b", "securitytoken": "c"}}'),
            DiscoveryUnreadable,
            "no usable",
        ),
    ],
)
def test_what_iam_says_about_an_agency_is_told(answer: Reply, kind: type[DiscoveryError], text: str) -> None:
    error = talk(route(credential=AGENCY).discovery(), [answer]).error
    assert type(error) is kind
    assert text in str(error)
    assert "SKhidden" not in str(error)


def test_calls_through_the_gateway_are_signed_with_the_agencys_key() -> None:
    provider = route(GATEWAY, credential=AGENCY)
    sign = provider.wire(Endpoint("infer.example.com", 443, scheme="https")).sign
    assert sign is not None
    assert sign(Request("POST", "/x"), NOON) == ()
    talk(provider.upkeep(), [temporary_key()])
    added = sign(Request("POST", "/x", content=b"{}"), NOON)
    assert header(added, "X-Security-Token") == "STonehidden"
    with pytest.raises(ValueError, match="pass bytes"):
        sign(Request("POST", "/x", content=iter([b"a"])), NOON)


# --- the metadata server ----------------------------------------------------------------------------------------------


def test_a_plain_metadata_server_is_asked_without_a_token() -> None:
    told = talk(route(credential=ECS).discovery(), [PLAIN, key(), LIST])
    first, second, listed = told.queries
    assert (first.method, first.url) == ("PUT", "http://169.254.169.254/meta-data/latest/api/token")
    assert header(first.headers, "X-Metadata-Token-Ttl-Seconds") == "21600"
    assert (second.method, second.url) == ("GET", "http://169.254.169.254/openstack/latest/securitykey")
    assert second.headers == ()
    assert signed_with(listed) == "AKone"


@pytest.mark.parametrize("status", [404, 405, 503])
def test_a_server_without_the_hardened_mode_is_plain(status: int) -> None:
    assert talk(route(credential=ECS).discovery(), [Reply(status), key(), LIST]).snapshot is not None


def test_a_hardened_metadata_server_gives_a_token_first_which_is_kept() -> None:
    discovery = route(credential=ECS).discovery()
    told = talk(discovery, [HARDENED, key(), LIST])
    assert header(told.queries[1].headers, "X-Metadata-Token") == "metadata-token"
    later = talk(discovery, [temporary_key("two", at=NOON + 3000, status=200), LIST], at=NOON + 3000)
    assert header(later.queries[0].headers, "X-Metadata-Token") == "metadata-token"


def test_a_metadata_token_that_ended_is_replaced_once() -> None:
    discovery = route(credential=ECS).discovery()
    talk(discovery, [HARDENED, key(), LIST])
    another = Reply(200, content=b"another-token")
    told = talk(
        discovery, [Reply(401), another, temporary_key("two", at=NOON + 3000, status=200), LIST], at=NOON + 3000
    )
    assert header(told.queries[2].headers, "X-Metadata-Token") == "another-token"
    late = talk(discovery, [Reply(401), another, Reply(401)], at=NOON + 9000)
    assert isinstance(late.error, DiscoveryRefused)


def test_a_server_that_becomes_hardened_is_followed() -> None:
    discovery = route(credential=ECS).discovery()
    talk(discovery, [PLAIN, key(), LIST])
    told = talk(
        discovery, [PLAIN, Reply(401), HARDENED, temporary_key("two", at=NOON + 3000, status=200), LIST], at=NOON + 3000
    )
    assert told.snapshot is not None


def test_an_ecs_without_agency_is_named() -> None:
    told = talk(
        route(credential=ECS).discovery(), [PLAIN, Reply(401, content=b"Please configure Cloud Service Agency first.")]
    )
    assert isinstance(told.error, CredentialError)
    assert not told.error.permanent
    assert "no agency is bound to this ECS" in str(told.error)
    assert "Next: bind an agency" in str(told.error)


def test_no_metadata_server_says_where_this_credential_works() -> None:
    told = talk(route(credential=ECS).discovery(), [AWAY])
    assert isinstance(told.error, DiscoveryError)
    assert "works on an ECS only" in str(told.error)


@pytest.mark.parametrize(
    "answers", [[Reply(400)], [Reply(200, content=b"a b")], [Reply(200)], [PLAIN, Reply(500)], [PLAIN, Reply(200)]]
)
def test_a_strange_metadata_server_is_an_agreed_error(answers: list[Reply]) -> None:
    assert isinstance(talk(route(credential=ECS).discovery(), answers).error, DiscoveryError)


def test_a_key_near_its_end_is_not_asked_for_with_each_question() -> None:
    # The server hands out the same key until it is about to end.
    discovery = route(credential=ECS).discovery()
    talk(discovery, [PLAIN, key(), LIST])
    same = temporary_key(life=3600, status=200)
    assert len(talk(discovery, [PLAIN, same, LIST], at=NOON + 3000).queries) == 3
    assert len(talk(discovery, [LIST], at=NOON + 3005).queries) == 1


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({**AGENCY, "duration": "14m"}, "15 minutes to 24 hours"),
        ({**AGENCY, "duration": "25h"}, "15 minutes to 24 hours"),
        ({**AGENCY, "source": {**TOKEN, "token": "hunter2 x"}}, "cannot be sent"),
        ({**AGENCY, "source": ECS}, "source"),
        ({**AGENCY, "agency": ""}, "agency"),
        ({**ECS, "metadata_endpoint": "169.254.169.254"}, "write a URL"),
        ({"type": "profile", "file": ""}, "file"),
        ({"type": "environment", "ak": "hunter2"}, "ak"),
    ],
)
def test_mistakes_in_a_credential_are_named_and_values_are_not_shown(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named) as caught:
        route(DIRECT, credential=settings)
    assert "hunter2" not in str(caught.value)
