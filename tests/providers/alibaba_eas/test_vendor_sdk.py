"""The vendor's own client and ours get the same answers from the same emulated service."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from directlane import Client
from directlane.core.emulation import Status
from directlane.core.interfaces import PollContext, Query
from directlane.core.message import Reply, Request
from directlane.providers.alibaba_eas import AlibabaEasProvider
from directlane.providers.alibaba_eas.emulator import EMULATED_TOKEN, EasEmulator

if TYPE_CHECKING:
    from tests.providers.alibaba_eas.conftest import RunSdk

pytestmark = pytest.mark.vendor

BODIES = ["[{}]", "", '[{"money_credit": 3000000}]', "ünïcødé 你好", "x" * 100_000]


def by_hand(emulator: EasEmulator, bodies: list[str], scheme: str) -> list[tuple[int, object]]:
    """Status and JSON answer of each body, sent with our discovery and our wire."""
    provider = AlibabaEasProvider.model_validate(
        {"service": emulator.service, "discovery_host": emulator.host, "token": EMULATED_TOKEN, "auth": scheme}
    )
    answers: list[tuple[int, object]] = []
    with httpx.Client(trust_env=False) as client:
        conversation = provider.discovery().poll(PollContext(time.time()))
        query = next(conversation)
        assert isinstance(query, Query)
        found = client.get(query.url)
        with pytest.raises(StopIteration) as end:
            conversation.send(Reply(found.status_code, content=found.content))
        (endpoint,) = end.value.value.endpoints
        wire = provider.wire(endpoint)
        for body in bodies:
            request = Request("POST", wire.prefix, wire.headers, body.encode())
            signed = wire.sign(request, time.time()) if wire.sign is not None else ()
            headers = [*request.headers, *signed]
            reply = client.post(f"{endpoint.url}{wire.prefix}", content=body.encode(), headers=headers)
            answers.append((reply.status_code, reply.json()))
    return answers


def by_client(emulator: EasEmulator, bodies: list[str], scheme: str) -> list[tuple[int, object]]:
    """Status and JSON answer of each body, sent by our client."""
    route = {**emulator.route(), "auth": scheme}
    data = {"services": {"svc": {"routes": [route]}}}
    with Client.from_data(data, environment=emulator.environment) as client:
        replies = [client.service("svc").send(body) for body in bodies]
    return [(reply.status, reply.json()) for reply in replies]


@pytest.mark.parametrize("service", ["scorecard", "group.score_card"])
@pytest.mark.parametrize("scheme", ["plain", "signed"])
def test_same_answers(run_sdk: RunSdk, scheme: str, service: str) -> None:
    with EasEmulator(1, service=service, accept=(scheme,)) as emulator:
        if scheme == "signed":
            theirs = run_sdk(emulator.host, service, BODIES, token=EMULATED_TOKEN)
        else:
            theirs = run_sdk(emulator.host, service, BODIES, headers={"Authorization": EMULATED_TOKEN})
        ours = by_hand(emulator, BODIES, scheme)
        assert by_client(emulator, BODIES, scheme) == ours
    assert [(answer.status, json.loads(answer.body)) for answer in theirs] == ours
    assert [status for status, _ in ours] == [200] * len(BODIES)


def test_both_ask_discovery_and_reach_every_instance(run_sdk: RunSdk) -> None:
    with EasEmulator(3) as emulator:
        theirs = run_sdk(emulator.host, emulator.service, ["[]"] * 6, token=EMULATED_TOKEN)
        assert emulator.queries["servicediscovery"] >= 1
        assert {json.loads(answer.body)["instance"] for answer in theirs} == {"eas-1", "eas-2", "eas-3"}


def test_their_local_time_labelled_gmt_is_accepted_unless_dates_count(run_sdk: RunSdk) -> None:
    with EasEmulator(1) as lenient, EasEmulator(1, date_tolerance=900) as strict:
        for emulator, status in ((lenient, 200), (strict, 401)):
            (answer,) = run_sdk(emulator.host, emulator.service, ["[]"], token=EMULATED_TOKEN, timezone="Asia/Shanghai")
            assert answer.status == status
        assert by_hand(strict, ["[]"], "signed")[0][0] == 200


def test_both_are_refused_with_a_wrong_token(run_sdk: RunSdk) -> None:
    with EasEmulator(1) as emulator:
        (signed,) = run_sdk(emulator.host, emulator.service, ["[]"], token="wrong")
        (plain,) = run_sdk(emulator.host, emulator.service, ["[]"], headers={"Authorization": "wrong"})
        assert (signed.status, plain.status) == (401, 401)
        assert sum(instance.requests for instance in emulator.instances) == 0


def test_their_client_does_not_go_elsewhere_when_a_queue_is_full(run_sdk: RunSdk) -> None:
    # What our verdict for 450 adds: the vendor's client gives the refusal of one full instance to its caller.
    with EasEmulator(2) as emulator:
        emulator.instances[0].set_fault(Status(450, b"queue is full"))
        theirs = run_sdk(emulator.host, emulator.service, ["[]"] * 4, token=EMULATED_TOKEN, attempts=5)
        assert sorted(answer.status for answer in theirs) == [200, 200, 450, 450]
