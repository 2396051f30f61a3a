"""The JSON Schema of a configuration file, with everything that the installed plug-ins bring.

Editors complete and check with it. It describes the file as it is written, so a number may also be a `${NAME}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias, cast

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ..plugins.registry import Registry
from .load import DEFAULT_BALANCER, DEFAULT_TRANSPORT
from .model import CallSettings, DiscoverySettings, PluginSettings, RouteSettings
from .store import store_pattern

__all__ = ["json_schema"]

_Schema: TypeAlias = dict[str, object]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = "EnvironmentReference"
_OR_REFERENCE = {"$ref": f"#/$defs/{_REFERENCE}"}
_ABOUT = ("title", "description", "default", "examples", "deprecated")
"""Keywords about a value, not about its form: they stay outside when alternatives are added."""


def json_schema(registry: Registry) -> _Schema:
    """The JSON Schema (2020-12) of a whole file.

    Args:
        registry: The plug-ins that it knows.
    """
    return _Writer(registry).schema()


class _Writer:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        models: list[type[BaseModel]] = [PluginSettings, DiscoverySettings, CallSettings, RouteSettings]
        models += [plugin.model for plugin in registry.providers.values()]
        models += [*registry.balancers.values(), *registry.transports.values()]
        # All at once, so that pydantic finds other names for models that are named alike.
        references, document = models_json_schema([(model, "validation") for model in models])
        self._names = {
            model: str(reference["$ref"]).removeprefix("#/$defs/") for (model, _), reference in references.items()
        }
        self._definitions = cast("dict[str, _Schema]", document.get("$defs", {}))

    def schema(self) -> _Schema:
        body: _Schema = {
            "type": "object",
            "properties": {
                "plugins": self._of(PluginSettings),
                "store": self._store(),
                "discovery": self._of(DiscoverySettings),
                "services": {
                    "description": "The services, by the name that callers use.",
                    "type": "object",
                    "minProperties": 1,
                    "propertyNames": {"minLength": 1, "maxLength": 100},
                    "additionalProperties": self._service(),
                },
            },
            "required": ["services"],
            "additionalProperties": False,
        }
        definitions: dict[str, object] = {name: _with_references(schema) for name, schema in self._used(body).items()}
        definitions[_REFERENCE] = {
            "type": "string",
            "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}",
            "description": "The value of an environment variable.",
        }
        return {
            "$schema": _DIALECT,
            "title": "directlane configuration",
            **cast("_Schema", _with_references(body)),
            "$defs": definitions,
        }

    def _store(self) -> _Schema:
        stores = self._registry.stores
        return {
            "description": "Where processes share budgets and lists: `kind:place`, or a URL. Default: nowhere.",
            "type": "string",
            # Without any store there is nothing that could stand here.
            **({"pattern": store_pattern(stores)} if stores else {"pattern": "^$", "minLength": 1}),
            "examples": ["sqlite:", "redis://:${REDIS_PASSWORD}@redis.internal:6379/0"],
        }

    def _used(self, body: _Schema) -> dict[str, _Schema]:
        """The definitions that are referred to, directly or through others."""
        used: dict[str, _Schema] = {}
        waiting = _references_in(body)
        while waiting:
            name = waiting.pop()
            if name not in used:
                used[name] = self._definitions[name]
                waiting |= _references_in(used[name])
        return used

    def _of(self, model: type[BaseModel]) -> _Schema:
        schema = dict(self._definitions[self._names[model]])
        schema.pop("title", None)
        return {**schema, "additionalProperties": False}

    def _service(self) -> _Schema:
        schema = self._of(CallSettings)
        properties = cast("_Schema", schema["properties"])
        return {
            **schema,
            "description": "One service: its routes, and how calls to it are made.",
            "properties": {
                "routes": {
                    "description": "The ways to the service.",
                    "type": "array",
                    "minItems": 1,
                    "items": self._one_of(
                        self._tagged(plugin.model, "provider", kind, plugin.model.facts.summary, RouteSettings)
                        for kind, plugin in self._registry.providers.items()
                    ),
                },
                "balancer": self._named("balancer", self._registry.balancers, DEFAULT_BALANCER),
                "transport": self._named("transport", self._registry.transports, DEFAULT_TRANSPORT),
                "discovery": {
                    **self._of(DiscoverySettings),
                    "description": "Replaces fields of the top-level [discovery] for this service.",
                },
                **properties,
            },
            "required": ["routes"],
        }

    def _named(self, what: str, models: Mapping[str, type[BaseModel]], default: str) -> _Schema:
        bare = [kind for kind, model in models.items() if not self._of(model).get("required")]
        names: list[_Schema] = [{"type": "string", "enum": bare}] if bare else []
        tables = [
            self._tagged(model, "kind", kind, str(getattr(model, "summary", ""))) for kind, model in models.items()
        ]
        schema = self._one_of([*names, *tables])
        about = f"The name of a {what}, or a table with the name as `kind` and its settings."
        return {"description": about, "default": default, **schema} if isinstance(schema, dict) else {"not": {}}

    def _tagged(
        self, model: type[BaseModel], tag: str, kind: str, summary: str, common: type[BaseModel] | None = None
    ) -> _Schema:
        """The table of one plug-in's model, told apart by the value of one key."""
        schema = self._of(model)
        shared = cast("_Schema", self._of(common)["properties"]) if common is not None else {}
        return {
            **schema,
            "title": kind,
            **({"description": summary} if summary else {}),
            "properties": {tag: {"const": kind}, **shared, **cast("_Schema", schema.get("properties", {}))},
            "required": [tag, *cast("list[str]", schema.get("required", []))],
        }

    @staticmethod
    def _one_of(schemas: Iterable[_Schema]) -> _Schema | bool:
        alternatives = list(schemas)
        # An empty `oneOf` is not allowed; `False` is the schema of nothing.
        return {"oneOf": alternatives} if alternatives else False


def _references_in(schema: object) -> set[str]:
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            table = cast("_Schema", node)
            reference = table.get("$ref")
            if isinstance(reference, str):
                found.add(reference.removeprefix("#/$defs/"))
            waiting += table.values()
        elif isinstance(node, list):
            waiting += cast("list[object]", node)
    return found


def _with_references(schema: object) -> object:
    """The same schema, in which every value that is not a plain text may also be written as `${NAME}`."""
    done = _with_references_below(schema)
    if not _is_narrow(done):
        return done
    form = cast("_Schema", done)
    about = {keyword: form.pop(keyword) for keyword in _ABOUT if keyword in form}
    return {**about, "anyOf": [form, _OR_REFERENCE]}


def _with_references_below(schema: object) -> object:
    if isinstance(schema, list):
        return [_with_references(item) for item in cast("list[object]", schema)]
    if not isinstance(schema, dict):
        return schema
    done: _Schema = {}
    for keyword, value in cast("_Schema", schema).items():
        if keyword in ("properties", "patternProperties") and isinstance(value, dict):
            done[keyword] = {name: _with_references(item) for name, item in cast("_Schema", value).items()}
        elif keyword == "anyOf":
            alternatives = cast("list[object]", value)
            done[keyword] = [_with_references_below(item) for item in alternatives]
            if any(_is_narrow(item) for item in alternatives):
                cast("list[object]", done[keyword]).append(_OR_REFERENCE)
        elif keyword in ("items", "additionalProperties", "oneOf", "allOf", "prefixItems"):
            done[keyword] = _with_references(value)
        else:
            done[keyword] = value
    return done


def _is_narrow(schema: object) -> bool:
    """Whether a single value of this form is refused when it is written as `${NAME}`."""
    if not isinstance(schema, dict):
        return False
    form = cast("_Schema", schema)
    if form.get("type") in ("integer", "number", "boolean"):
        return True
    is_free = form.get("format", "password") == "password" and not form.keys() & {"enum", "pattern", "const"}
    return form.get("type") == "string" and not is_free
