"""Finds the installed plug-ins and holds what they bring.

One broken plug-in is remembered with its name, distribution and reason; the others go on. Built-in providers,
balancers, transports and stores come through the same entry points as everybody's.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import TypeVar, cast

import pluggy

from ..errors import PluginError
from ..interfaces.balancer import Balancer
from ..interfaces.provider import Provider, ProviderFacts
from ..interfaces.store import Store
from ..interfaces.transport import Transport
from .hooks import GROUP, HOOK_VERSION, Hooks, ProviderPlugin

__all__ = ["BrokenPlugin", "Registered", "Registry", "load_plugins", "nearest"]

RESERVED_ROUTE_FIELDS = frozenset({"provider", "name", "weight", "tier"})
"""Field names that belong to every route; a provider's model must not use them."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")

_T = TypeVar("_T")


class _Unusable(Exception):
    """A plug-in breaks the contract. The text says how, without the name of the plug-in."""


@dataclass(frozen=True, slots=True)
class Registered:
    """Where something came from.

    Args:
        plugin: Name of the entry point.
        distribution: The installed distribution with its version, such as `directlane 0.1.0`.
    """

    plugin: str
    distribution: str


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """A plug-in that could not be used, and why."""

    plugin: str
    distribution: str
    reason: str


@dataclass(slots=True)
class Registry:
    """What the loaded plug-ins bring, by the name that configuration files use."""

    providers: dict[str, ProviderPlugin] = field(default_factory=dict[str, ProviderPlugin])
    balancers: dict[str, type[Balancer]] = field(default_factory=dict[str, type[Balancer]])
    transports: dict[str, type[Transport]] = field(default_factory=dict[str, type[Transport]])
    stores: dict[str, type[Store]] = field(default_factory=dict[str, type[Store]])
    origins: dict[tuple[str, str], Registered] = field(default_factory=dict[tuple[str, str], Registered])
    """Keyed by what it is (`provider`, `balancer`, `transport`, `store`) and its name."""
    broken: list[BrokenPlugin] = field(default_factory=list[BrokenPlugin])
    skipped: list[Registered] = field(default_factory=list[Registered])
    """Installed, and not loaded because of `only` or `block`."""

    def add(self, plugin: object, origin: Registered) -> None:
        """Take in everything that one plug-in brings, or nothing of it.

        Args:
            plugin: A module, or an instance of a class, with functions marked `@directlane.hookimpl`.
            origin: Where it comes from.

        Raises:
            PluginError: A hook failed, or returned something that breaks the contract.
        """
        try:
            _take_in(self, plugin, origin)
        except _Unusable as error:
            message = f"plug-in {origin.plugin!r} of {origin.distribution}: {error}"
            raise PluginError(message, plugin=origin.plugin, distribution=origin.distribution) from error.__cause__


def load_plugins(
    *,
    only: Iterable[str] | None = None,
    block: Iterable[str] = (),
    found: Iterable[EntryPoint] | None = None,
) -> Registry:
    """Load the installed plug-ins.

    Args:
        only: Load just these entry points. Default: all.
        block: Do not load these entry points.
        found: The entry points to choose from. Default: those of the installed distributions.
    """
    registry = Registry()
    allowed = None if only is None else set(only)
    blocked = set(block)
    points = entry_points(group=GROUP) if found is None else found
    for point, distribution in _with_distributions(points):
        origin = Registered(point.name, distribution)
        if point.name in blocked or (allowed is not None and point.name not in allowed):
            registry.skipped.append(origin)
            continue
        try:
            _take_in(registry, _imported(point), origin)
        except _Unusable as error:
            registry.broken.append(BrokenPlugin(origin.plugin, origin.distribution, str(error)))
    return registry


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that somebody most likely meant; None if nothing is near."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def _imported(point: EntryPoint) -> object:
    try:
        return cast("object", point.load())
    except (Exception, SystemExit) as error:  # a stranger's module may raise anything, or give up on this platform
        raise _Unusable(f"cannot be imported: {_story(error)}") from error


def _take_in(registry: Registry, plugin: object, origin: Registered) -> None:
    origins = registry.origins
    providers, balancers, transports, stores = _call_hooks(plugin)
    # Everything is checked before anything is kept.
    new_providers: dict[str, ProviderPlugin] = {}
    for record in providers:
        if not isinstance(record, ProviderPlugin):
            hint = f"; write ProviderPlugin({record.__name__})" if isinstance(record, type) else ""
            raise _Unusable(f"directlane_providers must return ProviderPlugin records, not {_what(record)}{hint}")
        # The bases are abstract, and only ever compared with: mypy asks for a class that can be instantiated.
        taken = registry.providers | new_providers
        model = _checked("provider", record.model, Provider, taken, origins)  # type: ignore[type-abstract]
        _check_provider(model)
        new_providers[model.kind] = record
    new_balancers: dict[str, type[Balancer]] = {}
    for item in balancers:
        known = registry.balancers | new_balancers
        balancer = _checked("balancer", item, Balancer, known, origins)  # type: ignore[type-abstract]
        new_balancers[balancer.kind] = balancer
    new_transports: dict[str, type[Transport]] = {}
    for item in transports:
        present = registry.transports | new_transports
        transport = _checked("transport", item, Transport, present, origins)  # type: ignore[type-abstract]
        new_transports[transport.kind] = transport
    new_stores: dict[str, type[Store]] = {}
    for item in stores:
        there = registry.stores | new_stores
        store = _checked("store", item, Store, there, origins)  # type: ignore[type-abstract]
        _check_schemes(store, there)
        new_stores[store.kind] = store
    registry.providers |= new_providers
    registry.balancers |= new_balancers
    registry.transports |= new_transports
    registry.stores |= new_stores
    for what, kinds in (
        ("provider", new_providers),
        ("balancer", new_balancers),
        ("transport", new_transports),
        ("store", new_stores),
    ):
        origins |= {(what, kind): origin for kind in kinds}


def _call_hooks(plugin: object) -> tuple[list[object], list[object], list[object], list[object]]:
    """What the plug-in's hooks return: providers, balancers, transports, stores. Nothing is checked yet."""
    _check_version(plugin)
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(Hooks)
    try:
        manager.register(plugin)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise _Unusable(_validation_story(error)) from error
    except Exception as error:
        raise _Unusable(f"cannot be registered: {_story(error)}") from error
    if not manager.get_hookcallers(plugin):
        raise _Unusable("it has no hook; mark its functions with @directlane.hookimpl")
    return (
        _results(manager.hook.directlane_providers),
        _results(manager.hook.directlane_balancers),
        _results(manager.hook.directlane_transports),
        _results(manager.hook.directlane_stores),
    )


def _check_version(plugin: object) -> None:
    """A plug-in may say for which version of the hooks it was made (`directlane_hook_version`)."""
    try:
        version = cast("object", getattr(plugin, "directlane_hook_version", HOOK_VERSION))
    except Exception as error:
        raise _Unusable(f"its directlane_hook_version cannot be read: {_story(error)}") from error
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        given = str(version) if isinstance(version, int) else _what(version)
        raise _Unusable(f"directlane_hook_version must be a whole number from 1, not {given}")
    if version > HOOK_VERSION:
        raise _Unusable(
            f"it was made for hook version {version}, and this directlane has {HOOK_VERSION}: "
            "install a newer directlane"
        )


def _results(caller: pluggy.HookCaller) -> list[object]:
    if not caller.get_hookimpls():
        return []
    try:
        # One plug-in, so one result; pluggy leaves out None.
        result: object = next(iter(cast("list[object]", caller())), None)
        found = _what(result)
        items = list(cast("Iterable[object]", result)) if isinstance(result, Iterable) else None
    except (Exception, SystemExit) as error:
        raise _Unusable(f"{caller.name} failed: {_story(error)}") from error
    if isinstance(result, Coroutine):
        result.close()  # nobody will await it
        raise _Unusable(f"{caller.name} is `async`; it must be a plain function")
    if items is None:
        raise _Unusable(f"{caller.name} must return a list, not {found}")
    return items


def _validation_story(error: pluggy.PluginValidationError) -> str:
    message = str(error)
    given = re.search(r"hookimpl definition: (\w+)\((.*?)\)", message)
    if given is not None:
        return f"{given[1]} takes no argument, and the plug-in's takes {given[2]}"
    unknown = re.match(r"unknown hook '([^']*)'", message)
    if unknown is None:
        return f"breaks the hook contract: {' '.join(message.split())}"
    known = [name for name in vars(Hooks) if name.startswith(f"{GROUP}_")]
    guess = nearest(unknown[1], known)
    hint = f"did you mean {guess}?" if guess else f"the hooks are: {', '.join(known)}"
    return f"there is no hook {unknown[1]}; {hint}"


def _story(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _what(value: object) -> str:
    if value is None:
        return "None"
    return f"the class {value.__name__}" if isinstance(value, type) else f"a value of type {type(value).__name__}"


def _with_distributions(points: Iterable[EntryPoint]) -> list[tuple[EntryPoint, str]]:
    """Each with the name and version of its distribution; ours first, then by name.

    They are read once for each distribution: the file in which they stand is parsed with its whole description.
    """
    named: dict[Distribution | None, str] = {None: "unknown"}
    pairs: list[tuple[EntryPoint, str]] = []
    for point in points:
        if point.dist is not None and point.dist not in named:
            metadata = point.dist.metadata
            named[point.dist] = f"{metadata['Name']} {metadata['Version']}"
        pairs.append((point, named[point.dist]))
    return sorted(pairs, key=lambda pair: (pair[1].split(" ")[0] != "directlane", pair[0].name))


def _checked(
    what: str,
    model: object,
    base: type[_T],
    taken: Mapping[str, object],
    origins: Mapping[tuple[str, str], Registered],
) -> type[_T]:
    """The model, if it may be registered under its kind."""
    given = _what(model)
    if isinstance(model, base):
        raise _Unusable(f"{given} is given, not the class {type(model).__name__}")
    if not (isinstance(model, type) and issubclass(model, base)):
        raise _Unusable(f"{given} is not a subclass of {base.__name__}")
    kind = cast("object", getattr(model, "kind", None))
    if not isinstance(kind, str) or not kind.isidentifier():
        raise _Unusable(
            f"{what} {model.__name__} needs a class attribute that is a plain word: kind: ClassVar[str] = ..."
        )
    missing = sorted(cast("frozenset[str]", getattr(model, "__abstractmethods__", frozenset[str]())))
    if missing:
        raise _Unusable(f"{what} {kind!r} lacks methods of the contract: {', '.join(missing)}")
    _check_capabilities(what, kind, cast("object", getattr(model, "capabilities", frozenset[str]())))
    if kind in taken:
        other = origins.get((what, kind))
        by = f"by {other.plugin!r} of {other.distribution}" if other is not None else "by this plug-in"
        raise _Unusable(f"{what} {kind!r} is already brought {by}")
    return model


def _check_capabilities(what: str, kind: str, words: object) -> None:
    given = _what(words)
    if not isinstance(words, frozenset) or not all(isinstance(word, str) for word in cast("frozenset[object]", words)):
        raise _Unusable(f"{what} {kind!r} needs `capabilities` that is a frozenset of words, not {given}")


def _check_schemes(store: type[Store], taken: Mapping[str, type[Store]]) -> None:
    schemes = cast("object", store.schemes)
    if not isinstance(schemes, tuple) or not all(
        isinstance(word, str) and _SCHEME.fullmatch(word) for word in cast("tuple[object, ...]", schemes)
    ):
        raise _Unusable(f"store {store.kind!r} needs `schemes` that is a tuple of URL schemes in small letters")
    words = {word: other.kind for other in taken.values() for word in (other.kind, *other.schemes)}
    for word in (store.kind, *store.schemes):
        if word in words:
            raise _Unusable(f"store {store.kind!r} names {word!r}, which is a word of store {words[word]!r}")


def _check_provider(model: type[Provider]) -> None:
    if not isinstance(cast("object", getattr(model, "facts", None)), ProviderFacts):
        raise _Unusable(f"provider {model.kind!r} needs a class attribute `facts` of type ProviderFacts")
    _check_capabilities("provider", model.kind, model.facts.capabilities)
    keys = set(model.model_fields) | {info.alias for info in model.model_fields.values() if info.alias}
    taken = RESERVED_ROUTE_FIELDS & keys
    if taken:
        raise _Unusable(
            f"provider {model.kind!r} uses field names that belong to the route: {', '.join(sorted(taken))}"
        )
