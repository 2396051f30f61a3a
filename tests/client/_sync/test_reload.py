# Made by tools/unasync.py from tests/client/_async/test_reload.py. Change that file, then run the tool.
"""Another configuration for an open client. For sync code."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from client_lab import Fleet

from directlane import Client, ClosedError, Config, ConfigError, UnknownServiceError, load_data

pytestmark = pytest.mark.anyio


def config_of(data: dict[str, Any]) -> Config:
    return load_data(data, source="test", environment={})


def route(fleet: Fleet, number: int, **more: object) -> dict[str, object]:
    return {"provider": "static", "addresses": [fleet.servers[number].server.url], "name": f"r{number}", **more}


def services(*routes: dict[str, object], **service: object) -> dict[str, Any]:
    return {"services": {"svc": {"routes": list(routes), **service}}}


def test_calls_go_where_the_new_configuration_says(fleet: Fleet) -> None:
    with Client(config_of(services(route(fleet, 0)))) as client:
        service = client.service("svc")
        assert (service.send()).json()["server"] == "s1"
        client.reload(config_of(services(route(fleet, 1), timeout="7s")))
        assert client.service("svc") is service
        assert (service.send()).json()["server"] == "s2"
        assert service.plan.calls.timeout == 7
        assert [view.route for view in service.endpoints()] == ["r1"], "nothing was open, so nothing is left"


def test_routes_that_stay_keep_statistics_and_connections(fleet: Fleet) -> None:
    with Client(config_of(services(route(fleet, 0)))) as client:
        service = client.service("svc")
        service.send()
        (lane,) = [member.lane for member in service.routes[0].pool.members()]
        client.reload(config_of(services(route(fleet, 1, tier=1), route(fleet, 0, weight=5))))
        service.send()
        kept = next(live for live in service.routes if live.name == "r0")
        assert [member.lane for member in kept.pool.members()] == [lane]
        assert [(view.route, view.attempts) for view in service.endpoints()] == [("r1", 0), ("r0", 2)]
        assert (kept.weight, [tier.load for tier in service.tiers()]) == (5, [100, 0])


def test_a_route_of_weight_0_drains(fleet: Fleet) -> None:
    with Client(config_of(services(route(fleet, 0), route(fleet, 1)))) as client:
        service = client.service("svc")
        client.reload(config_of(services(route(fleet, 0, weight=0), route(fleet, 1))))
        assert {(service.send()).json()["server"] for _ in range(20)} == {"s2"}
        assert [view.state for view in service.endpoints()] == ["draining", "ready"]


def test_an_open_stream_ends_before_its_connection_is_closed(fleet: Fleet) -> None:
    with Client(config_of(services(route(fleet, 0)))) as client:
        service = client.service("svc")
        with service.stream(b"x") as reply:
            client.reload(config_of(services(route(fleet, 1))))
            assert [(view.route, view.open_calls) for view in service.endpoints()] == [("r1", 0), ("r0", 1)]
            assert json.loads(b"".join([piece for piece in reply.iter_bytes()]))["server"] == "s1"
        assert (service.send()).json()["server"] == "s2"
        assert [view.route for view in service.endpoints()] == ["r1"]


def test_services_come_and_go(fleet: Fleet) -> None:
    one, two = services(route(fleet, 0)), services(route(fleet, 1))
    both = {"services": {"svc": one["services"]["svc"], "other": two["services"]["svc"]}}
    with Client(config_of(one)) as client:
        service = client.service("svc")
        service.send()
        with pytest.raises(UnknownServiceError):
            client.service("other")
        client.reload(config_of(both))
        assert (client.service("other").send()).json()["server"] == "s2"

        client.reload(config_of({"services": {"other": both["services"]["other"]}}))
        with pytest.raises(ClosedError, match="removed from the configuration"):
            service.send()
        with pytest.raises(UnknownServiceError):
            client.service("svc")

        client.reload(config_of(both))
        assert (service.send()).json()["server"] == "s1", "a handle is good again when its service is back"


def test_a_service_that_goes_lets_its_open_calls_end(fleet: Fleet) -> None:
    other = {"services": {"other": services(route(fleet, 1))["services"]["svc"]}}
    with Client(config_of(services(route(fleet, 0)))) as client:
        service = client.service("svc")
        with service.stream(b"x") as reply:
            client.reload(config_of(other))
            assert json.loads(b"".join([piece for piece in reply.iter_bytes()]))["server"] == "s1"


def test_a_bad_configuration_is_refused_and_the_old_one_stays(fleet: Fleet, tmp_path: Path) -> None:
    file = tmp_path / "directlane.json"
    file.write_text(json.dumps(services(route(fleet, 0))))
    with Client.from_file(file) as client:
        service = client.service("svc")
        service.send()
        before = client.config
        file.write_text('{"services": ')
        with pytest.raises(ConfigError):
            client.reload()
        assert client.reload_error is not None
        assert client.config is before
        assert (service.send()).ok

        empty: dict[str, object] = {
            "provider": "alibaba_eas",
            "service": "s",
            "discovery_host": "127.0.0.1:9",
            "name": "far",
        }
        bad = services(empty, discovery={"start_timeout": "2s", "timeout": "1s"})
        with pytest.raises(ConfigError, match="none of the new routes has an endpoint"):
            client.reload(config_of(bad))
        assert (service.send()).ok

        file.write_text(json.dumps(services(route(fleet, 1))))
        client.reload()
        assert client.reload_error is None
        assert (service.send()).json()["server"] == "s2"


def test_a_client_without_a_file_needs_to_be_told(fleet: Fleet) -> None:
    client = Client(config_of(services(route(fleet, 0))))
    with pytest.raises(ConfigError, match="not made from a file"):
        client.reload()
    client.close()
    with pytest.raises(ClosedError):
        client.reload(config_of(services(route(fleet, 1))))


def test_a_watched_file_is_taken_over(fleet: Fleet, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "directlane.json"

    def write(text: str) -> None:
        other = tmp_path / "other"
        other.write_text(text)
        other.replace(file)

    write(json.dumps(services(route(fleet, 0))))
    with Client.from_file(file, watch=0.01) as client:
        service = client.service("svc")

        def is_refused() -> bool:
            return client.reload_error is not None

        write("{")
        ends_at = time.monotonic() + 30
        while not is_refused() and time.monotonic() < ends_at:
            assert (service.send()).json()["server"] == "s1"
        assert is_refused()
        write(json.dumps(services(route(fleet, 1))))
        while is_refused() and time.monotonic() < ends_at:
            service.send()
        assert not is_refused()
        assert (service.send()).json()["server"] == "s2"
    assert caplog.text.count("refused; the old one stays") == 1, "once for each change"


@pytest.mark.parametrize("watch", [0, -1, "soon"])
def test_an_interval_that_is_none_is_refused(watch: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"watch|duration"):
        Client.from_file(tmp_path / "x.toml", watch=watch)  # type: ignore[arg-type]  # that is the test
