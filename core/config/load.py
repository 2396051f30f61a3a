"""From a configuration file to a `Config`: expands references, finds the plug-ins, checks every value.

All mistakes are collected and told at once, in the order of the file. Nothing is returned unless everything is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar, cast

from pydantic import BaseModel, ValidationError

from ..errors import ConfigError, ConfigProblem
from ..fields import SecretContext
from ..interfaces.balancer import Balancer
from ..interfaces.store import Store
from ..interfaces.transport import Transport
from ..plugins.registry import Registry, load_plugins, nearest
from .expand import expand
from .explain import explain, unknown_key
from .model import (
    CallSettings,
    Config,
    DiscoverySettings,
    PluginSettings,
    RoutePlan,
    RouteSettings,
    ServicePlan,
)
from .path import KeyPath, Position, format_path
from .read import RawFile, read_file
from .shape import literal_secrets
from .store import has_clear_password, is_word, not_an_address, open_store, stores_by_word

__all__ = ["DEFAULT_BALANCER", "DEFAULT_TRANSPORT", "load_data", "load_file", "read_file"]

DEFAULT_BALANCER = "weighted_round_robin"
DEFAULT_TRANSPORT = "auto"

_MAX_NAME = 100
_SHORTEST_MASKED = 4
_IN_CLEAR = "a secret stands here in clear; write it as ${NAME} or file:PATH"
_URL_IN_CLEAR = "a password stands here in clear; write it as ${NAME}"
_TOP_KEYS = ("plugins", "store", "discovery", "services")
_SERVICE_KEYS = ("routes", "balancer", "transport", "discovery")
_NO_SERVICE = "there is no service; add a table such as [services.scorecard]"
_NOBODY_SERVES = "every route has weight 0, or is a mirror; give one a weight of 1 or more, and no `mirror`"
_NO_ROUTE = "the service has no route; add at least one, such as [[{path}]] with a provider"

_Table = Mapping[str, object]
_T = TypeVar("_T")
_M = TypeVar("_M", bound=BaseModel)


def load_file(path: str | Path, *, environment: Mapping[str, str], registry: Registry | None = None) -> Config:
    """The configuration in a file.

    Args:
        path: A `.toml`, `.yaml`, `.yml` or `.json` file.
        environment: The variables that `${NAME}` stands for; usually `os.environ`.
        registry: The plug-ins to choose from. Default: the installed ones that `[plugins]` allows.

    Raises:
        ConfigError: With every mistake that was found.
    """
    return _Reader(read_file(path), environment, registry).config()


def load_data(
    data: Mapping[str, object],
    *,
    source: str,
    environment: Mapping[str, str],
    registry: Registry | None = None,
    folder: Path | None = None,
) -> Config:
    """The configuration in plain data of the same form as a file.

    Args:
        data: The top-level table.
        source: Where the data came from, for messages.
        environment: The variables that `${NAME}` stands for; usually `os.environ`.
        registry: The plug-ins to choose from. Default: the installed ones that `[plugins]` allows.
        folder: Where relative paths of secret files begin. Default: the working directory.

    Raises:
        ConfigError: With every mistake that was found.
    """
    return _Reader(RawFile(source, folder or Path(), data), environment, registry).config()


class _Reader:
    """Reads one configuration. `_problems` and `_warnings` grow; nothing else changes."""

    def __init__(self, raw: RawFile, environment: Mapping[str, str], registry: Registry | None) -> None:
        self._raw = raw
        self._given_registry = registry
        self._registry = registry or Registry()
        self._context = SecretContext(raw.folder)
        self._environment = environment
        self._problems: list[ConfigProblem] = []
        self._warnings: list[ConfigProblem] = []
        expansion = expand(raw.data, environment)
        self._data = cast("_Table", expansion.data or {})
        self._used = {value: name for value, name in expansion.used.items() if len(value) >= _SHORTEST_MASKED}
        self._unexpanded = {path for path, _ in expansion.problems}
        for path, message in expansion.problems:
            self._problem(path, message)

    def config(self) -> Config:
        for key in self._data:
            if key not in _TOP_KEYS:
                self._problem((key,), unknown_key(key, _TOP_KEYS))
        self._load_plugins()
        store = self._store()
        services = self._services()
        if self._problems:
            raise ConfigError(self._raw.source, _in_order(self._problems))
        return Config(self._raw.source, services, tuple(_in_order(self._warnings)), store)

    # --- the parts of the file ----------------------------------------------------------------------------------------

    def _load_plugins(self) -> None:
        settings = self._model(PluginSettings, self._data.get("plugins", {}), ("plugins",)) or PluginSettings()
        if self._given_registry is None:
            self._registry = load_plugins(only=settings.only, block=settings.block)
            self._check_names(settings)
        for broken in self._registry.broken:
            self._warnings.append(
                ConfigProblem(f"plug-in {broken.plugin!r} of {broken.distribution} is not usable: {broken.reason}")
            )

    def _check_names(self, settings: PluginSettings) -> None:
        registry = self._registry
        skipped = {origin.plugin for origin in registry.skipped}
        known = {origin.plugin for origin in registry.origins.values()} | skipped
        known |= {broken.plugin for broken in registry.broken}
        for index, name in enumerate(settings.only or ()):
            if name not in known:
                self._problem(("plugins", "only", index), _unknown("plug-in", name, known))
        for index, name in enumerate(settings.block):
            if name not in known:
                # One file may serve machines with different plug-ins.
                self._warnings.append(self._at(("plugins", "block", index), _unknown("plug-in", name, known)))

    def _store(self) -> Store | None:
        path: KeyPath = ("store",)
        if "store" not in self._data or path in self._unexpanded:
            return None
        text, words = self._data["store"], stores_by_word(self._registry.stores)
        if not isinstance(text, str):
            self._problem(path, not_an_address("", words))
            return None
        word, colon, _ = str(text).partition(":")
        if not (colon and is_word(word)):
            self._problem(path, not_an_address(text, words))
            return None
        store = self._find("store", word, words, path)
        if store is None:
            return None
        try:
            opened = open_store(store, str(text), self._environment)
        except ValueError as error:
            self._problem(path, str(error))
            return None
        except Exception as error:  # noqa: BLE001 - a plug-in's class may raise anything
            # Only the type: the text may hold a password.
            self._problem(path, f"{store.__name__}.open failed with {type(error).__name__}; this is a bug in it")
            return None
        if has_clear_password(str(self._raw.data["store"])):
            self._warnings.append(self._at(path, _URL_IN_CLEAR))
        return opened

    def _services(self) -> dict[str, ServicePlan]:
        defaults = self._data.get("discovery", {})
        if self._model(DiscoverySettings, defaults, ("discovery",)) is None:
            defaults = {}
        services = self._data.get("services", {})
        if not isinstance(services, Mapping):
            self._problem(("services",), "must be a table with one table per service, such as [services.scorecard]")
            return {}
        tables = cast("_Table", services)
        if not tables:
            self._problem(("services",) if "services" in self._data else (), _NO_SERVICE)
        plans: dict[str, ServicePlan] = {}
        for name, table in tables.items():
            plan = self._service(name, table, cast("_Table", defaults))
            if plan is not None:
                plans[name] = plan
        return plans

    def _service(self, name: str, value: object, defaults: _Table) -> ServicePlan | None:
        path: KeyPath = ("services", name)
        message = _name_problem(name)
        if message is not None:
            self._problem(path, message)
        table = self._table(value, path)
        if table is None:
            return None
        own = self._table(table.get("discovery", {}), (*path, "discovery"))
        discovery = None
        if own is not None and self._model(DiscoverySettings, own, (*path, "discovery")) is not None:
            discovery = self._model(DiscoverySettings, {**defaults, **own}, (*path, "discovery"))
        flat = {key: item for key, item in table.items() if key not in _SERVICE_KEYS}
        calls = self._model(CallSettings, flat, path, also=_SERVICE_KEYS)
        balancer = self._named("balancer", self._registry.balancers, table, path, DEFAULT_BALANCER)
        transport = self._named("transport", self._registry.transports, table, path, DEFAULT_TRANSPORT)
        routes = self._routes(table, path)
        if discovery is None or calls is None or balancer is None or transport is None:
            return None
        return ServicePlan(
            name,
            routes,
            cast("Balancer", balancer),
            cast("Transport", transport),
            discovery=discovery,
            calls=calls,
        )

    def _routes(self, service: _Table, service_path: KeyPath) -> tuple[RoutePlan, ...]:
        path: KeyPath = (*service_path, "routes")
        value = service.get("routes", [])
        if not isinstance(value, list):
            self._problem(path, f"must be a list of tables; begin each route with [[{format_path(path)}]]")
            return ()
        entries = cast("list[object]", value)
        if not entries:
            self._problem(path if "routes" in service else service_path, _NO_ROUTE.format(path=format_path(path)))
        plans = [self._route(entry, (*path, index), index) for index, entry in enumerate(entries)]
        routes = tuple(plan for plan in plans if plan is not None)
        counts = Counter(route.name for route in routes)
        for index, plan in enumerate(plans):
            if plan is not None and counts[plan.name] > 1:
                self._problem(
                    (*path, index, "name"), f"several routes are named {plan.name!r}; give each a name of its own"
                )
        if routes and len(routes) == len(plans) and all(route.weight == 0 or route.mirror for route in routes):
            self._problem(path, _NOBODY_SERVES)
        return routes

    def _route(self, value: object, path: KeyPath, index: int) -> RoutePlan | None:
        table = self._table(value, path)
        if table is None:
            return None
        common = {key: item for key, item in table.items() if key in RouteSettings.model_fields}
        own = {key: item for key, item in table.items() if key not in common and key != "provider"}
        settings = self._model(RouteSettings, common, path)
        known = {kind: plugin.model for kind, plugin in self._registry.providers.items()}
        if "provider" not in table:
            self._problem(path, f"the key provider is required and missing; it is one of: {_words(known)}")
            return None
        model = self._find("provider", table["provider"], known, (*path, "provider"))
        if model is None:
            return None
        provider = self._model(model, own, path, also=("provider", *RouteSettings.model_fields))
        if settings is None or provider is None:
            return None
        name = settings.name or f"{model.kind}-{index + 1}"
        origin = self._registry.origins.get(("provider", model.kind))
        of = origin.distribution if origin is not None else None
        return RoutePlan(name, provider, settings.weight, settings.tier, settings.mirror, of)

    def _named(
        self, what: str, known: Mapping[str, type[BaseModel]], service: _Table, service_path: KeyPath, default: str
    ) -> BaseModel | None:
        """A balancer or transport: by its name alone, or as a table with its name as `kind` and its settings."""
        path: KeyPath = (*service_path, what)
        value = service.get(what, default)
        options: _Table = {}
        kind_path = path
        if isinstance(value, Mapping):
            options = cast("_Table", value)
            if "kind" not in options:
                self._problem(path, f"the key kind is required and missing; it is one of: {_words(known)}")
                return None
            kind_path = (*path, "kind")
            value = options["kind"]
        elif not isinstance(value, str):
            self._problem(path, f"must be the name of a {what}, or a table with the name as kind and its settings")
            return None
        model = self._find(what, value, known, kind_path)
        if model is None:
            return None
        own = {key: item for key, item in options.items() if key != "kind"}
        return self._model(model, own, path, also=("kind",))

    # --- values -------------------------------------------------------------------------------------------------------

    def _find(self, what: str, name: object, known: Mapping[str, type[_T]], path: KeyPath) -> type[_T] | None:
        """What a plug-in brings under this name; None after a problem was noted."""
        if path in self._unexpanded:
            return None
        if not isinstance(name, str):
            self._problem(path, f"must be the name of a {what}; it is one of: {_words(known)}")
            return None
        if name in known:
            return known[name]
        message = _unknown(what, name, known)
        skipped = [origin.plugin for origin in self._registry.skipped]
        for broken in self._registry.broken:
            if broken.plugin == name:
                message = (
                    f"{what} {name!r} cannot be used, because its plug-in of {broken.distribution} is broken: "
                    f"{broken.reason}"
                )
                break
        else:
            if name in skipped:
                message = f"the plug-in of {what} {name!r} is not loaded: see `only` and `block` of [plugins]"
            elif skipped:
                message += f"; not loaded because of [plugins]: {_words(skipped)}"
            elif self._registry.broken:
                message += f"; broken plug-ins: {_words(broken.plugin for broken in self._registry.broken)}"
        self._problem(path, message)
        return None

    def _table(self, value: object, path: KeyPath) -> _Table | None:
        if isinstance(value, Mapping):
            return cast("_Table", value)
        if path not in self._unexpanded:
            self._problem(path, "must be a table")
        return None

    def _model(self, model: type[_M], value: object, path: KeyPath, *, also: Iterable[str] = ()) -> _M | None:
        """The model made from a table; None after the problems were noted."""
        table = self._table(value, path)
        if table is None:
            return None
        try:
            made = model.model_validate(dict(table), context=self._context)
        except ValidationError as error:
            mistakes = explain(error, model, table, also=also)
        except Exception as error:  # noqa: BLE001 - a plug-in's validator may raise anything
            # Only the type: the text may hold a value.
            mistakes = [((), f"the checks of {model.__name__} failed with {type(error).__name__}; this is a bug in it")]
        else:
            for place in literal_secrets(made, path):
                self._warnings.append(self._at(place, _IN_CLEAR))
            return made
        for below, message in mistakes:
            if not self._follows_from_unexpanded((*path, *below), is_whole=not below):
                self._problem((*path, *below), message)
        return None

    def _follows_from_unexpanded(self, path: KeyPath, *, is_whole: bool) -> bool:
        """Whether a mistake only follows from a reference that could not be replaced, which was told already."""
        if any(path[: len(place)] == place for place in self._unexpanded if place):
            return True
        return is_whole and any(place[: len(path)] == path for place in self._unexpanded)

    def _problem(self, path: KeyPath, message: str) -> None:
        self._problems.append(self._at(path, message))

    def _at(self, path: KeyPath, message: str) -> ConfigProblem:
        for value in sorted(self._used, key=len, reverse=True):
            message = message.replace(value, self._used[value])
        position = self._position(path)
        line, column = position or (None, None)
        return ConfigProblem(message, format_path(path), line, column)

    def _position(self, path: KeyPath) -> Position | None:
        """Where it stands; for something that is missing, where its table stands."""
        while path:
            if path in self._raw.positions:
                return self._raw.positions[path]
            path = path[:-1]
        return None


def _name_problem(name: str) -> str | None:
    if not name.strip():
        return "a service needs a name"
    if len(name) > _MAX_NAME:
        return f"the name of a service has {_MAX_NAME} characters at most"
    if not name.isprintable() or name != name.strip():
        return "the name of a service must not have control characters, or spaces at its ends"
    return None


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    guess = nearest(name, names)
    if guess is not None:
        return f'there is no {what} {name!r}; did you mean "{guess}"?'
    return f"there is no {what} {name!r}; there are: {_words(names)}"


def _words(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none (is a plug-in installed?)"


def _in_order(problems: Iterable[ConfigProblem]) -> list[ConfigProblem]:
    # Sorting is stable: where no positions are known, the order of reading stays.
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.line or 0, problem.column or 0))
