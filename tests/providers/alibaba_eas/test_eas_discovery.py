"""The conversation with the discovery server, held without a socket."""

from __future__ import annotations

import json
import math

import pytest

from directlane.core.endpoint import Snapshot
from directlane.core.errors import DiscoveryRefused, DiscoveryThrottled, DiscoveryUnreadable
from directlane.core.interfaces import AddressSource, Discovery, EmptyAnswer, PollContext, Query
from directlane.core.message import Reply
from directlane.providers.alibaba_eas import AlibabaEasProvider

NOW = PollContext(unix_time=0.0)
BODY = json.dumps({"endpoints": {"items": [{"ip": "10.0.0.1", "port": 50000, "weight": 100}]}}).encode()
FOUND = Reply(200, content=BODY)
MISSING = Reply(404, content=b"404 page not found")
OLD_HOST = "http://pai-eas-vpc.cn-hangzhou.aliyuncs.com"
EXPORTED = f"{OLD_HOST}/exported/apis/eas.alibaba-inc.k8s.io/v1/upstreams/svc"
SERVICEDISCOVERY = f"{OLD_HOST}/api/v1/servicediscovery/upstreams/svc"


def provider(**settings: object) -> AlibabaEasProvider:
    return AlibabaEasProvider.model_validate({"service": "svc", "region": "cn-hangzhou", **settings})


def talk(discovery: Discovery, *replies: Reply) -> tuple[list[str], Snapshot]:
    """The URLs that were asked, and the snapshot that came of it."""
    conversation = discovery.poll(NOW)
    asked: list[str] = []
    remaining = iter(replies)
    try:
        query = next(conversation)
        while True:
            assert isinstance(query, Query)
            assert (query.method, query.headers, query.content) == ("GET", (), b"")
            asked.append(query.url)
            query = conversation.send(next(remaining))
    except StopIteration as end:
        snapshot: Snapshot = end.value
        return asked, snapshot


def test_documented_path_is_asked_first() -> None:
    asked, snapshot = talk(provider(token="t").discovery(), FOUND)
    assert asked == [EXPORTED]
    assert [endpoint.id for endpoint in snapshot.endpoints] == ["http://10.0.0.1:50000"]
    assert snapshot.attributes["discovery_path"] == "exported"
    assert snapshot.ask_again_in is None


def test_path_that_worked_is_remembered_and_left_again_when_it_goes() -> None:
    discovery = provider().discovery()
    assert talk(discovery, MISSING, FOUND)[0] == [EXPORTED, SERVICEDISCOVERY]
    assert talk(discovery, FOUND)[0] == [SERVICEDISCOVERY]
    assert talk(discovery, MISSING, FOUND)[0] == [SERVICEDISCOVERY, EXPORTED]
    assert talk(discovery, FOUND)[0] == [EXPORTED]


def test_path_whose_answer_cannot_be_read_is_not_remembered() -> None:
    discovery = provider().discovery()
    with pytest.raises(DiscoveryUnreadable):
        talk(discovery, MISSING, Reply(200, content=b"<html>"))
    assert talk(discovery, FOUND)[0] == [EXPORTED]


def test_two_404_name_both_places_and_what_to_check() -> None:
    with pytest.raises(DiscoveryRefused) as caught:
        talk(provider().discovery(), MISSING, MISSING)
    assert caught.value.status == 404
    assert EXPORTED in str(caught.value)
    assert SERVICEDISCOVERY in str(caught.value)
    assert "check `service`" in str(caught.value)


@pytest.mark.parametrize(("path", "url"), [("exported", EXPORTED), ("servicediscovery", SERVICEDISCOVERY)])
def test_chosen_path_is_the_only_one(path: str, url: str) -> None:
    discovery = provider(discovery_path=path).discovery()
    assert talk(discovery, FOUND)[0] == [url]
    with pytest.raises(DiscoveryRefused):
        talk(discovery, MISSING)


@pytest.mark.parametrize("status", [204, 301, 304, 400, 401, 403, 500, 502, 503])
def test_any_other_status_is_refused_without_a_second_question(status: int) -> None:
    with pytest.raises(DiscoveryRefused) as caught:
        talk(provider().discovery(), Reply(status, content=b"x"))
    assert caught.value.status == status
    assert type(caught.value) is DiscoveryRefused


@pytest.mark.parametrize(("headers", "after"), [((), None), ((("Retry-After", "7"),), 7.0)])
def test_429_says_how_long_to_wait(headers: tuple[tuple[str, str], ...], after: float | None) -> None:
    with pytest.raises(DiscoveryThrottled) as caught:
        talk(provider().discovery(), Reply(429, headers))
    assert (caught.value.status, caught.value.retry_after) == (429, after)


def test_empty_answer_is_a_snapshot_that_the_core_refuses() -> None:
    discovery = provider().discovery()
    assert talk(discovery, Reply(200, content=b'{"endpoints": {"items": []}}'))[1].endpoints == ()
    assert discovery.empty_answer is EmptyAnswer.REFUSE
    assert discovery.addresses is AddressSource.LEARNED


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, EXPORTED),
        (
            {"uid": 123},
            "http://123.vpc.cn-hangzhou.pai-eas.aliyuncs.com/exported/apis/eas.alibaba-inc.k8s.io/v1/upstreams/svc",
        ),
        ({"internal": True}, f"{EXPORTED}?internal=true"),
        ({"service": "svc/v1/chat"}, EXPORTED),
        ({"service": "group.svc"}, EXPORTED.replace("/svc", "/group.svc")),
        ({"discovery_host": "10.1.2.3:8080"}, EXPORTED.replace(OLD_HOST, "http://10.1.2.3:8080")),
        ({"discovery_host": "http://d.example/", "region": None}, EXPORTED.replace(OLD_HOST, "http://d.example")),
    ],
)
def test_where_the_question_goes(settings: dict[str, object], url: str) -> None:
    assert talk(provider(**settings).discovery(), FOUND)[0] == [url]


def test_equal_questions_have_equal_identities() -> None:
    one = provider(token="a", request_path="/v1").discovery().identity
    assert one == provider(token="b", service="svc/other").discovery().identity
    assert one != provider(internal=True).discovery().identity
    assert one != provider(uid="1").discovery().identity
    assert one != provider(discovery_path="exported").discovery().identity
    assert one != provider(service="svc2").discovery().identity


@pytest.mark.parametrize(
    ("settings", "endpoint"),
    [
        ({"access": "vpc_gateway", "uid": "123"}, "http://123.vpc.cn-hangzhou.pai-eas.aliyuncs.com:80"),
        ({"access": "public_gateway", "uid": "123"}, "https://123.cn-hangzhou.pai-eas.aliyuncs.com:443"),
        (
            {"access": "public_gateway", "uid": "123", "https": False},
            "http://123.cn-hangzhou.pai-eas.aliyuncs.com:80",
        ),
        ({"access": "public_gateway", "gateway_host": "gw.example:8443", "https": True}, "https://gw.example:8443"),
        ({"access": "vpc_gateway", "gateway_host": "[::1]:80", "region": None}, "http://[::1]:80"),
    ],
)
def test_gateway_is_one_endpoint_that_nobody_asks_for(settings: dict[str, object], endpoint: str) -> None:
    discovery = provider(**settings).discovery()
    asked, snapshot = talk(discovery)
    assert asked == []
    assert [found.id for found in snapshot.endpoints] == [endpoint]
    assert snapshot.ask_again_in == math.inf
    assert discovery.addresses is AddressSource.CONFIGURED
