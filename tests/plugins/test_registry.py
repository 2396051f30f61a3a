"""Every plug-in comes through one door; a broken one is named with its reason and leaves nothing behind."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import EntryPoint
from typing import ClassVar

import pytest

from directlane.core.errors import PluginError
from directlane.core.interfaces.balancer import Balancer, BuildContext, Member, Picker
from directlane.core.interfaces.discovery import Discovery
from directlane.core.interfaces.provider import Provider, ProviderFacts
from directlane.core.plugins.hooks import HOOK_VERSION, ProviderPlugin, hookimpl
from directlane.core.plugins.registry import Registered, Registry, load_plugins, nearest

ORIGIN = Registered("acme", "acme-plugin 1.0")
FACTS = ProviderFacts(title="A", summary="a")


class Acme(Provider):
    kind = "acme"
    facts: ClassVar[ProviderFacts] = FACTS

    def discovery(self) -> Discovery:
        raise NotImplementedError


class Other(Acme):
    kind = "other"


class Abstract(Provider):
    kind = "abstract"
    facts: ClassVar[ProviderFacts] = FACTS


class Factless(Provider):
    kind = "factless"

    def discovery(self) -> Discovery:
        raise NotImplementedError


class Greedy(Acme):
    kind = "greedy"
    weight: int = 1


class Shouter(Acme):
    kind = "shouter"
    facts: ClassVar[ProviderFacts] = ProviderFacts("A", "a", "weights")  # type: ignore[arg-type]


class Kindless(Provider):
    facts: ClassVar[ProviderFacts] = FACTS

    def discovery(self) -> Discovery:
        raise NotImplementedError


class Spaced(Acme):
    kind = "two words"


class First(Balancer):
    kind = "first"

    def build(self, members: Sequence[Member], context: BuildContext) -> Picker:
        raise NotImplementedError


class Lister(First):
    kind = "lister"
    capabilities = ["weights"]  # type: ignore[assignment]  # noqa: RUF012


def providers(result: object) -> object:
    """A plug-in whose provider hook returns this."""

    class Plugin:
        @hookimpl
        def directlane_providers(self) -> object:
            return result

    return Plugin()


class Whole:
    @hookimpl
    def directlane_providers(self) -> Iterator[ProviderPlugin]:
        yield ProviderPlugin(Acme)

    @hookimpl
    def directlane_balancers(self) -> tuple[type[Balancer], ...]:
        return (First,)


class Listed:
    @hookimpl
    def directlane_balancers(self) -> list[type[Balancer]]:
        return [Lister]


class Raising:
    @hookimpl
    def directlane_providers(self) -> list[ProviderPlugin]:
        return [ProviderPlugin(Acme)]

    @hookimpl
    def directlane_balancers(self) -> list[type[Balancer]]:
        raise RuntimeError("no\nluck")


class HalfWay:
    @hookimpl
    def directlane_providers(self) -> Iterator[ProviderPlugin]:
        yield ProviderPlugin(Acme)
        raise RuntimeError("half way")


class Typo:
    @hookimpl
    def directlane_provider(self) -> list[ProviderPlugin]:
        return []


class Strange:
    @hookimpl
    def directlane_caches(self) -> list[object]:
        return []


class Unmarked:
    def directlane_providers(self) -> list[ProviderPlugin]:
        return [ProviderPlugin(Acme)]


class Arguments:
    @hookimpl
    def directlane_providers(self, config: object) -> list[ProviderPlugin]:
        return []


class Async:
    @hookimpl
    async def directlane_providers(self) -> list[ProviderPlugin]:
        return []


class Touchy:
    @property
    def directlane_providers(self) -> object:
        raise RuntimeError("do not look")


def test_an_object_brings_what_its_hooks_return() -> None:
    registry = Registry()
    registry.add(Whole(), ORIGIN)
    assert registry.providers == {"acme": ProviderPlugin(Acme)}
    assert registry.balancers == {"first": First}
    assert registry.transports == {}
    assert registry.origins == {("provider", "acme"): ORIGIN, ("balancer", "first"): ORIGIN}


def test_a_module_brings_what_its_hooks_return() -> None:
    module = types.ModuleType("acme_plugin")

    def directlane_providers() -> list[ProviderPlugin]:
        return [ProviderPlugin(Acme), ProviderPlugin(Other)]

    module.directlane_providers = hookimpl(directlane_providers)  # type: ignore[attr-defined]
    registry = Registry()
    registry.add(module, ORIGIN)
    assert set(registry.providers) == {"acme", "other"}


def test_a_hook_may_return_an_empty_list() -> None:
    registry = Registry()
    registry.add(providers([]), ORIGIN)
    assert registry.origins == {}


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        (Raising(), "directlane_balancers failed: RuntimeError: no luck"),
        (HalfWay(), "directlane_providers failed: RuntimeError: half way"),
        (Typo(), "there is no hook directlane_provider; did you mean directlane_providers?"),
        (Strange(), "there is no hook directlane_caches; "),
        (Unmarked(), "it has no hook; mark its functions with @directlane.hookimpl"),
        (object(), "it has no hook"),
        (None, "it has no hook"),
        (Whole, "directlane_providers failed: TypeError"),
        (Arguments(), "directlane_providers takes no argument, and the plug-in's takes config"),
        (Async(), "directlane_providers is `async`; it must be a plain function"),
        (providers([ProviderPlugin(Acme())]), "a value of type Acme is given, not the class Acme"),  # type: ignore[arg-type]
        (providers(None), "directlane_providers must return a list, not None"),
        (providers(3), "directlane_providers must return a list, not a value of type int"),
        (providers(ProviderPlugin(Acme)), "must return a list, not a value of type ProviderPlugin"),
        (providers("acme"), "must return ProviderPlugin records, not a value of type str"),
        (providers([Acme]), "must return ProviderPlugin records, not the class Acme; write ProviderPlugin(Acme)"),
        (providers([ProviderPlugin(First)]), "the class First is not a subclass of Provider"),  # type: ignore[arg-type]
        (providers([ProviderPlugin(Abstract)]), "provider 'abstract' lacks methods of the contract: discovery"),  # type: ignore[type-abstract]
        (providers([ProviderPlugin(Factless)]), "provider 'factless' needs a class attribute `facts`"),
        (providers([ProviderPlugin(Greedy)]), "provider 'greedy' uses field names that belong to the route: weight"),
        (providers([ProviderPlugin(Kindless)]), "provider Kindless needs a class attribute that is a plain word: kind"),
        (providers([ProviderPlugin(Spaced)]), "provider Spaced needs a class attribute that is a plain word: kind"),
        (providers([ProviderPlugin(Shouter)]), "provider 'shouter' needs `capabilities` that is a frozenset of words"),
        (Listed(), "balancer 'lister' needs `capabilities` that is a frozenset of words, not a value of type list"),
        (providers([ProviderPlugin(Acme)] * 2), "provider 'acme' is already brought by this plug-in"),
    ],
)
def test_a_broken_plugin_is_named_and_leaves_nothing_behind(plugin: object, reason: str) -> None:
    registry = Registry()
    with pytest.raises(PluginError) as caught:
        registry.add(plugin, ORIGIN)
    error = caught.value
    assert (error.plugin, error.distribution) == ("acme", "acme-plugin 1.0")
    assert str(error).startswith("plug-in 'acme' of acme-plugin 1.0: ")
    assert reason in str(error)
    assert "\n" not in str(error)
    assert registry == Registry()


def made_for(version: object) -> object:
    """A plug-in that says for which version of the hooks it was made."""

    class Plugin:
        directlane_hook_version = version

        @hookimpl
        def directlane_providers(self) -> list[ProviderPlugin]:
            return [ProviderPlugin(Acme)]

    return Plugin()


def test_a_plugin_may_say_its_hook_version() -> None:
    registry = Registry()
    registry.add(made_for(HOOK_VERSION), ORIGIN)
    assert set(registry.providers) == {"acme"}


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        (
            HOOK_VERSION + 1,
            f"it was made for hook version {HOOK_VERSION + 1}, and this directlane has {HOOK_VERSION}: ",
        ),
        (0, "directlane_hook_version must be a whole number from 1, not 0"),
        ("1", "directlane_hook_version must be a whole number from 1, not a value of type str"),
        (True, "directlane_hook_version must be a whole number from 1"),
    ],
)
def test_a_plugin_for_another_hook_version_is_broken_and_says_so(version: object, reason: str) -> None:
    registry = Registry()
    with pytest.raises(PluginError) as caught:
        registry.add(made_for(version), ORIGIN)
    assert reason in str(caught.value)
    assert registry == Registry()


def test_a_name_can_be_taken_once() -> None:
    registry = Registry()
    registry.add(Whole(), ORIGIN)
    with pytest.raises(PluginError, match="provider 'acme' is already brought by 'acme' of acme-plugin"):
        registry.add(providers([ProviderPlugin(Other), ProviderPlugin(Acme)]), Registered("copycat", "copycat 1.0"))
    assert set(registry.providers) == {"acme"}
    assert registry.origins["provider", "acme"] is ORIGIN


# --- entry points -----------------------------------------------------------------------------------------------------


def point(name: str) -> EntryPoint:
    return EntryPoint(name=name, value=f"directlane_test_plugins.{name}", group="directlane")


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, object], EntryPoint]:
    """Makes an object importable as a plug-in module."""
    package = types.ModuleType("directlane_test_plugins")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "directlane_test_plugins", package)

    def install(name: str, plugin: object) -> EntryPoint:
        monkeypatch.setitem(sys.modules, f"directlane_test_plugins.{name}", plugin)
        return point(name)

    return install


def test_one_broken_plugin_does_not_stop_the_others(install: Callable[[str, object], EntryPoint]) -> None:
    found = [install("good", Whole()), install("raising", Raising()), point("missing")]
    registry = load_plugins(found=found)
    assert set(registry.providers) == {"acme"}
    assert [(broken.plugin, broken.reason.split(":")[0]) for broken in registry.broken] == [
        ("missing", "cannot be imported"),
        ("raising", "directlane_balancers failed"),
    ]


def test_a_plugin_that_ends_the_program_is_only_broken() -> None:
    class Point(EntryPoint):
        def load(self) -> object:
            raise SystemExit(3)

    registry = load_plugins(found=[Point("quitter", "x", "directlane")])
    assert registry.broken[0].reason == "cannot be imported: SystemExit: 3"


def test_only_and_block_choose(install: Callable[[str, object], EntryPoint]) -> None:
    found = [install("a", Whole()), install("b", providers([ProviderPlugin(Other)]))]
    assert set(load_plugins(found=found).providers) == {"acme", "other"}
    only = load_plugins(found=found, only=["b"])
    assert set(only.providers) == {"other"}
    assert [origin.plugin for origin in only.skipped] == ["a"]
    blocked = load_plugins(found=found, block=["b"])
    assert set(blocked.providers) == {"acme"}
    assert [origin.plugin for origin in blocked.skipped] == ["b"]
    assert load_plugins(found=found, only=[]).providers == {}


def test_installed_plugins_bring_the_built_in_balancer() -> None:
    assert "weighted_round_robin" in load_plugins().balancers


def test_nearest() -> None:
    assert nearest("alibaba-eas", ["alibaba_eas", "static"]) == "alibaba_eas"
    assert nearest("xyz", ["alibaba_eas", "static"]) is None
