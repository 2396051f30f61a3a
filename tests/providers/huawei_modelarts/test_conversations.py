"""What is asked and how answers are read: conversations without a socket, with the time as an argument."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from modelarts_lab import AKSK, DAY, DIRECT, GATEWAY, LIST, NOON, PASSWORD, TOKEN, login, refusal, route, talk

from directlane.core.endpoint import Endpoint, Snapshot
from directlane.core.errors import (
    ConfigError,
    CredentialError,
    DiscoveryError,
    DiscoveryRefused,
    DiscoveryThrottled,
    DiscoveryUnreadable,
    Phase,
    TransportError,
)
from directlane.core.fields import Secret
from directlane.core.interfaces import AddressSource, EmptyAnswer, PollContext, Query
from directlane.core.message import Headers, Reply, Request, header
from directlane.providers.huawei_modelarts.host_endpoints import read_host_endpoints
from directlane.providers.huawei_modelarts.provider import HuaweiModelArtsProvider

# --- the question -----------------------------------------------------------------------------------------------------


def test_the_list_is_asked_for_with_the_token() -> None:
    (query,) = talk(route().discovery(), [LIST]).queries
    assert query.method == "GET"
    assert query.url == (
        "https://modelarts.cn-north-4.myhuaweicloud.com/v1/p/services/s/predict/endpoints?type=host_endpoints"
    )
    assert header(query.headers, "X-Auth-Token") == "MIIready"


def test_the_list_is_asked_for_with_a_signature() -> None:
    (query,) = talk(route(credential=AKSK).discovery(), [LIST]).queries
    assert header(query.headers, "X-Project-Id") == "p"
    assert "SignedHeaders=accept;host;x-project-id;x-sdk-date," in (header(query.headers, "Authorization") or "")
    assert "SKhidden" not in str(query.headers)


def test_an_endpoint_of_ones_own_is_asked_instead() -> None:
    (query,) = talk(route(DIRECT, {"endpoint": "http://127.0.0.1:9/"}).discovery(), [LIST]).queries
    assert query.url.startswith("http://127.0.0.1:9/v1/p/services/s/")


def test_the_answer_becomes_endpoints_and_the_body_is_kept() -> None:
    snapshot = talk(route().discovery(), [LIST]).snapshot
    assert snapshot is not None
    assert [endpoint.url for endpoint in snapshot.endpoints] == ["http://10.0.0.1:80"]
    assert snapshot.raw == LIST.content


def test_addresses_are_learned_and_an_empty_list_keeps_the_last_one() -> None:
    discovery = route().discovery()
    assert discovery.addresses is AddressSource.LEARNED
    assert discovery.empty_answer is EmptyAnswer.KEEP
    assert talk(discovery, [Reply(200, content=b'{"endpoints":[]}')]).snapshot == Snapshot(raw=b'{"endpoints":[]}')


@pytest.mark.parametrize(
    ("credential", "user", "tenant"), [(PASSWORD, "acme/alice", "acme"), (TOKEN, "token-", "project-p")]
)
def test_each_question_spends_the_budgets_of_user_and_account(
    credential: dict[str, Any], user: str, tenant: str
) -> None:
    provider = route(credential=credential)
    answers = [login(), LIST] if credential is PASSWORD else [LIST]
    query = talk(provider.discovery(), answers).queries[-1]
    assert query.budgets == provider.budgets()
    per_user, per_tenant = query.budgets
    assert (per_user.limit, per_user.window) == (20, 60.0)
    assert (per_tenant.limit, per_tenant.window) == (2000, 60.0)
    assert per_user.name.startswith(f"modelarts/cn-north-4/user/{user}")
    assert per_tenant.name == f"modelarts/cn-north-4/tenant/{tenant}"
    assert "MIIready" not in per_user.name


def test_a_second_question_of_one_conversation_spends_too() -> None:
    told = talk(route(credential=PASSWORD).discovery(), [login(), refusal(401, "APIG.0307"), login("MIInext"), LIST])
    assert [len(query.budgets) for query in told.queries] == [1, 2, 1, 2]


# --- the password login -----------------------------------------------------------------------------------------------


def test_login_asks_iam_for_a_token_of_the_project() -> None:
    told = talk(route(credential=PASSWORD).discovery(), [login(), LIST])
    first, second = told.queries
    assert (first.method, first.url) == (
        "POST",
        "https://iam.cn-north-4.myhuaweicloud.com/v3/auth/tokens?nocatalog=true",
    )
    assert json.loads(first.content) == {
        "auth": {
            "identity": {
                "methods": ["password"],
                "password": {"user": {"name": "alice", "password": "hunter2", "domain": {"name": "acme"}}},
            },
            "scope": {"project": {"id": "p"}},
        }
    }
    assert header(second.headers, "X-Auth-Token") == "MIIfirst"


def test_the_token_is_kept_until_forty_minutes_before_its_end() -> None:
    discovery = route(credential=PASSWORD).discovery()
    talk(discovery, [login(), LIST])
    assert talk(discovery, [LIST], at=NOON + DAY - 2401).tokens == ["MIIfirst"]
    assert talk(discovery, [login("MIInext"), LIST], at=NOON + DAY - 2399).tokens == [None, "MIInext"]


def test_discoveries_of_one_route_share_the_token() -> None:
    provider = route(credential=PASSWORD)
    talk(provider.discovery(), [login(), LIST])
    assert talk(provider.discovery(), [LIST]).tokens == ["MIIfirst"]


def test_a_short_token_is_renewed_at_half_its_life() -> None:
    discovery = route(credential=PASSWORD).discovery()
    talk(discovery, [login(life=100), LIST])
    assert talk(discovery, [LIST], at=NOON + 49).tokens == ["MIIfirst"]
    assert talk(discovery, [login("MIInext"), LIST], at=NOON + 51).tokens[-1] == "MIInext"


@pytest.mark.parametrize("ahead", [-3 * DAY, -3600.0, 3600.0, 3 * DAY])
def test_a_wrong_clock_does_not_make_us_log_in_each_time(ahead: float) -> None:
    discovery = route(credential=PASSWORD).discovery()
    talk(discovery, [login(), LIST], at=NOON + ahead)
    assert talk(discovery, [LIST], at=NOON + ahead + 60).tokens == ["MIIfirst"]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"token": 5}', b'{"token": {"expires_at": "soon"}}', b"[" * 99_999])
def test_an_answer_without_end_date_is_taken_for_a_day(body: bytes) -> None:
    discovery = route(credential=PASSWORD).discovery()
    talk(discovery, [Reply(201, (("X-Subject-Token", "MIIfirst"),), body), LIST])
    assert talk(discovery, [LIST], at=NOON + DAY - 2401).tokens == ["MIIfirst"]


@pytest.mark.parametrize("headers", [(), (("X-Subject-Token", ""),), (("X-Subject-Token", "a b"),)])
def test_a_login_without_usable_token_is_unreadable(headers: Headers) -> None:
    assert isinstance(talk(route(credential=PASSWORD).discovery(), [Reply(201, headers)]).error, DiscoveryUnreadable)


@pytest.mark.parametrize("code", ["APIG.0307", "ModelArts.0202"])
def test_a_token_that_ended_early_is_renewed_once(code: str) -> None:
    discovery = route(credential=PASSWORD).discovery()
    talk(discovery, [login(), LIST])
    told = talk(discovery, [refusal(401, code), login("MIInext"), LIST])
    assert told.tokens == ["MIIfirst", None, "MIInext"]
    assert told.snapshot is not None


def test_a_new_token_that_is_refused_too_is_not_renewed_again() -> None:
    told = talk(
        route(credential=PASSWORD).discovery(),
        [login(), refusal(401, "APIG.0307"), login("MIInext"), refusal(401, "APIG.0307")],
    )
    assert isinstance(told.error, CredentialError)
    assert not told.error.permanent


@pytest.mark.parametrize("says", [DAY, -DAY, 0.0])
def test_a_platform_that_refuses_whatever_comes_does_not_get_a_login_for_each_question(says: float) -> None:
    # For an hour, every five seconds. `says`: how long the new tokens live, as IAM says; they may have ended already.
    discovery = route(DIRECT, {"iam_endpoint": "http://127.0.0.1:9"}, credential=PASSWORD).discovery()
    logins = 0
    for number in range(720):
        now = NOON + 5.0 * number
        conversation = discovery.poll(PollContext(now))
        query, failed = next(conversation), False
        while not failed:
            assert isinstance(query, Query)
            is_login = query.url.startswith("http://127.0.0.1:9/")
            logins += is_login
            answer = login(f"MII{logins}", at=now, life=says) if is_login else refusal(401, "ModelArts.0202")
            try:
                query = conversation.send(answer)
            except CredentialError:
                failed = True
    assert logins <= 62


def test_reauthenticate_renews_before_asking() -> None:
    discovery = route(credential=PASSWORD).discovery()
    talk(discovery, [login(), LIST])
    assert talk(discovery, [login("MIInext"), LIST], reauthenticate=True).tokens == [None, "MIInext"]


@pytest.mark.parametrize("answer", [refusal(401, "ModelArts.0207"), Reply(401)])
def test_a_refusal_that_a_new_token_does_not_cure_is_final_for_this_poll(answer: Reply) -> None:
    told = talk(route(credential=PASSWORD).discovery(), [login(), answer])
    assert isinstance(told.error, CredentialError)


@pytest.mark.parametrize("answer", [refusal(401, "IAM.0011"), Reply(401), refusal(403, "IAM.0061")])
def test_a_wrong_password_is_sent_once_and_never_again(answer: Reply) -> None:
    provider = route(credential=PASSWORD)
    first = talk(provider.discovery(), [answer])
    assert isinstance(first.error, CredentialError)
    assert first.error.permanent
    for at in (NOON + 1, NOON + 2 * DAY):
        again = talk(provider.discovery(), [], at=at, reauthenticate=True)
        assert again.queries == []
        assert isinstance(again.error, CredentialError)
        assert again.error.permanent
    assert "hunter2" not in str(first.error)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(403, "IAM.0005"), CredentialError),
        (refusal(400, "IAM.0002"), CredentialError),
        (refusal(500, "IAM.0006"), DiscoveryRefused),
        (refusal(429, "IAM.0012"), DiscoveryThrottled),
        (TransportError("no answer", phase=Phase.WAIT), TransportError),
    ],
)
def test_a_login_that_may_work_later_is_tried_again(answer: Reply | TransportError, kind: type[Exception]) -> None:
    discovery = route(credential=PASSWORD).discovery()
    assert isinstance(talk(discovery, [answer]).error, kind)
    assert talk(discovery, [login(), LIST]).snapshot is not None


@pytest.mark.parametrize("answer", [Reply(503), Reply(429), TransportError("no answer", phase=Phase.WAIT)])
def test_while_iam_is_away_the_old_token_serves_to_its_end(answer: Reply | TransportError) -> None:
    discovery = route(credential=PASSWORD).discovery()
    talk(discovery, [login(), LIST])
    near_end = NOON + DAY - 300
    assert talk(discovery, [answer, LIST], at=near_end).tokens == [None, "MIIfirst"]
    assert talk(discovery, [LIST], at=near_end + 29).tokens == ["MIIfirst"]
    assert talk(discovery, [answer, LIST], at=near_end + 31).tokens == [None, "MIIfirst"]
    assert talk(discovery, [answer], at=NOON + DAY + 1).error is not None


# --- refusals of the list ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (refusal(401, "ModelArts.0202"), CredentialError, "the token has ended"),
        (refusal(403, "ModelArts.0206"), CredentialError, "status 403, ModelArts.0206"),
        (refusal(403, "ModelArts.0112"), DiscoveryRefused, "permissions"),
        (refusal(404, "ModelArts.3502"), DiscoveryRefused, "service_id"),
        (Reply(500, content=b"<html>"), DiscoveryRefused, "status 500"),
        (Reply(302, (("Location", "http://elsewhere/"),)), DiscoveryRefused, "status 302"),
        (Reply(200, content=b"<html>"), DiscoveryUnreadable, "HTML"),
        (Reply(204), DiscoveryRefused, "status 204"),
    ],
)
def test_refusals_say_what_and_what_next(answer: Reply, kind: type[DiscoveryError], text: str) -> None:
    error = talk(route().discovery(), [answer]).error
    assert type(error) is kind
    assert text in str(error)
    assert "MIIready" not in str(error)


def test_a_ready_token_is_not_renewed() -> None:
    assert len(talk(route().discovery(), [refusal(401, "APIG.0307")]).queries) == 1


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (refusal(429, "APIG.0308", "policy user over ratelimit,limit:20,time:1 minute"), 60.0),
        (refusal(429, "APIG.0308", "limit:20,time:1 minute", (("Retry-After", "7"),)), 7.0),
        (refusal(429, "ModelArts.2799"), None),
        (Reply(429), None),
    ],
)
def test_throttled(answer: Reply, seconds: float | None) -> None:
    error = talk(route().discovery(), [answer]).error
    assert isinstance(error, DiscoveryThrottled)
    assert error.retry_after == seconds


def test_no_secret_is_shown_when_the_platform_repeats_it() -> None:
    secrets = {"hunter2", "MIIfirst", "MIIready", "SKhidden"}
    echo = refusal(403, "X.1", f"you sent {' '.join(secrets)}")
    errors = [
        talk(route().discovery(), [echo]).error,
        talk(route(credential=AKSK).discovery(), [echo]).error,
        talk(route(credential=PASSWORD).discovery(), [login(), echo]).error,
        talk(route(credential=PASSWORD).discovery(), [echo]).error,
    ]
    for error, own in zip(errors, ("MIIready", "SKhidden", "MIIfirst", "hunter2"), strict=True):
        assert own not in str(error)
        assert "X.1" in str(error)


# --- parsers of one's own ---------------------------------------------------------------------------------------------


def parse_nothing(body: bytes) -> Snapshot:
    return Snapshot(attributes={"size": len(body)})


def parse_badly(body: bytes) -> Snapshot:
    raise KeyError(body.decode())


NOT_A_FUNCTION = 5


def parser_named(name: str, monkeypatch: pytest.MonkeyPatch) -> HuaweiModelArtsProvider:
    import sys

    monkeypatch.setitem(sys.modules, "my_parsers", sys.modules[__name__])
    return route(DIRECT, {"parser": f"my_parsers:{name}"})


def test_a_parser_of_ones_own_reads_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = talk(parser_named("parse_nothing", monkeypatch).discovery(), [LIST]).snapshot
    assert snapshot is not None
    assert snapshot.attributes == {"size": len(LIST.content)}
    assert snapshot.raw == LIST.content


def test_a_parser_that_fails_is_named_and_the_body_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    error = talk(parser_named("parse_badly", monkeypatch).discovery(), [LIST]).error
    assert isinstance(error, DiscoveryUnreadable)
    assert "my_parsers:parse_badly failed with KeyError" in str(error)
    assert "10.0.0.1" not in str(error)


@pytest.mark.parametrize(("name", "text"), [("missing", "AttributeError"), ("NOT_A_FUNCTION", "not a function")])
def test_a_parser_that_is_not_there_is_a_configuration_error(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=text):
        parser_named(name, monkeypatch).discovery()
    with pytest.raises(ConfigError, match="ModuleNotFoundError"):
        route(DIRECT, {"parser": "no_such_module_here:f"}).discovery()


def test_the_built_in_parser_can_be_named() -> None:
    name = f"{read_host_endpoints.__module__}:read_host_endpoints"
    assert talk(route(DIRECT, {"parser": name}).discovery(), [LIST]).snapshot is not None


# --- the gateway ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("credential", [TOKEN, AKSK])
def test_the_gateway_is_one_fixed_endpoint(credential: dict[str, Any]) -> None:
    discovery = route(GATEWAY, credential=credential).discovery()
    told = talk(discovery, [])
    assert told.queries == []
    assert told.snapshot is not None
    assert told.snapshot.ask_again_in == math.inf
    assert [endpoint.url for endpoint in told.snapshot.endpoints] == ["https://infer.example.com:443/v1/infers/s"]
    assert discovery.addresses is AddressSource.CONFIGURED


def test_the_gateway_is_one_fixed_endpoint_whatever_is_kept_fresh_for_its_calls() -> None:
    told = talk(route(GATEWAY, credential=PASSWORD).discovery(), [])
    assert told.snapshot is not None
    assert told.snapshot.ask_again_in == math.inf


def sent_token(provider: HuaweiModelArtsProvider) -> str | None:
    wire = provider.wire(Endpoint("infer.example.com", 443, scheme="https"))
    assert wire.sign is not None
    return header(wire.sign(Request("POST", "/v1/infers/s"), NOON), "X-Auth-Token")


def test_with_a_password_the_gateways_token_is_fetched_and_renewed() -> None:
    provider = route(GATEWAY, credential=PASSWORD)
    first = talk(provider.upkeep(), [login()])
    assert first.snapshot is not None
    assert first.snapshot.endpoints == ()
    # However the interval is jittered, the token is looked at before its end.
    assert (first.snapshot.ask_again_in or 0) <= 600 / 1.5
    assert sent_token(provider) == "MIIfirst"
    quiet = talk(provider.upkeep(), [], at=NOON + 300)
    assert quiet.queries == []
    later = talk(provider.upkeep(), [login("MIInext")], at=NOON + DAY - 500)
    assert later.snapshot is not None
    assert sent_token(provider) == "MIInext"


def test_reauthenticate_renews_the_gateways_token() -> None:
    provider = route(GATEWAY, credential=PASSWORD)
    talk(provider.upkeep(), [login()])
    talk(provider.upkeep(), [login("MIInext")], reauthenticate=True)
    assert sent_token(provider) == "MIInext"


@pytest.mark.parametrize(("access", "credential"), [(DIRECT, PASSWORD), (GATEWAY, TOKEN), (GATEWAY, AKSK)])
def test_nothing_is_kept_fresh_where_calls_need_nothing(access: dict[str, Any], credential: dict[str, Any]) -> None:
    assert route(access, credential=credential).upkeep() is None


def test_routes_share_a_question_only_if_the_answer_serves_both() -> None:
    assert route().discovery().identity == route().discovery().identity
    assert route(credential=PASSWORD).discovery().identity == route(credential=PASSWORD).discovery().identity
    assert route().discovery().identity != route(DIRECT, {"service_id": "t"}).discovery().identity
    other = {**PASSWORD, "password": "other"}
    assert route(credential=PASSWORD).discovery().identity != route(credential=other).discovery().identity
    for discovery in (route().discovery(), route(GATEWAY).discovery(), route(credential=AKSK).discovery()):
        hash(discovery.identity)
        assert not any(secret in repr(discovery.identity) for secret in ("hunter2", "MIIready", "SKhidden"))


def test_each_route_through_the_gateway_keeps_the_token_that_its_calls_take() -> None:
    one, two = (route(GATEWAY, credential=PASSWORD).upkeep() for _ in range(2))
    assert one is not None
    assert two is not None
    hash(one.identity)
    assert one.identity != two.identity


def test_only_a_password_can_be_refused_for_good() -> None:
    assert route(credential=TOKEN).discovery().credential is None
    assert route(credential=AKSK).discovery().credential is None
    refusable = route(credential=PASSWORD).discovery().credential
    assert refusable is not None
    assert "hunter2" not in repr(refusable)
    # The same login for another service or project, or through the gateway, is the same credential.
    assert refusable == route({**DIRECT, "service_id": "t"}, credential=PASSWORD).discovery().credential
    assert refusable == route({**DIRECT, "project_id": "q"}, credential=PASSWORD).discovery().credential
    kept = route(GATEWAY, credential=PASSWORD).upkeep()
    assert kept is not None
    assert kept.credential == refusable
    for other in ({"password": "other"}, {"user": "bob"}, {"domain": "other"}):
        assert refusable != route(credential={**PASSWORD, **other}).discovery().credential
    assert (
        refusable != route(DIRECT, {"iam_endpoint": "http://127.0.0.1:1"}, credential=PASSWORD).discovery().credential
    )


def test_secrets_are_in_no_repr() -> None:
    for credential in (TOKEN, PASSWORD, AKSK):
        for access in (DIRECT, GATEWAY):
            provider = route(access, {"headers": {"X-Key": "MIIready"}}, credential=credential)
            discovery = provider.discovery()
            upkeep = provider.upkeep()
            logins = [login()] if credential is PASSWORD else []
            kept = talk(upkeep, logins) if upkeep is not None else None
            told = talk(discovery, [*logins, LIST] if access is DIRECT else [])
            assert told.snapshot is not None
            wire = provider.wire(told.snapshot.endpoints[0])
            shown = repr(
                (provider, discovery, upkeep, kept, told, wire, provider.model_dump(), provider.model_dump_json())
            )
            assert not any(secret in shown for secret in ("hunter2", "MIIready", "MIIfirst", "SKhidden"))
    assert "hunter2" not in repr(Secret("hunter2"))
