"""A good file becomes a Config."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from directlane.core.config import load as load_module
from directlane.core.config.load import load_data, load_file
from directlane.core.config.model import PRIVATE_NETWORKS, CallSettings, DiscoverySettings
from directlane.core.errors import ConfigError
from directlane.core.fields import Secret
from directlane.core.plugins.registry import BrokenPlugin, Registered, Registry

if TYPE_CHECKING:
    from .conftest import Cloud, Load

FULL = """
[plugins]
block = []

[discovery]
interval = "2s"
timeout = "1s"

[services.scorecard]
timeout = "5s"
attempts = 2
repeatable = true
balancer = { kind = "sticky", replicas = 3 }
transport = "auto"
discovery = { interval = "8s" }

[[services.scorecard.routes]]
provider = "cloud"
name = "first"
weight = 3
service = "scorecard"
token = "${CLOUD_TOKEN}"
port = 8080
lifetime = "1m30s"

[[services.scorecard.routes]]
provider = "cloud"
tier = 1
service = "standby"
login = { user = "bob", password = "${CLOUD_PASSWORD}" }

[services."name with spaces"]
repeatable = "by_method"
[[services."name with spaces".routes]]
provider = "cloud"
service = "${CLOUD_TOKEN}"
"""
ENVIRONMENT = {"CLOUD_TOKEN": "tok-12345", "CLOUD_PASSWORD": "pass-12345"}


def cloud(provider: object) -> Cloud:
    return cast("Cloud", provider)


def test_a_full_file(load: Load) -> None:
    config = load(FULL, environment=ENVIRONMENT)
    assert list(config.services) == ["scorecard", "name with spaces"]
    assert config.warnings == ()
    service = config.services["scorecard"]
    assert service.calls == CallSettings(timeout=5.0, attempts=2, repeatable=True)
    assert service.discovery == DiscoverySettings(interval=8.0, timeout=1.0)
    assert service.balancer.kind == "sticky"
    assert service.transport.kind == "auto"
    first, second = service.routes
    assert (first.name, first.weight, first.tier) == ("first", 3, 0)
    assert (second.name, second.weight, second.tier) == ("cloud-2", 1, 1)
    provider = cloud(first.provider)
    assert (provider.service, provider.port, provider.lifetime) == ("scorecard", 8080, 90.0)
    assert provider.token == Secret("tok-12345")
    assert provider.token is not None
    assert provider.token.reference == "${CLOUD_TOKEN}"
    other = config.services["name with spaces"]
    assert other.discovery.interval == 2.0
    assert other.balancer.kind == "weighted_round_robin"
    assert cloud(other.routes[0].provider).service == "tok-12345"


def test_no_repr_of_the_whole_shows_a_secret(load: Load) -> None:
    config = load(FULL.replace('service = "${CLOUD_TOKEN}"', 'service = "x"'), environment=ENVIRONMENT)
    shown = repr(config) + str(config)
    assert "tok-12345" not in shown
    assert "pass-12345" not in shown


def test_yaml_and_json_hold_the_same_data(load: Load, service: Callable[..., str]) -> None:
    data = {"services": {"scorecard": {"timeout": "5s", "routes": [{"provider": "cloud", "service": "scorecard"}]}}}
    yaml_text = """
services:
  scorecard:
    timeout: 5s
    routes:
      - provider: cloud
        service: scorecard
"""
    plans = [
        load(service(of_service='timeout = "5s"')).services,
        load(yaml_text, name="directlane.yaml").services,
        load(yaml_text, name="directlane.yml").services,
        load(json.dumps(data), name="directlane.json").services,
        load(json.dumps(data), name="directlane.yaml").services,
    ]
    assert all(plan == plans[0] for plan in plans)


def test_plain_data(registry: Registry) -> None:
    data = {"services": {"s": {"routes": [{"provider": "cloud", "service": "s"}]}}}
    assert load_data(data, source="here", environment={}, registry=registry).source == "here"
    with pytest.raises(ConfigError, match=r"^here: services\.s\.routes\[0\]\.provider: there is no provider"):
        load_data(
            {"services": {"s": {"routes": [{"provider": "?"}]}}}, source="here", environment={}, registry=registry
        )


def test_a_byte_order_mark_and_windows_line_ends(
    tmp_path: Path, registry: Registry, service: Callable[..., str]
) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(b"\xef\xbb\xbf" + service().replace("\n", "\r\n").encode())
    assert load_file(file, environment={}, registry=registry).services


def test_numbers_and_durations_may_come_from_the_environment(load: Load, service: Callable[..., str]) -> None:
    text = service(of_service='timeout = "${LIMIT}"\nattempts = "${ATTEMPTS}"', of_route='port = "${PORT}"')
    plan = load(text, environment={"LIMIT": "7s", "ATTEMPTS": "4", "PORT": "81"}).services["scorecard"]
    assert (plan.calls.timeout, plan.calls.attempts) == (7.0, 4)
    assert cloud(plan.routes[0].provider).port == 81


def test_two_dollars_stand_for_a_plain_one(load: Load, service: Callable[..., str]) -> None:
    config = load(service(of_route='labels = { a = "$${X}", b = "cost $5 ${X}$" }'), environment={"X": "${Y}"})
    labels = cloud(config.services["scorecard"].routes[0].provider).labels
    assert labels == {"a": "${X}", "b": "cost $5 ${Y}$"}
    pickle.dumps(labels)


def test_a_secret_file_is_found_beside_the_configuration(
    load: Load, service: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "token").write_text("from a file\n")
    monkeypatch.chdir("/")
    config = load(service(of_route='token = "file:secrets/token"'))
    token = cloud(config.services["scorecard"].routes[0].provider).token
    assert token is not None
    assert token.reveal() == "from a file"
    assert str(token) == "file:secrets/token"
    config = load(
        service(of_route='login = { user = "a", password = "file:${DIR}/token" }'),
        environment={"DIR": str(tmp_path / "secrets")},
    )
    login = cloud(config.services["scorecard"].routes[0].provider).login
    assert login is not None
    assert login.password.reveal() == "from a file"
    assert str(login.password) == "file:${DIR}/token"


def test_text_beside_a_reference_is_masked(load: Load, service: Callable[..., str]) -> None:
    config = load(service(of_route='token = "left-${X}-right"'), environment={"X": "mid"})
    token = cloud(config.services["scorecard"].routes[0].provider).token
    assert token is not None
    assert token.reveal() == "left-mid-right"
    assert str(token) == "***${X}***"


def test_what_an_environment_variable_holds_is_never_a_path(load: Load, service: Callable[..., str]) -> None:
    config = load(service(of_route='token = "${X}"'), environment={"X": "file:/etc/hostname"})
    token = cloud(config.services["scorecard"].routes[0].provider).token
    assert token is not None
    assert token.reveal() == "file:/etc/hostname"


def test_secrets_in_clear_are_warned_about(load: Load, service: Callable[..., str]) -> None:
    text = service(of_route='login = { user = "bob", password = "clear-password" }\nkeys = ["${K}", "clear-key"]')
    warnings = load(text, environment={"K": "k"}).warnings
    assert [(warning.path, warning.line) for warning in warnings] == [
        ("services.scorecard.routes[0].login.password", 8),
        ("services.scorecard.routes[0].keys[1]", 9),
    ]
    assert "clear-password" not in str(warnings)
    assert "clear-key" not in str(warnings)


def test_broken_plugins_are_a_warning(load: Load, service: Callable[..., str], registry: Registry) -> None:
    registry.broken.append(BrokenPlugin("acme", "acme 2.0", "ImportError: no"))
    (warning,) = load(service()).warnings
    assert warning.message == "plug-in 'acme' of acme 2.0 is not usable: ImportError: no"


def test_the_plugins_table_chooses(
    service: Callable[..., str], registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def load_plugins(*, only: object, block: object) -> Registry:
        asked.append((only, block))
        registry.skipped.append(Registered("acme", "acme 2.0"))
        return registry

    monkeypatch.setattr(load_module, "load_plugins", load_plugins)
    file = tmp_path / "a.toml"
    file.write_text('[plugins]\nonly = ["fakes"]\nblock = ["acme", "nobody"]\n' + service())
    config = load_file(file, environment={})
    assert asked == [(("fakes",), ("acme", "nobody"))]
    assert [warning.path for warning in config.warnings] == ["plugins.block[1]"]
    file.write_text('[plugins]\nonly = ["fakse"]\n' + service().replace('"cloud"', '"acme"'))
    with pytest.raises(ConfigError) as caught:
        load_file(file, environment={})
    assert [problem.message for problem in caught.value.problems] == [
        "there is no plug-in 'fakse'; did you mean \"fakes\"?",
        "the plug-in of provider 'acme' is not loaded: see `only` and `block` of [plugins]",
    ]


def test_the_installed_plugins_are_used_by_default(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[services.s]\n[[services.s.routes]]\nprovider = "nobody"\n')
    with pytest.raises(ConfigError, match="there is no provider 'nobody'"):
        load_file(file, environment={})


def test_default_networks_are_private(load: Load, service: Callable[..., str]) -> None:
    networks = load(service()).services["scorecard"].discovery.allow_networks
    assert tuple(str(network) for network in networks) == PRIVATE_NETWORKS
