"""The emulated cloud over real sockets, asked by the provider itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from typing import cast, get_args

import httpx
import pytest

from directlane.core.clock import SYSTEM_CLOCK, Clock
from directlane.core.emulation import Status
from directlane.core.endpoint import Endpoint, Snapshot
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
from directlane.core.interfaces import ControlFault, Conversation, LocalQuery, PollContext, Query
from directlane.core.message import Reply, Request
from directlane.core.outcome import OK, REAUTHENTICATE, Action, Outcome, Verdict
from directlane.providers.huawei_modelarts.emulated_answers import SERVICE_ID, Shape
from directlane.providers.huawei_modelarts.emulator import (
    ACCESS_KEY,
    DOMAIN,
    PROJECT_ID,
    USER,
    Access,
    CredentialType,
    ModelArtsEmulator,
)
from directlane.providers.huawei_modelarts.provider import HuaweiModelArtsProvider

CREDENTIALS: tuple[CredentialType, ...] = get_args(CredentialType)
GATEWAY_CREDENTIALS = tuple(each for each in CREDENTIALS if each != "users")
BROKEN = [fault for fault in ControlFault if fault not in (ControlFault.NONE, ControlFault.HANG, ControlFault.RESET)]


class HandClock(Clock):
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = SYSTEM_CLOCK.unix()

    def monotonic(self) -> float:
        return self.now

    def unix(self) -> float:
        return self.now


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def cloud(clock: HandClock) -> Iterator[ModelArtsEmulator]:
    with ModelArtsEmulator(2, clock=clock) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=5) as client:
        yield client


def provider_of(
    cloud: ModelArtsEmulator,
    access: Access = "direct",
    credential: CredentialType = "password",
    more: Mapping[str, object] | None = None,
) -> HuaweiModelArtsProvider:
    settings = {**cloud.settings(access, credential), **(more or {})}
    del settings["provider"]
    text = json.dumps(settings)
    for name, value in cloud.environment_of(credential).items():
        text = text.replace(f"${{{name}}}", value)
    return HuaweiModelArtsProvider.model_validate_json(text)


def send(http: httpx.Client, query: Query) -> Reply:
    reply = http.request(query.method, query.url, headers=list(query.headers), content=query.content)
    return Reply(reply.status_code, tuple(reply.headers.multi_items()), reply.content)


def ask(
    http: httpx.Client, provider: HuaweiModelArtsProvider, clock: Clock = SYSTEM_CLOCK, *, reauthenticate: bool = False
) -> Snapshot:
    """One round of what the calls need, and one conversation of the provider with the cloud."""
    upkeep, context = provider.upkeep(), PollContext(clock.unix(), reauthenticate=reauthenticate)
    if upkeep is not None:
        converse(http, upkeep.poll(context))
    return converse(http, provider.discovery().poll(context))


def converse(http: httpx.Client, conversation: Conversation) -> Snapshot:
    try:
        query = next(conversation)
        while True:
            assert isinstance(query, Query | LocalQuery)
            try:
                answer = query.run() if isinstance(query, LocalQuery) else send(http, query)
            except (httpx.TransportError, OSError) as error:
                query = conversation.throw(TransportError(type(error).__name__, phase=Phase.WAIT))
            else:
                query = conversation.send(answer)
    except StopIteration as end:
        return cast("Snapshot", end.value)


def call(
    http: httpx.Client,
    provider: HuaweiModelArtsProvider,
    endpoint: Endpoint,
    clock: Clock = SYSTEM_CLOCK,
    *,
    path: str = "/p",
    body: bytes = b"x",
) -> tuple[Reply, Verdict]:
    """One call, put together as the dispatch does it."""
    wire = provider.wire(endpoint)
    request = Request("POST", f"{endpoint.base_path}{wire.prefix}{path}", wire.headers, body)
    headers = [*wire.headers, *(wire.sign(request, clock.unix()) if wire.sign is not None else ())]
    url = f"{endpoint.scheme}://{endpoint.authority}{request.target}"
    answer = http.post(url, headers=headers, content=body)
    reply = Reply(answer.status_code, tuple(answer.headers.multi_items()), answer.content, endpoint)
    return reply, provider.classify(Outcome(Phase.DONE, 0.0, reply))


# --- the direct path --------------------------------------------------------------------------------------------------


def set_variables(cloud: ModelArtsEmulator, credential: CredentialType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that Huawei's own SDKs read."""
    for name, value in cloud.environment_of(credential).items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_instances_are_found_and_called_without_a_credential(
    http: httpx.Client, credential: CredentialType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ModelArtsEmulator(3) as cloud:
        set_variables(cloud, "environment" if credential == "default" else credential, monkeypatch)
        provider = provider_of(cloud, credential=credential)
        snapshot = ask(http, provider)
        assert [endpoint.port for endpoint in snapshot.endpoints] == [instance.port for instance in cloud.instances]
        for endpoint in snapshot.endpoints:
            reply, verdict = call(http, provider, endpoint)
            assert (reply.status, verdict) == (200, OK)
        assert [instance.requests for instance in cloud.instances] == [1, 1, 1]
        assert cloud.credentials_at_instances() == []
    assert cloud.credentials_at_instances() == []


@pytest.mark.parametrize("shape", get_args(Shape))
def test_every_shape_of_the_list_is_read(http: httpx.Client, shape: Shape) -> None:
    with ModelArtsEmulator(2, shape=shape) as cloud:
        provider = provider_of(cloud, credential="token")
        found = [endpoint.port for endpoint in ask(http, provider).endpoints]
        assert found == [instance.port for instance in cloud.instances][: 1 if shape == "E" else 2]
        cloud.break_control_plane(ControlFault.EMPTY)
        assert ask(http, provider).endpoints == ()


def test_a_credential_that_reaches_an_instance_is_written_down(http: httpx.Client, cloud: ModelArtsEmulator) -> None:
    url = cloud.instances[0].url
    http.get(f"{url}/one", headers={"X-Auth-Token": "t"})
    http.get(f"{url}/two", headers={"Authorization": "SDK-HMAC-SHA256 Access=.."})
    http.get(f"{url}/three", headers={"Authorization": "Bearer of-the-model"})
    assert cloud.credentials_at_instances() == ["/one", "/two"]
    cloud.stop()
    assert cloud.credentials_at_instances() == ["/one", "/two"]


def test_instances_come_and_go(http: httpx.Client, cloud: ModelArtsEmulator) -> None:
    provider = provider_of(cloud, credential="token")
    first, second = cloud.instances
    third = cloud.add_instance(weight=7)
    assert [endpoint.weight for endpoint in ask(http, provider).endpoints] == [None, None, 7]
    cloud.remove_instance(first)
    assert [endpoint.port for endpoint in ask(http, provider).endpoints] == [second.port, third.port]
    assert http.get(first.url).status_code == 200
    second.kill()
    assert len(ask(http, provider).endpoints) == 2
    with pytest.raises(httpx.ConnectError):
        http.get(second.url)


def test_instances_may_be_processes(http: httpx.Client) -> None:
    with ModelArtsEmulator(1, processes=True) as cloud:
        provider = provider_of(cloud, credential="token")
        (endpoint,) = ask(http, provider).endpoints
        assert call(http, provider, endpoint)[0].status == 200
        http.get(endpoint.url, headers={"X-Auth-Token": "t"})
        assert cloud.credentials_at_instances() == ["/"]
        cloud.instances[0].kill()
        with pytest.raises(httpx.ConnectError):
            http.get(endpoint.url)


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_list_is_an_agreed_error(http: httpx.Client, fault: ControlFault) -> None:
    with ModelArtsEmulator(1) as cloud:
        provider = provider_of(cloud, credential="token")
        cloud.break_control_plane(fault)
        if fault is ControlFault.EMPTY:
            assert ask(http, provider).endpoints == ()
        else:
            with pytest.raises(DiscoveryError) as caught:
                ask(http, provider)
            refused = fault in (ControlFault.ERROR_500, ControlFault.NOT_FOUND)
            assert type(caught.value) is (DiscoveryRefused if refused else DiscoveryUnreadable)
        cloud.break_control_plane(ControlFault.NONE)
        assert len(ask(http, provider).endpoints) == 1


@pytest.mark.parametrize("fault", [*BROKEN, ControlFault.RESET])
def test_a_broken_iam_is_an_agreed_error(http: httpx.Client, fault: ControlFault) -> None:
    with ModelArtsEmulator(1) as cloud:
        provider = provider_of(cloud)
        cloud.break_iam(fault)
        with pytest.raises((DiscoveryError, TransportError)) as caught:
            ask(http, provider)
        assert not getattr(caught.value, "permanent", False)
        cloud.break_iam(ControlFault.NONE)
        assert len(ask(http, provider).endpoints) == 1


@pytest.mark.parametrize("fault", [ControlFault.HANG, ControlFault.RESET])
def test_no_answer_is_a_failure_of_the_wire(cloud: ModelArtsEmulator, fault: ControlFault) -> None:
    cloud.break_control_plane(fault)
    with httpx.Client(trust_env=False, timeout=0.3) as impatient, pytest.raises(TransportError):
        ask(impatient, provider_of(cloud, credential="token"))


# --- limits -----------------------------------------------------------------------------------------------------------


def test_the_twenty_first_question_in_a_minute_is_refused(
    http: httpx.Client, cloud: ModelArtsEmulator, clock: HandClock
) -> None:
    provider = provider_of(cloud)
    for _ in range(20):
        ask(http, provider, clock)
        clock.now += 1
    with pytest.raises(DiscoveryThrottled, match=r"status 429, APIG\.0308: .*limit:20,time:1 minute") as caught:
        ask(http, provider, clock)
    assert caught.value.retry_after == 60.0
    # The window slides, and the refused question counts: 60 s after the first there is no room yet.
    clock.now += 40
    with pytest.raises(DiscoveryThrottled):
        ask(http, provider, clock)
    clock.now += 60
    ask(http, provider, clock)
    assert [query.status for query in cloud.list_queries] == [200] * 20 + [429, 429, 200]
    assert len(cloud.queries_of(USER)) == 23


def test_each_user_has_a_limit_and_all_share_the_accounts(http: httpx.Client, clock: HandClock) -> None:
    with ModelArtsEmulator(1, users=2, user_limit=(2, 60), tenant_limit=(3, 60), clock=clock) as cloud:
        second = cloud.users[1]
        key = {"type": "aksk", "access_key": second.access_key, "secret_key": second.secret_key}
        one, other = provider_of(cloud), provider_of(cloud, more={"credential": key})
        ask(http, one, clock)
        ask(http, one, clock)
        ask(http, other, clock)
        with pytest.raises(DiscoveryThrottled, match="policy domain"):
            ask(http, other, clock)
        with pytest.raises(DiscoveryThrottled, match="policy user"):
            ask(http, one, clock)


# --- credentials ------------------------------------------------------------------------------------------------------


def test_a_token_is_fetched_once_and_renewed_before_its_end(
    http: httpx.Client, cloud: ModelArtsEmulator, clock: HandClock
) -> None:
    provider = provider_of(cloud)
    for _ in range(6):
        ask(http, provider, clock)
        clock.now += 3600 * 5.99
    assert [login.status for login in cloud.logins] == [201, 201]
    assert all(query.status == 200 for query in cloud.list_queries)


def test_a_revoked_token_costs_one_more_login(http: httpx.Client, cloud: ModelArtsEmulator, clock: HandClock) -> None:
    provider = provider_of(cloud)
    ask(http, provider, clock)
    cloud.revoke_tokens()
    assert len(ask(http, provider, clock).endpoints) == 2
    assert [query.status for query in cloud.list_queries] == [200, 401, 200]
    assert len(cloud.logins) == 2


def test_a_wrong_password_reaches_iam_once(http: httpx.Client, cloud: ModelArtsEmulator) -> None:
    wrong = {"type": "password", "user": USER, "password": "hunter2", "domain": DOMAIN}
    settings = {**cloud.settings("direct", "password"), "credential": wrong}
    settings.pop("provider")
    provider = HuaweiModelArtsProvider.model_validate(settings)
    for _ in range(3):
        with pytest.raises(CredentialError, match="Huawei locks accounts") as caught:
            ask(http, provider)
        assert caught.value.permanent
        assert "hunter2" not in str(caught.value)
    assert [login.status for login in cloud.logins] == [401]
    assert cloud.list_queries == []


def test_the_account_is_locked_after_five_wrong_passwords(http: httpx.Client, cloud: ModelArtsEmulator) -> None:
    user = {"name": USER, "password": "hunter2", "domain": {"name": DOMAIN}}
    body = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"id": PROJECT_ID}},
        }
    }
    for _ in range(5):
        assert http.post(f"{cloud.url}/v3/auth/tokens", json=body).status_code == 401
    with pytest.raises(CredentialError, match=r"IAM\.0061"):
        ask(http, provider_of(cloud))


@pytest.mark.parametrize("content", [b"", b"[]", b'{"auth": 5}', b'{"auth": {"identity": {"methods": []}}}'])
def test_a_login_that_is_none_is_a_bad_request(http: httpx.Client, cloud: ModelArtsEmulator, content: bytes) -> None:
    assert http.post(f"{cloud.url}/v3/auth/tokens", content=content).status_code == 400


def test_a_wrong_signature_is_refused(http: httpx.Client, cloud: ModelArtsEmulator, clock: HandClock) -> None:
    provider = provider_of(cloud, credential="aksk")
    assert len(ask(http, provider, clock).endpoints) == 2
    cloud.users[0].secret_key = "another"
    with pytest.raises(CredentialError, match=r"APIG\.0301"):
        ask(http, provider, clock)


def test_a_temporary_key_needs_its_security_token(http: httpx.Client) -> None:
    with ModelArtsEmulator(1, security_token="emulated-sts") as cloud:
        provider = provider_of(cloud, credential="aksk")
        assert len(ask(http, provider).endpoints) == 1
        cloud.users[0].security_token = "another"
        with pytest.raises(CredentialError):
            ask(http, provider)


@pytest.mark.parametrize(("token", "code"), [(None, "ModelArts.0201"), ("MIIunknown", "ModelArts.0203")])
def test_a_question_without_good_token_is_refused(
    http: httpx.Client, cloud: ModelArtsEmulator, token: str | None, code: str
) -> None:
    url = f"{cloud.url}/v1/{PROJECT_ID}/services/{SERVICE_ID}/predict/endpoints?type=host_endpoints"
    reply = http.get(url, headers={} if token is None else {"X-Auth-Token": token})
    assert (reply.status_code, reply.json()["error_code"]) == (401, code)
    assert cloud.list_queries[0].user is None


@pytest.mark.parametrize(
    ("more", "text"), [({"project_id": "other"}, "project_id"), ({"service_id": "other"}, "service_id")]
)
def test_a_wrong_id_is_refused_with_what_to_check(
    http: httpx.Client, cloud: ModelArtsEmulator, more: dict[str, object], text: str
) -> None:
    with pytest.raises(DiscoveryRefused, match=text):
        ask(http, provider_of(cloud, credential="token", more=more))


# --- the gateway ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("credential", GATEWAY_CREDENTIALS)
def test_the_gateway_spreads_calls_and_keeps_the_credential(
    http: httpx.Client,
    cloud: ModelArtsEmulator,
    clock: HandClock,
    credential: CredentialType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_variables(cloud, "environment" if credential == "default" else credential, monkeypatch)
    provider = provider_of(cloud, "gateway", credential)
    (gateway,) = ask(http, provider, clock).endpoints
    for number in range(4):
        reply, verdict = call(http, provider, gateway, clock, path="/a%20b~c?x=1%202&y", body=b"y" * number)
        assert (reply.status, verdict) == (200, OK)
        assert json.loads(reply.content) | {"instance": ""} == {
            "instance": "",
            "path": "/a%20b~c",
            "method": "POST",
            "bytes": number,
        }
    assert [instance.requests for instance in cloud.instances] == [2, 2]
    assert cloud.credentials_at_instances() == []
    assert cloud.list_queries == []


def test_the_gateways_token_is_renewed_when_it_is_refused(
    http: httpx.Client, cloud: ModelArtsEmulator, clock: HandClock
) -> None:
    provider = provider_of(cloud, "gateway", "password")
    (gateway,) = ask(http, provider, clock).endpoints
    cloud.revoke_tokens()
    assert call(http, provider, gateway, clock)[1] == REAUTHENTICATE
    ask(http, provider, clock, reauthenticate=True)
    assert call(http, provider, gateway, clock)[1] == OK


def test_a_call_before_the_first_login_asks_for_one(http: httpx.Client, cloud: ModelArtsEmulator) -> None:
    provider = provider_of(cloud, "gateway", "password")
    (gateway,) = ask(http, provider_of(cloud, "gateway", "token")).endpoints
    assert call(http, provider, gateway)[1] == REAUTHENTICATE


def test_a_changed_body_breaks_the_signature(http: httpx.Client, cloud: ModelArtsEmulator, clock: HandClock) -> None:
    provider = provider_of(cloud, "gateway", "aksk")
    (gateway,) = ask(http, provider, clock).endpoints
    sign = provider.wire(gateway).sign
    assert sign is not None
    added = sign(Request("POST", gateway.base_path, content=b"one"), clock.unix())
    assert http.post(gateway.url, headers=list(added), content=b"one").status_code == 200
    assert http.post(gateway.url, headers=list(added), content=b"two").status_code == 401


def test_the_gateway_tells_of_instances_that_are_away_or_ill(http: httpx.Client, cloud: ModelArtsEmulator) -> None:
    provider = provider_of(cloud, "gateway", "token")
    (gateway,) = ask(http, provider).endpoints
    first, second = cloud.instances
    cloud.remove_instance(second)
    first.set_fault(Status(500, b"own error"), times=1)
    reply, verdict = call(http, provider, gateway)
    assert (reply.content, verdict.action) == (b"own error", Action.RETRY_ELSEWHERE)
    first.kill()
    reply, verdict = call(http, provider, gateway)
    assert (reply.status, verdict.action, verdict.may_have_run) == (500, Action.BACK_OFF, False)
    cloud.remove_instance(first)
    reply, verdict = call(http, provider, gateway)
    assert (reply.status, verdict.action) == (400, Action.FAIL)


# --- several services -------------------------------------------------------------------------------------------------


def test_several_services_of_one_user_share_his_limit(http: httpx.Client, clock: HandClock) -> None:
    with ModelArtsEmulator(2, services=3, user_limit=(3, 60), clock=clock) as cloud:
        ports: set[int] = set()
        for service in cloud.service_ids:
            snapshot = ask(http, provider_of(cloud, more={"service_id": service}), clock)
            found = {endpoint.port for endpoint in snapshot.endpoints}
            assert found == {instance.port for instance in cloud.instances_of(service)}
            ports |= found
            assert len(cloud.queries_of(USER, service)) == 1
        assert len(ports) == 6
        with pytest.raises(DiscoveryThrottled):
            ask(http, provider_of(cloud), clock)
        assert len(cloud.queries_of(USER)) == 4


def test_an_instance_comes_and_goes_at_its_service(http: httpx.Client) -> None:
    with ModelArtsEmulator(1, services=2) as cloud:
        second = cloud.service_ids[1]
        added = cloud.add_instance(service=second)
        assert len(ask(http, provider_of(cloud, more={"service_id": second})).endpoints) == 2
        assert len(ask(http, provider_of(cloud)).endpoints) == 1
        cloud.remove_instance(added)
        assert len(ask(http, provider_of(cloud, more={"service_id": second})).endpoints) == 1


# --- the emulator itself ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "credential", [each for each in GATEWAY_CREDENTIALS if each not in ("environment", "pod_identity")]
)
def test_route_and_environment_belong_together(credential: CredentialType) -> None:
    with ModelArtsEmulator(0, credential=credential, access="gateway", security_token="emulated-sts") as cloud:
        route, environment = cloud.route(), cloud.environment
        text = json.dumps(route)
        for name, value in environment.items():
            assert f"${{{name}}}" in text
            assert value not in text
            text = text.replace(f"${{{name}}}", value)
        assert "$" not in text
        settings = json.loads(text)
        assert settings.pop("provider") == "huawei_modelarts"
        provider = HuaweiModelArtsProvider.model_validate(settings)
        assert provider.access == "gateway"
        assert not isinstance(provider.credential, tuple)
        assert provider.credential.type == credential


def test_nothing_is_left_behind() -> None:
    before = set(threading.enumerate())
    cloud = ModelArtsEmulator(1)
    cloud.stop()
    with cloud:
        pass
    cloud.stop()
    assert set(threading.enumerate()) == before


def test_the_emulated_secrets_are_found_by_a_search(cloud: ModelArtsEmulator) -> None:
    assert Secret(cloud.users[0].password).reveal() not in repr(provider_of(cloud))
    assert ACCESS_KEY not in cloud.environment.values()
