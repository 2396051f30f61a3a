"""Another configuration for an open client. For async code."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from client_lab import Fleet

from directlane import AsyncClient, ClosedError, Config, ConfigError, UnknownServiceError, load_data

pytestmark = pytest.mark.anyio


def config_of(data: dict[str, Any]) -> Config:
    return load_data(data, source="test", environment={})


def route(fleet: Fleet, number: int, **more: object) -> dict[str, object]:
    return {"provider": "static", "addresses": [fleet.servers[number].server.url], "name": f"r{number}", **more}


def services(*routes: dict[str, object], **service: object) -> dict[str, Any]:
    return {"services": {"svc": {"routes": list(routes), **service}}}


async def test_calls_go_where_the_new_configuration_says(fleet: Fleet) -> None:
    async with AsyncClient(config_of(services(route(fleet, 0)))) as client:
        service = client.service("svc")
        assert (await service.send()).json()["server"] == "s1"
        await client.reload(config_of(services(route(fleet, 1), timeout="7s")))
        assert client.service("svc") is service
        assert (await service.send()).json()["server"] == "s2"
        assert service.plan.calls.timeout == 7
        assert [view.route for view in service.endpoints()] == ["r1"], "nothing was open, so nothing is left"


async def test_routes_that_stay_keep_statistics_and_connections(fleet: Fleet) -> None:
    async with AsyncClient(config_of(services(route(fleet, 0)))) as client:
        service = client.service("svc")
        await service.send()
        (lane,) = [member.lane for member in service.routes[0].pool.members()]
        await client.reload(config_of(services(route(fleet, 1, tier=1), route(fleet, 0, weight=5))))
        await service.send()
        kept = next(live for live in service.routes if live.name == "r0")
        assert [member.lane for member in kept.pool.members()] == [lane]
        assert [(view.route, view.attempts) for view in service.endpoints()] == [("r1", 0), ("r0", 2)]
        assert (kept.weight, [tier.load for tier in service.tiers()]) == (5, [100, 0])


async def test_a_route_of_weight_0_drains(fleet: Fleet) -> None:
    async with AsyncClient(config_of(services(route(fleet, 0), route(fleet, 1)))) as client:
        service = client.service("svc")
        await client.reload(config_of(services(route(fleet, 0, weight=0), route(fleet, 1))))
        assert {(await service.send()).json()["server"] for _ in range(20)} == {"s2"}
        assert [view.state for view in service.endpoints()] == ["draining", "ready"]


async def test_an_open_stream_ends_before_its_connection_is_closed(fleet: Fleet) -> None:
    async with AsyncClient(config_of(services(route(fleet, 0)))) as client:
        service = client.service("svc")
        async with service.stream(b"x") as reply:
            await client.reload(config_of(services(route(fleet, 1))))
            assert [(view.route, view.open_calls) for view in service.endpoints()] == [("r1", 0), ("r0", 1)]
            assert json.loads(b"".join([piece async for piece in reply.aiter_bytes()]))["server"] == "s1"
        assert (await service.send()).json()["server"] == "s2"
        assert [view.route for view in service.endpoints()] == ["r1"]


async def test_services_come_and_go(fleet: Fleet) -> None:
    one, two = services(route(fleet, 0)), services(route(fleet, 1))
    both = {"services": {"svc": one["services"]["svc"], "other": two["services"]["svc"]}}
    async with AsyncClient(config_of(one)) as client:
        service = client.service("svc")
        await service.send()
        with pytest.raises(UnknownServiceError):
            client.service("other")
        await client.reload(config_of(both))
        assert (await client.service("other").send()).json()["server"] == "s2"

        await client.reload(config_of({"services": {"other": both["services"]["other"]}}))
        with pytest.raises(ClosedError, match="removed from the configuration"):
            await service.send()
        with pytest.raises(UnknownServiceError):
            client.service("svc")

        await client.reload(config_of(both))
        assert (await service.send()).json()["server"] == "s1", "a handle is good again when its service is back"


async def test_a_service_that_goes_lets_its_open_calls_end(fleet: Fleet) -> None:
    other = {"services": {"other": services(route(fleet, 1))["services"]["svc"]}}
    async with AsyncClient(config_of(services(route(fleet, 0)))) as client:
        service = client.service("svc")
        async with service.stream(b"x") as reply:
            await client.reload(config_of(other))
            assert json.loads(b"".join([piece async for piece in reply.aiter_bytes()]))["server"] == "s1"


async def test_a_bad_configuration_is_refused_and_the_old_one_stays(fleet: Fleet, tmp_path: Path) -> None:
    file = tmp_path / "directlane.json"
    file.write_text(json.dumps(services(route(fleet, 0))))
    async with AsyncClient.from_file(file) as client:
        service = client.service("svc")
        await service.send()
        before = client.config
        file.write_text('{"services": ')
        with pytest.raises(ConfigError):
            await client.reload()
        assert client.reload_error is not None
        assert client.config is before
        assert (await service.send()).ok

        empty: dict[str, object] = {
            "provider": "alibaba_eas",
            "service": "s",
            "discovery_host": "127.0.0.1:9",
            "name": "far",
        }
        bad = services(empty, discovery={"start_timeout": "2s", "timeout": "1s"})
        with pytest.raises(ConfigError, match="none of the new routes has an endpoint"):
            await client.reload(config_of(bad))
        assert (await service.send()).ok

        file.write_text(json.dumps(services(route(fleet, 1))))
        await client.reload()
        assert client.reload_error is None
        assert (await service.send()).json()["server"] == "s2"


async def test_a_client_without_a_file_needs_to_be_told(fleet: Fleet) -> None:
    client = AsyncClient(config_of(services(route(fleet, 0))))
    with pytest.raises(ConfigError, match="not made from a file"):
        await client.reload()
    await client.aclose()
    with pytest.raises(ClosedError):
        await client.reload(config_of(services(route(fleet, 1))))


async def test_a_watched_file_is_taken_over(fleet: Fleet, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "directlane.json"

    def write(text: str) -> None:
        other = tmp_path / "other"
        other.write_text(text)
        other.replace(file)

    write(json.dumps(services(route(fleet, 0))))
    async with AsyncClient.from_file(file, watch=0.01) as client:
        service = client.service("svc")

        def is_refused() -> bool:
            return client.reload_error is not None

        write("{")
        ends_at = time.monotonic() + 30
        while not is_refused() and time.monotonic() < ends_at:
            assert (await service.send()).json()["server"] == "s1"
        assert is_refused()
        write(json.dumps(services(route(fleet, 1))))
        while is_refused() and time.monotonic() < ends_at:
            await service.send()
        assert not is_refused()
        assert (await service.send()).json()["server"] == "s2"
    assert caplog.text.count("refused; the old one stays") == 1, "once for each change"


@pytest.mark.parametrize("watch", [0, -1, "soon"])
async def test_an_interval_that_is_none_is_refused(watch: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"watch|duration"):
        AsyncClient.from_file(tmp_path / "x.toml", watch=watch)  # type: ignore[arg-type]  # that is the test
