"""The emulated cloud does what its description says, over real sockets."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from string import Template

import httpx
import pytest

from directlane.core.emulation import HANG, ProcessInstance, Status
from directlane.core.endpoint import Endpoint, Snapshot
from directlane.core.errors import DiscoveryRefused, DiscoveryThrottled, DiscoveryUnreadable
from directlane.core.interfaces import ControlFault, Discovery, Emulator, PollContext, Query
from directlane.core.message import Reply, Request, headers_from
from directlane.providers.alibaba_eas import AlibabaEasProvider
from directlane.providers.alibaba_eas.emulator import EMULATED_TOKEN, EasEmulator

PREDICT = "/api/predict/scorecard"
ANY_INSTANCE = Endpoint("127.0.0.1", 1)
PLAIN = {"Authorization": EMULATED_TOKEN}


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=5) as client:
        yield client


@pytest.fixture
def emulator() -> Iterator[EasEmulator]:
    with EasEmulator(2) as emulator:
        yield emulator


@pytest.fixture
def discover(client: httpx.Client) -> Callable[[Discovery], Snapshot]:
    """Holds the conversation of a discovery over a socket."""

    def discover(discovery: Discovery) -> Snapshot:
        conversation = discovery.poll(PollContext(time.time()))
        try:
            query = next(conversation)
            while True:
                assert isinstance(query, Query)
                found = client.request(query.method, query.url, headers=list(query.headers))
                query = conversation.send(Reply(found.status_code, headers_from(found.headers.items()), found.content))
        except StopIteration as end:
            snapshot: Snapshot = end.value
            return snapshot

    return discover


Discover = Callable[[Discovery], Snapshot]


def provider_of(emulator: EasEmulator, **settings: object) -> AlibabaEasProvider:
    """As the configuration would make it from the emulator's route."""
    route = {**emulator.route(), **settings}
    del route["provider"]
    filled = {
        key: Template(value).substitute(emulator.environment) if isinstance(value, str) else value
        for key, value in route.items()
    }
    return AlibabaEasProvider.model_validate(filled)


def test_discovery_names_the_instances_with_their_weights(emulator: EasEmulator, discover: Discover) -> None:
    heavy = emulator.add_instance(weight=300)
    emulator.set_weight(emulator.instances[0], 0)
    emulator.set_weight(emulator.instances[1], None)
    snapshot = discover(provider_of(emulator).discovery())
    assert [(endpoint.port, endpoint.weight) for endpoint in snapshot.endpoints] == [
        (emulator.instances[0].port, 0),
        (emulator.instances[1].port, None),
        (heavy.port, 300),
    ]
    assert isinstance(emulator, Emulator)


def test_internal_question_tells_more(emulator: EasEmulator, discover: Discover) -> None:
    first = discover(provider_of(emulator, internal=True).discovery()).endpoints[0]
    assert dict(first.labels) == {"app": "scorecard", "name": "eas-1", "service": "scorecard"}
    assert dict(discover(provider_of(emulator).discovery()).endpoints[0].labels) == {"app": "scorecard"}
    assert emulator.targets[0].endswith("?internal=true")


def test_path_that_is_not_served_leads_to_the_other(emulator: EasEmulator, discover: Discover) -> None:
    discovery = provider_of(emulator).discovery()
    emulator.paths = frozenset({"servicediscovery"})
    for _ in range(3):
        assert len(discover(discovery).endpoints) == 2
    assert emulator.queries == {"exported": 1, "servicediscovery": 3}
    emulator.paths = frozenset({"exported"})
    for _ in range(3):
        assert len(discover(discovery).endpoints) == 2
    assert emulator.queries == {"exported": 4, "servicediscovery": 4}
    assert emulator.discovery_queries == 8


def test_unknown_service_is_refused(emulator: EasEmulator, discover: Discover) -> None:
    with pytest.raises(DiscoveryRefused) as caught:
        discover(provider_of(emulator, service="other").discovery())
    assert caught.value.status == 404


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (ControlFault.ERROR_500, DiscoveryRefused),
        (ControlFault.NOT_FOUND, DiscoveryRefused),
        (ControlFault.HTML, DiscoveryUnreadable),
        (ControlFault.HALF_JSON, DiscoveryUnreadable),
        (ControlFault.WRONG_TYPES, DiscoveryUnreadable),
        (ControlFault.RESET, httpx.ReadError),
    ],
)
def test_broken_discovery_is_told_apart_and_can_be_mended(
    emulator: EasEmulator, discover: Discover, fault: ControlFault, error: type[Exception]
) -> None:
    discovery = provider_of(emulator).discovery()
    emulator.break_control_plane(fault)
    with pytest.raises(error):
        discover(discovery)
    emulator.break_control_plane(ControlFault.NONE)
    assert len(discover(discovery).endpoints) == 2


def test_empty_and_hanging_discovery(emulator: EasEmulator, discover: Discover, client: httpx.Client) -> None:
    discovery = provider_of(emulator).discovery()
    emulator.break_control_plane(ControlFault.EMPTY)
    assert discover(discovery).endpoints == ()
    emulator.break_control_plane(ControlFault.HANG)
    client.timeout = httpx.Timeout(0.05)
    with pytest.raises(httpx.ReadTimeout):
        discover(discovery)


def test_discovery_can_be_throttled(emulator: EasEmulator, discover: Discover) -> None:
    emulator.rate_limit = (2, 3600)
    discovery = provider_of(emulator).discovery()
    discover(discovery)
    discover(discovery)
    with pytest.raises(DiscoveryThrottled) as caught:
        discover(discovery)
    assert caught.value.retry_after == 3600
    emulator.rate_limit = None
    discover(discovery)


@pytest.mark.parametrize("scheme", ["plain", "signed"])
@pytest.mark.parametrize("target", ["", "/v1/chat", "?x=1"])
def test_instance_runs_what_our_wire_makes(
    emulator: EasEmulator, discover: Discover, client: httpx.Client, scheme: str, target: str
) -> None:
    provider = provider_of(emulator, auth=scheme, request_path="/base")
    endpoint = discover(provider.discovery()).endpoints[0]
    wire = provider.wire(endpoint)
    request = Request("POST", f"{wire.prefix}{target}", wire.headers, b"[{}]")
    signed = wire.sign(request, time.time()) if wire.sign is not None else ()
    reply = client.post(f"{endpoint.url}{request.target}", content=b"[{}]", headers=[*request.headers, *signed])
    assert reply.status_code == 200, reply.text
    assert reply.json() == {
        "instance": "eas-1",
        "path": f"{PREDICT}/base{target.partition('?')[0]}",
        "method": "POST",
        "bytes": 4,
    }


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (PREDICT, PLAIN, 200),
        (f"{PREDICT}/deeper", PLAIN, 200),
        (PREDICT, {}, 401),
        (PREDICT, {"Authorization": "wrong"}, 401),
        (PREDICT, {"Authorization": f"Bearer {EMULATED_TOKEN}"}, 401),
        (PREDICT, {"Authorization": "EAS xyoadizX8kazA04RxwF/AmNY+iw="}, 401),
        ("/api/predict/scorecards", PLAIN, 404),
        ("/", PLAIN, 404),
    ],
)
def test_what_an_instance_lets_in(
    emulator: EasEmulator, client: httpx.Client, path: str, headers: dict[str, str], status: int
) -> None:
    instance = emulator.instances[0]
    assert client.post(f"{instance.url}{path}", headers=headers).status_code == status
    assert instance.requests == (1 if status == 200 else 0)


@pytest.mark.parametrize("spoiled", ["content-md5", "date", "content-type", "body"])
def test_signature_of_something_else_is_refused(emulator: EasEmulator, client: httpx.Client, spoiled: str) -> None:
    sign = provider_of(emulator, auth="signed").wire(ANY_INSTANCE).sign
    assert sign is not None
    headers = {name.lower(): value for name, value in sign(Request("POST", PREDICT, content=b"[1]"), time.time())}
    if spoiled in headers:
        headers[spoiled] += "0"
    body = b"[2]" if spoiled == "body" else b"[1]"
    assert client.post(f"{emulator.instances[0].url}{PREDICT}", headers=headers, content=body).status_code == 401


def test_date_counts_only_if_told(client: httpx.Client) -> None:
    with EasEmulator(1, date_tolerance=60) as emulator:
        sign = provider_of(emulator, auth="signed").wire(ANY_INSTANCE).sign
        assert sign is not None
        url = f"{emulator.instances[0].url}{PREDICT}"
        for age, status in ((0, 200), (3600, 401)):
            headers = list(sign(Request("POST", PREDICT), time.time() - age))
            assert client.post(url, headers=headers).status_code == status


def test_bearer_can_be_accepted_and_authentication_can_be_off(client: httpx.Client) -> None:
    with EasEmulator(1, accept=("bearer",)) as bearer, EasEmulator(1, token=None) as open_to_all:
        given = {"Authorization": f"Bearer {EMULATED_TOKEN}"}
        assert client.post(f"{bearer.instances[0].url}{PREDICT}", headers=given).status_code == 200
        assert client.post(f"{open_to_all.instances[0].url}{PREDICT}").status_code == 200
        assert "token" not in open_to_all.route()
        assert open_to_all.environment == {}


def test_gateway_is_the_second_way(emulator: EasEmulator, discover: Discover, client: httpx.Client) -> None:
    provider = provider_of(emulator, **{"discovery_host": None, **emulator.gateway_route()})
    (endpoint,) = discover(provider.discovery()).endpoints
    wire = provider.wire(endpoint)
    url = f"{endpoint.url}{wire.prefix}"
    assert client.post(url, headers=list(wire.headers)).json()["instance"] == "gateway"
    assert client.post(url).status_code == 401
    for instance in emulator.instances:
        instance.kill()
    assert client.post(url, headers=list(wire.headers)).status_code == 503
    assert (emulator.gateway_requests, emulator.discovery_queries) == (1, 0)


def test_removed_instance_is_not_named_but_serves_on(
    emulator: EasEmulator, discover: Discover, client: httpx.Client
) -> None:
    removed = emulator.instances[0]
    emulator.remove_instance(removed)
    (endpoint,) = discover(provider_of(emulator).discovery()).endpoints
    assert endpoint.port == emulator.instances[0].port
    assert client.post(f"{removed.url}{PREDICT}", headers=PLAIN).json()["instance"] == "eas-1"
    assert removed in emulator.all_instances


def test_killed_process_stays_on_the_list_and_its_ledger_stays_readable(
    discover: Discover, client: httpx.Client
) -> None:
    with EasEmulator(2, processes=True) as emulator:
        victim, other = emulator.instances
        assert isinstance(victim, ProcessInstance)
        for number in range(3):
            reply = client.post(f"{victim.url}{PREDICT}", headers={**PLAIN, "X-Request-Id": f"r{number}"})
            assert reply.json()["instance"] == "eas-1"
        victim.kill()
        with pytest.raises(httpx.TransportError):
            client.post(f"{victim.url}{PREDICT}", headers=PLAIN)
        with pytest.raises(ProcessLookupError):
            os.kill(victim.pid or 0, 0)
        assert victim.ledger() == ["r0", "r1", "r2"]
        assert (victim.requests, other.requests) == (3, 0)
        assert len(discover(provider_of(emulator).discovery()).endpoints) == 2
        other.set_fault(Status(450), times=1)
        assert [client.post(f"{other.url}{PREDICT}", headers=PLAIN).status_code for _ in range(2)] == [450, 200]


def test_killed_while_it_runs_something(client: httpx.Client) -> None:
    async def call(url: str, emulator: EasEmulator) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=10) as caller:
            calling = asyncio.create_task(caller.post(url, headers={**PLAIN, "X-Request-Id": "last"}))
            while not emulator.instances[0].requests:  # another process writes the ledger
                await asyncio.sleep(0.005)
            emulator.instances[0].kill()
            await calling

    with EasEmulator(1, processes=True) as emulator:
        emulator.instances[0].set_fault(HANG)
        with pytest.raises(httpx.TransportError):
            asyncio.run(call(f"{emulator.instances[0].url}{PREDICT}", emulator))
        assert emulator.instances[0].ledger() == ["last"]


def test_token_stands_in_the_environment_only(emulator: EasEmulator) -> None:
    assert EMULATED_TOKEN not in str(emulator.route())
    assert EMULATED_TOKEN not in str(emulator.gateway_route())
    assert EMULATED_TOKEN in emulator.environment.values()
    assert EMULATED_TOKEN not in repr(emulator.instances)
