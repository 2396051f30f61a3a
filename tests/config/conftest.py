"""A registry of small fakes: what stands in a file is the subject here, not what plug-ins do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from directlane.core.config.load import load_file
from directlane.core.config.model import Config
from directlane.core.endpoint import Endpoint
from directlane.core.errors import ConfigError, ConfigProblem
from directlane.core.fields import Duration, Secret
from directlane.core.interfaces.balancer import Balancer, BuildContext, Member, Picker
from directlane.core.interfaces.discovery import Discovery
from directlane.core.interfaces.provider import Provider, ProviderFacts
from directlane.core.interfaces.transport import AsyncChannel, Channel, Transport
from directlane.core.plugins.hooks import ProviderPlugin, hookimpl
from directlane.core.plugins.registry import Registered, Registry


class Login(BaseModel):
    """A nested table with a secret of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user: str
    password: Secret


class Ready(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["ready"]
    ready: Secret


class Pair(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["pair"]
    access_key: str
    secret_key: Secret


class Cloud(Provider):
    """A provider with a field of every sort."""

    kind = "cloud"
    facts: ClassVar[ProviderFacts] = ProviderFacts(title="Cloud", summary="A cloud for tests.")

    service: str = Field(min_length=1, description="Name of the service in the cloud.")
    token: Secret | None = None
    port: int = Field(default=80, ge=1, le=65535)
    access: Literal["direct", "gateway"] = "direct"
    lifetime: Duration = 60.0
    login: Login | None = None
    keys: tuple[Secret, ...] = ()
    credential: Annotated[Ready | Pair, Field(discriminator="type")] | None = None
    labels: dict[str, str] = Field(default_factory=dict[str, str])

    @model_validator(mode="after")
    def _one_credential(self) -> Cloud:
        if self.token is not None and self.login is not None:
            raise ValueError(f"give token or login, not both ({self.token.reveal()})")
        return self

    def discovery(self) -> Discovery:
        raise NotImplementedError


class Crashing(Provider):
    """A provider whose validator has a bug."""

    kind = "crashing"
    facts: ClassVar[ProviderFacts] = ProviderFacts(title="Crashing", summary="Has a bug.")

    token: str

    @model_validator(mode="after")
    def _bug(self) -> Crashing:
        raise KeyError(self.token)

    def discovery(self) -> Discovery:
        raise NotImplementedError


class RoundRobin(Balancer):
    kind = "weighted_round_robin"
    summary: ClassVar[str] = "In turn."

    def build(self, members: Sequence[Member], context: BuildContext) -> Picker:
        raise NotImplementedError


class Sticky(Balancer):
    kind = "sticky"

    replicas: int = Field(ge=1)

    def build(self, members: Sequence[Member], context: BuildContext) -> Picker:
        raise NotImplementedError


class Wire(Transport):
    kind = "auto"

    http2: bool = False

    def open(self, endpoint: Endpoint) -> Channel:
        raise NotImplementedError

    def open_async(self, endpoint: Endpoint) -> AsyncChannel:
        raise NotImplementedError


class Fakes:
    @hookimpl
    def directlane_providers(self) -> list[ProviderPlugin]:
        return [ProviderPlugin(Cloud), ProviderPlugin(Crashing)]

    @hookimpl
    def directlane_balancers(self) -> list[type[Balancer]]:
        return [RoundRobin, Sticky]

    @hookimpl
    def directlane_transports(self) -> list[type[Transport]]:
        return [Wire]


class Load(Protocol):
    def __call__(self, text: str, *, name: str = ..., environment: Mapping[str, str] | None = ...) -> Config: ...


class Refuse(Protocol):
    def __call__(
        self, text: str, *, name: str = ..., environment: Mapping[str, str] | None = ...
    ) -> tuple[ConfigProblem, ...]: ...


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.add(Fakes(), Registered("fakes", "fakes 1.0"))
    return registry


@pytest.fixture
def load(tmp_path: Path, registry: Registry) -> Load:
    """Writes a file and loads it."""

    def load(text: str, *, name: str = "directlane.toml", environment: Mapping[str, str] | None = None) -> Config:
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return load_file(file, environment=environment or {}, registry=registry)

    return load


@pytest.fixture
def refuse(load: Load) -> Refuse:
    """Writes a file that must be refused, and returns what is wrong with it."""

    def refuse(
        text: str, *, name: str = "directlane.toml", environment: Mapping[str, str] | None = None
    ) -> tuple[ConfigProblem, ...]:
        with pytest.raises(ConfigError) as caught:
            load(text, name=name, environment=environment)
        return caught.value.problems

    return refuse


@pytest.fixture
def service() -> Callable[..., str]:
    """The text of a file with one good route, with lines added to its service or to its route."""

    def service(*, of_service: str = "", of_route: str = "") -> str:
        return f"""
[services.scorecard]
{of_service}

[[services.scorecard.routes]]
provider = "cloud"
service = "scorecard"
{of_route}
"""

    return service
