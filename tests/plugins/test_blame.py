"""When the code of a plug-in fails, it is blamed by its name and distribution, and the other services go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, cast

import pytest
from pydantic import PrivateAttr

from directlane import (
    Balancer,
    BuildContext,
    CallError,
    Client,
    DirectlaneError,
    Discovery,
    Endpoint,
    Member,
    Outcome,
    Picker,
    PluginError,
    Provider,
    ProviderFacts,
    ProviderPlugin,
    Request,
    Verdict,
    Wire,
    hookimpl,
)
from directlane.core.interfaces import Upkeep
from directlane.core.message import Headers
from directlane.core.plugins.registry import Registered, Registry, load_plugins
from directlane.emulation import Status, ThreadInstance
from directlane.providers.static import StaticProvider

SECRET = "s3cret-of-the-far-side"
ORIGIN = Registered("acme", "directlane-acme 1.2.3")


class Careless(Provider):
    """Reaches an instance, and fails where it is told to."""

    kind: ClassVar[str] = "careless"
    facts: ClassVar[ProviderFacts] = ProviderFacts("Careless", "Fails.")
    address: str
    fails: str
    _inner: StaticProvider = PrivateAttr()

    def model_post_init(self, context: object, /) -> None:
        self._inner = StaticProvider(addresses=(self.address,))

    def discovery(self) -> Discovery:
        self._fail("discovery")
        return self._inner.discovery()

    def wire(self, endpoint: Endpoint) -> Wire:
        self._fail("wire")

        def sign(request: Request, unix_time: float) -> Headers:
            self._fail("sign")
            return ()

        return Wire(sign=sign)

    def classify(self, outcome: Outcome) -> Verdict:
        self._fail("classify")
        return super().classify(outcome)

    def _fail(self, where: str) -> None:
        if self.fails == where:
            raise LookupError(SECRET)


class Mistaken(Careless):
    """Returns something else where it is told to."""

    kind: ClassVar[str] = "mistaken"

    def discovery(self) -> Discovery:
        return super().discovery() if self.fails != "discovery" else cast("Discovery", None)

    def upkeep(self) -> Upkeep | None:
        return cast("Upkeep", "none") if self.fails == "upkeep" else None

    def wire(self, endpoint: Endpoint) -> Wire:
        return super().wire(endpoint) if self.fails != "wire" else cast("Wire", {"headers": {}})

    def classify(self, outcome: Outcome) -> Verdict:
        return super().classify(outcome) if self.fails != "classify" else cast("Verdict", None)

    def _fail(self, where: str) -> None:
        """Nothing is raised here."""


class AsyncByMistake(Careless):
    kind: ClassVar[str] = "async_by_mistake"

    async def discovery(self) -> Discovery:  # type: ignore[override]
        return self._inner.discovery()


class CarelessBalancer(Balancer):
    kind: ClassVar[str] = "careless_balancer"

    def build(self, members: Sequence[Member], context: BuildContext) -> Picker:
        raise LookupError(SECRET)


class Plugin:
    @hookimpl
    def directlane_providers(self) -> list[ProviderPlugin]:
        return [ProviderPlugin(Careless), ProviderPlugin(Mistaken), ProviderPlugin(AsyncByMistake)]

    @hookimpl
    def directlane_balancers(self) -> list[type[Balancer]]:
        return [CarelessBalancer]


@pytest.fixture
def registry() -> Registry:
    registry = load_plugins()
    registry.add(Plugin(), ORIGIN)
    return registry


@pytest.fixture
def instance() -> Iterator[ThreadInstance]:
    with ThreadInstance("one") as one:
        yield one


@pytest.fixture
def client_with(registry: Registry, instance: ThreadInstance) -> Iterator[Callable[..., Client]]:
    """A client of a service that fails, and of one that does not."""
    clients: list[Client] = []

    def make(route: dict[str, object], **service: object) -> Client:
        good = {"routes": [{"provider": "static", "addresses": [instance.url]}]}
        data = {"services": {"bad": {"routes": [route], "timeout": "10s", **service}, "good": good}}
        clients.append(Client.from_data(data, environment={}, registry=registry))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.mark.parametrize(
    ("fails", "what"),
    [
        ("discovery", "begin its discovery"),
        ("wire", "say what calls to an endpoint look like"),
        ("sign", "prepare a request"),
        ("classify", "classify an answer"),
    ],
)
def test_provider_that_fails_is_named_with_its_distribution(
    client_with: Callable[..., Client], instance: ThreadInstance, fails: str, what: str
) -> None:
    # Without a wire nobody can be called: the call waits for an endpoint for as long as it may.
    limit = "3s" if fails == "wire" else "10s"
    client = client_with({"provider": "careless", "address": instance.url, "fails": fails}, timeout=limit)
    instance.set_fault(Status(500), times=1)
    with pytest.raises(DirectlaneError) as caught:
        client.service("bad").send(b"[]")
    story = str(caught.value)
    assert f"provider 'careless' of directlane-acme 1.2.3 failed to {what}: LookupError at test_blame.py:" in story
    assert SECRET not in story
    if isinstance(caught.value, PluginError):  # without endpoints, the error of the call tells it
        assert (caught.value.plugin, caught.value.distribution) == ("careless", "directlane-acme 1.2.3")
    instance.set_fault(Status(200), times=1)
    assert client.service("good").send(b"[]").ok, "the other service goes on"


@pytest.mark.parametrize(
    ("fails", "what"),
    [
        ("discovery", "`discovery` returned NoneType, not a Discovery"),
        ("upkeep", "`upkeep` returned str, not an Upkeep"),
        ("wire", "`wire` returned dict, not a Wire"),
        ("classify", "`classify` returned NoneType, not a Verdict"),
    ],
)
def test_provider_that_returns_something_else_is_named(
    client_with: Callable[..., Client], instance: ThreadInstance, fails: str, what: str
) -> None:
    client = client_with({"provider": "mistaken", "address": instance.url, "fails": fails})
    instance.set_fault(Status(500), times=1)
    with pytest.raises(DirectlaneError) as caught:
        client.service("bad").send(b"[]")
    assert f"provider 'mistaken' of directlane-acme 1.2.3: {what}" in str(caught.value)
    instance.set_fault(Status(200), times=1)
    assert client.service("good").send(b"[]").ok, "the other service goes on"


def test_async_function_where_none_is_wanted_is_told(
    client_with: Callable[..., Client], instance: ThreadInstance
) -> None:
    client = client_with({"provider": "async_by_mistake", "address": instance.url, "fails": ""})
    with pytest.raises(PluginError, match="`discovery` is `async`; it must be a plain function"):
        client.service("bad").send(b"[]")


def test_balancer_that_cannot_build_is_blamed_and_not_the_provider(
    client_with: Callable[..., Client], instance: ThreadInstance
) -> None:
    client = client_with({"provider": "static", "addresses": [instance.url]}, balancer="careless_balancer")
    with pytest.raises(CallError) as caught:
        client.service("bad").send(b"[]")
    assert "balancer 'careless_balancer' failed to build a picker: LookupError at test_blame.py:" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert client.service("good").send(b"[]").ok
