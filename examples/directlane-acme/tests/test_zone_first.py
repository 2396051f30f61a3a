"""Who gets the calls: near first, by weight, and not more than a zone can bear."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import directlane
import pytest
from directlane.emulation import ThreadInstance

NEAR, FAR = "zone-a", "zone-b"


@pytest.fixture
def instances() -> Iterator[list[ThreadInstance]]:
    with ExitStack() as stack:
        yield [stack.enter_context(ThreadInstance(name)) for name in ("near-1", "near-2", "far-1")]


def client_of(instances: list[ThreadInstance], weights: list[int | None], **settings: object) -> directlane.Client:
    addresses = [
        {"url": each.url, "zone": NEAR if each.name.startswith("near") else FAR}
        | ({} if weight is None else {"weight": weight})
        for each, weight in zip(instances, weights, strict=True)
    ]
    balancer = {"kind": "zone_first", "zone": NEAR, **settings}
    route = {"provider": "static", "addresses": addresses}
    return directlane.Client.from_data({"services": {"s": {"balancer": balancer, "routes": [route]}}})


def who(client: directlane.Client, calls: int) -> Counter[str]:
    return Counter(client.service("s").send(b"[]").json()["instance"] for _ in range(calls))


def test_calls_stay_in_their_zone(instances: list[ThreadInstance]) -> None:
    with client_of(instances, [None, None, 100]) as client:
        assert who(client, 40).keys() == {"near-1", "near-2"}


def test_weights_count_inside_the_zone(instances: list[ThreadInstance]) -> None:
    with client_of(instances, [9, 1, 9]) as client:
        counts = who(client, 200)
    assert counts["near-1"] > 2 * counts["near-2"]  # 9 times on average; twice or less, by chance: never in 1e15 runs


def test_a_full_zone_overflows(instances: list[ThreadInstance]) -> None:
    with client_of(instances, [None, 0, None], full_at=1) as client:
        stream = b'{"stream": true}'
        with client.service("s").stream(stream) as open_call:
            assert open_call.endpoint is not None
            assert open_call.endpoint.zone == NEAR
            assert "far-1" in who(client, 60)


def test_a_zone_without_anybody_leaves_its_calls_to_the_others(instances: list[ThreadInstance]) -> None:
    for near in instances[:2]:
        near.kill()
    with client_of(instances, [None, None, None]) as client:
        assert who(client, 20) == {"far-1": 20}


def test_without_a_zone_the_configuration_is_refused() -> None:
    route = {"provider": "static", "addresses": ["http://10.0.0.7:8000"]}
    with pytest.raises(directlane.ConfigError, match="zone"):
        directlane.Client.from_data({"services": {"s": {"balancer": "zone_first", "routes": [route]}}})
