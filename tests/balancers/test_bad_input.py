"""What no balancer may trip over: nobody to pick, odd weights, odd keys, odd settings. Each has one defined answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

import pytest
from pydantic import ValidationError

from directlane import ConfigError, load_file
from directlane.balancers.consistent_hash import ConsistentHash
from directlane.balancers.least_loaded import LeastLoaded
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.clock import SYSTEM_CLOCK
from directlane.core.endpoint import MAX_WEIGHT, Endpoint
from directlane.core.interfaces.balancer import ANY, Balancer, BuildContext, Member, PickInfo
from directlane.core.pool.pool import Pool

Members = Callable[[Iterable[float]], list[Member]]

EVERYTHING_ON: list[Balancer] = [
    LeastLoaded(work="size", use_age=True, use_latency=True, reports="orca"),
    LeastLoaded(work="size", use_age=True, use_latency=True, reports="orca", full_scan=1),
    WeightedRoundRobin(reports="orca", blackout=0.0),
    ConsistentHash(algorithm="ring", bound="off"),
    ConsistentHash(algorithm="maglev"),
]


@pytest.fixture(params=EVERYTHING_ON, ids=[f"{place} {one.kind}" for place, one in enumerate(EVERYTHING_ON)])
def full(request: pytest.FixtureRequest) -> Balancer:
    """Balancers with everything switched on that they have."""
    balancer: Balancer = request.param
    return balancer


def _pool(balancer: Balancer, *weights: int | None) -> Pool[None]:
    pool: Pool[None] = Pool(balancer, lambda endpoint: None, SYSTEM_CLOCK, Random(1))
    pool.update(Endpoint("10.0.0.1", 80, id=f"e{place}", weight=weight) for place, weight in enumerate(weights))
    return pool


class _Answers:
    """The same questions to each of the built-in balancers, plain and with everything on."""

    def check_nobody(self, balancer: Balancer) -> None:
        for pool in (_pool(balancer), _pool(balancer, 0, 0)):
            assert pool.pick(ANY) is None
            assert pool.pick(PickInfo(excluded={"e0"}, key=b"k", size=5.0)) is None

    def check_drained(self, balancer: Balancer) -> None:
        pool = _pool(balancer, 0, 5, 0)
        assert {member.endpoint.id for _ in range(50) if (member := pool.pick(ANY))} == {"e1"}
        assert pool.pick(PickInfo(excluded={"e1"})) is None

    def check_weights(self, balancer: Balancer, members: Members) -> None:
        for weights in ([1, MAX_WEIGHT], [1e-300, 1.0, 1e300], [5e-324, 1.7e308]):
            picker = balancer.build(members(weights), BuildContext(Random(1)))
            assert all(picker.pick(ANY) is not None for _ in range(20))
            assert picker.pick(PickInfo(excluded={"e0001"})) is not None

    def check_keys(self, balancer: Balancer) -> None:
        pool = _pool(balancer, 1, 2, None)
        for key in (b"", b"\x00", b"k" * 1_000_000, bytes(range(256))):
            assert pool.pick(PickInfo(key=key)) is not None
            assert pool.pick(PickInfo(excluded={"e0", "nobody"}, key=key)) is not None


class TestPlain(_Answers):
    def test_nobody(self, balancer: Balancer) -> None:
        self.check_nobody(balancer)

    def test_drained(self, balancer: Balancer) -> None:
        self.check_drained(balancer)

    def test_weights(self, balancer: Balancer, members: Members) -> None:
        self.check_weights(balancer, members)

    def test_keys(self, balancer: Balancer) -> None:
        self.check_keys(balancer)


class TestEverythingOn(_Answers):
    def test_nobody(self, full: Balancer) -> None:
        self.check_nobody(full)

    def test_drained(self, full: Balancer) -> None:
        self.check_drained(full)

    def test_weights(self, full: Balancer, members: Members) -> None:
        self.check_weights(full, members)

    def test_keys(self, full: Balancer) -> None:
        self.check_keys(full)


@pytest.mark.parametrize("field", ["full_scan", "samples", "memory", "report_fade"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 0, 10**400, "many", None, True, []])
def test_numbers_of_least_loaded_that_are_none(field: str, value: object) -> None:
    if field == "report_fade" and value is None:
        return  # its default
    if value is True and field in ("memory", "full_scan"):
        return  # 1, as pydantic reads it
    with pytest.raises(ValidationError):
        LeastLoaded.model_validate({field: value})


@pytest.mark.parametrize("weight", ["nan", "inf", "-1", "1.5", "1e400", "99999999999999999999", "'3 kg'"])
@pytest.mark.parametrize("where", ["route", "address"])
def test_weights_in_a_file_that_are_none(tmp_path: Path, where: str, weight: str) -> None:
    address = f"{{ url = 'http://10.0.0.7:8000', weight = {weight} }}" if where == "address" else "'http://h:1'"
    route = f"weight = {weight}\n" if where == "route" else ""
    file = tmp_path / "directlane.toml"
    file.write_text(f"[[services.s.routes]]\nprovider = 'static'\naddresses = [{address}]\n{route}")
    with pytest.raises(ConfigError, match="weight"):
        load_file(file, environment={})
