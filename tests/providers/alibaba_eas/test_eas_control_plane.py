"""The control plane: what is asked, what is read, and what each refusal says. Without a socket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directlane.core.endpoint import Snapshot
from directlane.core.errors import (
    CredentialError,
    DiscoveryError,
    DiscoveryRefused,
    DiscoveryThrottled,
    DiscoveryUnreadable,
    Phase,
    TransportError,
)
from directlane.core.fields import Secret
from directlane.core.interfaces import LocalQuery, PollContext, Query
from directlane.core.interfaces.discovery import Step
from directlane.core.message import Reply
from directlane.providers.alibaba_eas.control_plane import ControlPlane, InstanceSource, read_instances, read_token
from directlane.providers.alibaba_eas.credentials import ChainKey, FixedKey
from directlane.providers.alibaba_eas.discovery import EasDiscovery
from directlane.providers.alibaba_eas.signing import AccessKey

SECRET = "platypus-secret"
SESSION = "platypus-session"
NOW = 1_800_000_000.0
DISCOVERED = Reply(200, content=b'{"endpoints": {"items": [{"ip": "10.0.0.1", "port": 50000, "weight": 100}]}}')
AWAY = TransportError("cannot connect", phase=Phase.CONNECT)


def plane(origin: str = "https://pai-eas.cn-hangzhou.aliyuncs.com") -> ControlPlane:
    numbers = count(1)
    keys = FixedKey(AccessKey("LTAI", Secret(SECRET), Secret(SESSION)))
    return ControlPlane(origin, "cn-hangzhou", "svc", keys, nonce=lambda: f"n{next(numbers)}")


def talk(steps: Generator[Step, Reply, object], *answers: Reply | Exception) -> tuple[list[Query], object]:
    """What was asked, and what came of it."""
    asked: list[Query] = []
    remaining = iter(answers)
    try:
        query = next(steps)
        while True:
            assert isinstance(query, Query)
            asked.append(query)
            answer = next(remaining)
            query = steps.send(answer) if isinstance(answer, Reply) else steps.throw(answer)
    except StopIteration as end:
        return asked, end.value


def answer(**fields: object) -> Reply:
    return Reply(200, content=json.dumps(fields).encode())


def refusal(status: int, code: str = "", message: str = "no") -> Reply:
    body = {"Code": code, "Message": message, "RequestId": "R-1"} if code else {}
    return Reply(status, content=json.dumps(body).encode())


def entry(number: int = 1, **changes: object) -> dict[str, object]:
    return {
        "InstanceName": f"svc-{number}",
        "ExternalIP": f"172.16.0.{number}",
        "ExternalInstancePort": 50000 + number,
        "InnerIP": f"10.224.0.{number}",
        "InstancePort": 8000,
        "Status": "Running",
        "Role": "Standard",
        "Isolated": False,
        "Zone": "cn-hangzhou-i",
        **changes,
    }


# --- the token --------------------------------------------------------------------------------------------------------


def test_the_token_is_asked_for_with_a_signature_and_within_a_budget() -> None:
    asked, token = talk(plane().token(NOW), answer(AccessToken="t1", Status="Running"))
    assert token == Secret("t1")
    (query,) = asked
    assert query.url == "https://pai-eas.cn-hangzhou.aliyuncs.com/api/v2/services/cn-hangzhou/svc"
    headers = dict(query.headers)
    assert headers["host"] == "pai-eas.cn-hangzhou.aliyuncs.com"
    assert headers["x-acs-action"] == "DescribeService"
    assert headers["Authorization"].startswith("ACS3-HMAC-SHA256 Credential=LTAI,SignedHeaders=host;x-acs-action;")
    assert [(budget.limit, budget.window) for budget in query.budgets] == [(60, 60.0)]
    assert SECRET not in repr((query.headers, query.url, query.budgets))


@pytest.mark.parametrize("fields", [{}, {"AccessToken": ""}, {"AccessToken": None}])
def test_a_service_without_a_token_is_named(fields: dict[str, object]) -> None:
    with pytest.raises(CredentialError, match='auth = "none"'):
        read_token(fields)


@pytest.mark.parametrize("token", [7, "two words", "line\nbreak", "ü", ["t"]])
def test_what_is_no_token_is_not_quoted(token: object) -> None:
    with pytest.raises(DiscoveryUnreadable) as caught:
        read_token({"AccessToken": token})
    assert str(token) not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"<html>t0ken</html>", b'["t0ken"]', b'"t0ken', b"\xff", b"[" * 100_000])
def test_an_answer_that_is_none_is_not_quoted(body: bytes) -> None:
    with pytest.raises(DiscoveryUnreadable) as caught:
        talk(plane().token(NOW), Reply(200, content=body))
    assert "t0ken" not in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        (refusal(404, "InvalidAccessKeyId.NotFound"), CredentialError, "check `control_plane.credential`"),
        (refusal(400, "SignatureDoesNotMatch"), CredentialError, "check `control_plane.credential`"),
        (refusal(400, "InvalidSecurityToken.Expired"), CredentialError, "check `control_plane.credential`"),
        (refusal(400, "IllegalTimestamp"), CredentialError, "the clock of this machine"),
        (refusal(401), CredentialError, "status 401"),
        (refusal(403, "Forbidden.RAM"), DiscoveryRefused, "the action eas:DescribeService"),
        (refusal(404, "InvalidService.NotFound"), DiscoveryRefused, "check `region`"),
        (refusal(400, "Throttling.User"), DiscoveryThrottled, "Throttling.User"),
        (refusal(503, "Throttling"), DiscoveryThrottled, "Throttling"),
        (refusal(429), DiscoveryThrottled, "status 429"),
        (refusal(500, "InternalError"), DiscoveryRefused, "status 500, InternalError: no, request R-1"),
        (refusal(302), DiscoveryRefused, "status 302"),
    ],
)
def test_what_a_refusal_says(reply: Reply, kind: type[DiscoveryError], text: str) -> None:
    with pytest.raises(DiscoveryError) as caught:
        talk(plane().token(NOW), reply)
    assert type(caught.value) is kind
    assert text in str(caught.value)


def test_no_refusal_by_the_key_is_final() -> None:
    """Keys of the chain are replaced while the program runs."""
    with pytest.raises(CredentialError) as caught:
        talk(plane().token(NOW), refusal(400, "SignatureDoesNotMatch"))
    assert not caught.value.permanent


def test_throttling_says_for_how_long() -> None:
    reply = Reply(429, (("retry-after", "17"),), b"{}")
    with pytest.raises(DiscoveryThrottled) as caught:
        talk(plane().token(NOW), reply)
    assert caught.value.retry_after == 17.0


def test_secrets_that_the_platform_repeats_are_masked() -> None:
    message = f"you sent\n{SECRET} and {SESSION}\x1b[31m"
    with pytest.raises(DiscoveryError) as caught:
        talk(plane().token(NOW), refusal(400, "Odd", message))
    assert "you sent *** and *** [31m" in str(caught.value)


# --- instances --------------------------------------------------------------------------------------------------------


def test_all_pages_are_asked_for_each_with_a_number_of_its_own() -> None:
    source = InstanceSource(plane(), "external")
    pages = [
        answer(Instances=[entry(1), entry(2)], TotalCount=3, PageNumber=1, PageSize=2),
        answer(Instances=[entry(3)], TotalCount=3, PageNumber=2, PageSize=2),
    ]
    asked, snapshot = talk(source.list(NOW), *pages)
    assert [query.url.partition("/instances")[2] for query in asked] == [
        "?PageNumber=1&PageSize=100",
        "?PageNumber=2&PageSize=100",
    ]
    assert [dict(query.headers)["x-acs-signature-nonce"] for query in asked] == ["n1", "n2"]
    assert isinstance(snapshot, Snapshot)
    assert [endpoint.id for endpoint in snapshot.endpoints] == [f"http://172.16.0.{n}:5000{n}" for n in (1, 2, 3)]
    assert {endpoint.weight for endpoint in snapshot.endpoints} == {100}
    assert {endpoint.zone for endpoint in snapshot.endpoints} == {"cn-hangzhou-i"}
    assert snapshot.attributes["source"] == "control plane"
    assert snapshot.raw == b""


@pytest.mark.parametrize("last", [answer(Instances=[], TotalCount=9), answer(Instances=None), answer()])
def test_a_page_without_entries_is_the_last(last: Reply) -> None:
    _, snapshot = talk(InstanceSource(plane(), "external").list(NOW), answer(Instances=[entry(1)]), last)
    assert isinstance(snapshot, Snapshot)
    assert len(snapshot.endpoints) == 1


def test_a_list_without_end_is_cut_and_says_so() -> None:
    endless = [answer(Instances=[entry(number)], TotalCount=10**9) for number in range(1, 100)]
    asked, snapshot = talk(InstanceSource(plane(), "external").list(NOW), *endless)
    assert len(asked) == 15
    assert isinstance(snapshot, Snapshot)
    assert snapshot.rejected == ("the list has more than 15 entries, and the others were not asked for",)


def test_a_role_is_asked_for_and_looked_at() -> None:
    page = answer(Instances=[entry(1), entry(2, Role="Queue"), entry(3, Role=None)], TotalCount=3)
    asked, snapshot = talk(InstanceSource(plane(), "external", "Standard").list(NOW), page)
    assert asked[0].url.endswith("&Role=Standard")
    assert isinstance(snapshot, Snapshot)
    assert [endpoint.labels["name"] for endpoint in snapshot.endpoints] == ["svc-1", "svc-3"]
    assert snapshot.rejected == ("instance 2: its role is 'Queue', not Standard",)


def test_inner_addresses_can_be_wanted() -> None:
    found, _ = read_instances([entry(4)], "inner", None)
    assert [endpoint.id for endpoint in found] == ["http://10.224.0.4:8000"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Status": "Pending"}, "its status is 'Pending', not Running"),
        ({"Status": None}, "its status is None, not Running"),
        ({"Isolated": True}, "it is isolated"),
        ({"ExternalIP": ""}, "host"),
        ({"ExternalIP": "evil.example.com"}, "'evil.example.com' is not an IP address"),
        ({"ExternalInstancePort": "8000"}, "port"),
        ({"ExternalInstancePort": None}, "port"),
    ],
)
def test_who_is_left_out(changes: dict[str, object], reason: str) -> None:
    found, rejected = read_instances([entry(1), entry(2, **changes)], "external", None)
    assert [endpoint.labels["name"] for endpoint in found] == ["svc-1"]
    assert len(rejected) == 1
    assert reason in rejected[0]


def test_isolated_is_not_believed_if_it_would_leave_nobody() -> None:
    entries = [entry(1, Isolated=True), entry(2, Isolated=True), entry(3, Isolated=False, Status="Pending")]
    found, _ = read_instances(entries, "external", None)
    assert len(found) == 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(entry())), inner, max_size=5),
    max_leaves=12,
)


@given(st.lists(json_values | st.fixed_dictionaries({}, optional=dict.fromkeys(entry(), json_values)), max_size=6))
def test_no_entry_breaks_the_reader_and_each_counts_once(entries: list[object]) -> None:
    found, rejected = read_instances(entries, "external", None)
    assert len(found) + len(rejected) == len(entries)


# --- discovery falls back ---------------------------------------------------------------------------------------------


def discovery() -> EasDiscovery:
    fallback = InstanceSource(plane("http://api"), "external")
    return EasDiscovery(host="discovery", service="svc", path="exported", internal=False, fallback=fallback)


def fallen_back() -> Snapshot:
    _, snapshot = talk(discovery().poll(PollContext(NOW)), AWAY, answer(Instances=[entry(1)], TotalCount=1))
    assert isinstance(snapshot, Snapshot)
    return snapshot


@pytest.mark.parametrize("failure", [AWAY, Reply(500), Reply(503), Reply(200, content=b"<html>")])
def test_the_first_list_may_come_from_the_control_plane(failure: Reply | Exception) -> None:
    page = answer(Instances=[entry(1)], TotalCount=1)
    asked, snapshot = talk(discovery().poll(PollContext(NOW)), failure, page)
    assert [query.url.partition("?")[0].split("/")[2] for query in asked] == ["discovery", "api"]
    assert isinstance(snapshot, Snapshot)
    assert snapshot.attributes == {"source": "control plane", "listed_at": NOW}


@pytest.mark.parametrize("status", [403, 404, 429])
def test_discovery_that_answers_no_is_not_passed_over(status: int) -> None:
    with pytest.raises(DiscoveryRefused, match=str(status)):
        talk(discovery().poll(PollContext(NOW)), Reply(status))


def test_a_list_of_discovery_is_kept_and_the_control_plane_is_not_asked() -> None:
    _, previous = talk(discovery().poll(PollContext(NOW)), DISCOVERED)
    assert isinstance(previous, Snapshot)
    with pytest.raises(TransportError, match="cannot connect"):
        talk(discovery().poll(PollContext(NOW, previous)), AWAY)


def test_discovery_is_believed_as_soon_as_it_answers() -> None:
    asked, snapshot = talk(discovery().poll(PollContext(NOW + 1, fallen_back())), DISCOVERED)
    assert len(asked) == 1
    assert isinstance(snapshot, Snapshot)
    assert "source" not in snapshot.attributes


def test_the_list_of_the_control_plane_is_renewed_now_and_then() -> None:
    previous = fallen_back()
    with pytest.raises(TransportError):
        talk(discovery().poll(PollContext(NOW + 29, previous)), AWAY)
    page = answer(Instances=[entry(2)], TotalCount=1)
    _, snapshot = talk(discovery().poll(PollContext(NOW + 31, previous)), AWAY, page)
    assert isinstance(snapshot, Snapshot)
    assert [endpoint.labels["name"] for endpoint in snapshot.endpoints] == ["svc-2"]


def test_if_both_fail_both_are_told() -> None:
    with pytest.raises(DiscoveryError, match=r"cannot connect; and the instances cannot be had .*Forbidden"):
        talk(discovery().poll(PollContext(NOW)), AWAY, refusal(403, "Forbidden"))


def test_only_equal_questions_with_equal_keys_are_shared() -> None:
    assert discovery().identity == discovery().identity
    other = InstanceSource(
        ControlPlane("http://api", "cn-hangzhou", "svc", FixedKey(AccessKey("LTAI", Secret("other")))), "external"
    )
    made = EasDiscovery(host="discovery", service="svc", path="exported", internal=False, fallback=other)
    assert made.identity != discovery().identity
    assert SECRET not in repr(discovery().identity)


# --- the chain --------------------------------------------------------------------------------------------------------


class Found:
    """What the vendor's client answers."""

    access_key_id: object = "LTAI-chain"
    access_key_secret: object = SECRET
    security_token: object = None

    def get_credential(self) -> Found:
        return self


def ask_chain(client: object) -> AccessKey:
    """The conversation with the chain; what is local is run here."""
    steps = ChainKey(client).key()
    query = next(steps)
    assert isinstance(query, LocalQuery)
    try:
        try:
            reply = query.run()
        except Exception as error:  # noqa: BLE001 - as the core does
            steps.throw(error)
        else:
            steps.send(reply)
    except StopIteration as end:
        key = end.value
        assert isinstance(key, AccessKey)
        return key
    raise AssertionError("the conversation goes on")


def test_the_chain_gives_a_key_with_or_without_session() -> None:
    assert ask_chain(Found()) == AccessKey("LTAI-chain", Secret(SECRET), None)
    temporary = Found()
    temporary.security_token = SESSION
    assert ask_chain(temporary).security_token == Secret(SESSION)


def test_a_chain_that_fails_says_what_to_do_and_not_what_it_saw() -> None:
    class Failing:
        def get_credential(self) -> None:
            raise RuntimeError(f"answer was {SECRET}")

    without = Found()
    without.access_key_secret = None
    for client in (Failing(), without):
        with pytest.raises(CredentialError, match="ALIBABA_CLOUD_ACCESS_KEY_ID") as caught:
            ask_chain(client)
        assert SECRET not in str(caught.value)


CHAIN = """
import sys
import directlane
from directlane.providers.alibaba_eas.emulator import EasEmulator
with EasEmulator(1) as cloud:
    route = dict(cloud.control_plane_route(credential={"type": "chain"}))
    with directlane.Client.from_data({"services": {"s": {"routes": [route]}}}) as client:
        print(client.service("s").send(b"x").status)
"""


def test_the_vendors_chain_finds_the_key_of_the_environment(tmp_path: Path) -> None:
    """In a process of its own: the package reads the environment when it is imported."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ALIBABA")},
        "ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAI-emulated",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "emulated-access-key-secret",
        "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",
        "HOME": str(tmp_path),
    }
    ended = subprocess.run(
        [sys.executable, "-c", CHAIN], capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert (ended.stdout.strip(), ended.stderr.strip()) == ("200", "")
