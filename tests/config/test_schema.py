"""The JSON Schema accepts what the loader accepts, and refuses what a schema can refuse."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from typing import ClassVar, cast

import jsonschema
import pytest
from pydantic import BaseModel

from directlane.core.config.load import load_data
from directlane.core.config.schema import json_schema
from directlane.core.errors import ConfigError
from directlane.core.interfaces.discovery import Discovery
from directlane.core.interfaces.provider import Provider, ProviderFacts
from directlane.core.plugins.hooks import ProviderPlugin, hookimpl
from directlane.core.plugins.registry import Registered, Registry, load_plugins

ENVIRONMENT = {"T": "token", "N": "3", "B": "true", "D": "5s", "A": "direct"}


class Validator:
    """What a schema says about data."""

    def __init__(self, registry: Registry) -> None:
        schema = json_schema(registry)
        jsonschema.Draft202012Validator.check_schema(schema)
        self._validator = jsonschema.Draft202012Validator(schema)

    def mistakes(self, data: object) -> list[str]:
        # The stubs of jsonschema leave some types open.
        errors = cast("Iterable[Exception]", self._validator.iter_errors(data))  # pyright: ignore
        return [str(error) for error in errors]


@pytest.fixture
def validator(registry: Registry) -> Validator:
    return Validator(registry)


@pytest.mark.parametrize(
    ("of_service", "of_route"),
    [
        ("", ""),
        ("timeout = '1m30s'\nconnect_timeout = 0.5\nattempt_timeout = '250 ms'", "token = '${T}'"),
        ("timeout = '${D}'\nattempts = '${N}'\nrepeatable = '${B}'", "port = '${N}'\naccess = '${A}'"),
        ("repeatable = 'by_method'", "name = 'x'\nweight = 2\ntier = 1"),
        ("balancer = 'weighted_round_robin'\ntransport = 'auto'", ""),
        ("balancer = { kind = 'sticky', replicas = 2 }\ntransport = { kind = 'auto', http2 = true }", ""),
        ("discovery = { interval = '5s', allow_networks = ['10.0.0.0/8', 'fc00::/7'] }", "labels = { a = 'b' }"),
        ("", "login = { user = 'a', password = '${T}' }"),
        ("", "keys = ['${T}', 'x${T}']"),
    ],
)
def test_good_files(
    validator: Validator,
    registry: Registry,
    service: Callable[..., str],
    of_service: str,
    of_route: str,
) -> None:
    data = tomllib.loads(service(of_service=of_service, of_route=of_route))
    load_data(data, source="x", environment=ENVIRONMENT, registry=registry)
    assert validator.mistakes(data) == []


@pytest.mark.parametrize(
    ("of_service", "of_route"),
    [
        ("timeout = '5x'", ""),
        ("timeout = true", ""),
        ("timout = 1", ""),
        ("attempts = 0", ""),
        ("attempts = 'three'", ""),
        ("repeatable = 'sure'", ""),
        ("balancer = 'sticky'", ""),
        ("balancer = 'nobody'", ""),
        ("balancer = { kind = 'nobody' }", ""),
        ("balancer = { replicas = 1 }", ""),
        ("balancer = { kind = 'sticky', replicas = 1, more = 1 }", ""),
        ("transport = 'tcp'", ""),
        ("discovery = { intervall = 1 }", ""),
        ("", "port = 0"),
        ("", "access = 'else'"),
        ("", "token = 12345"),
        ("", "weight = -1"),
        ("", "wieght = 1"),
        ("", "login = { user = 'a' }"),
        ("", "login = { user = 'a', password = 'b', more = 1 }"),
        ("", "[extra]"),
    ],
)
def test_bad_files(
    validator: Validator,
    registry: Registry,
    service: Callable[..., str],
    of_service: str,
    of_route: str,
) -> None:
    data = tomllib.loads(service(of_service=of_service, of_route=of_route))
    with pytest.raises(ConfigError):
        load_data(data, source="x", environment=ENVIRONMENT, registry=registry)
    assert validator.mistakes(data)


SHAPES: list[dict[str, object]] = [
    {},
    {"services": {}},
    {"services": {"a": {}}},
    {"services": {"a": {"routes": []}}},
    {"services": {"a": {"routes": [{}]}}},
    {"services": {"a": {"routes": [{"provider": "nobody"}]}}},
    {"services": {"a": {"routes": [{"provider": "cloud"}]}}},
    {"services": {"": {"routes": [{"provider": "cloud", "service": "x"}]}}},
]


@pytest.mark.parametrize("data", SHAPES)
def test_bad_shapes(validator: Validator, registry: Registry, data: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        load_data(data, source="x", environment={}, registry=registry)
    assert validator.mistakes(data)


def test_descriptions_and_secrets_are_kept(registry: Registry) -> None:
    text = str(json_schema(registry))
    assert "Name of the service in the cloud." in text
    assert "A cloud for tests." in text
    assert "'format': 'password'" in text
    assert "Deadline of a call" in text


class Login(BaseModel):
    """Named like the model of another plug-in."""

    key: int


class Other(Provider):
    kind = "other"
    facts: ClassVar[ProviderFacts] = ProviderFacts(title="Other", summary="")
    login: Login

    def discovery(self) -> Discovery:
        raise NotImplementedError


class OtherPlugin:
    @hookimpl
    def directlane_providers(self) -> list[ProviderPlugin]:
        return [ProviderPlugin(Other)]


def test_models_of_the_same_name_do_not_meet(registry: Registry) -> None:
    registry.add(OtherPlugin(), Registered("other", "other 1.0"))
    validator = Validator(registry)
    assert not validator.mistakes(with_route({"provider": "other", "login": {"key": 1}}))
    assert validator.mistakes(with_route({"provider": "other", "login": {"user": "a", "password": "b"}}))


def test_without_any_plugin() -> None:
    assert Validator(Registry()).mistakes(with_route({"provider": "x"}))


def test_with_the_installed_plugins() -> None:
    assert Validator(load_plugins()).mistakes({})


def with_route(route: dict[str, object]) -> dict[str, object]:
    return {"services": {"a": {"routes": [route]}}}
