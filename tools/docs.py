"""Writes the pages of the reference that follow from the code: the configuration and the public names.

    python tools/docs.py            write docs/reference/configuration.md and docs/reference/api.md
    python tools/docs.py --check    write nothing; end with status 1 if a page is not what it should be

Nothing about a field stands here: type, default and description are read from the models. A test holds the pages to
what this tool makes.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

import directlane
from directlane import emulation
from directlane.core.config.load import DEFAULT_BALANCER, DEFAULT_TRANSPORT
from directlane.core.config.model import CallSettings, DiscoverySettings, PluginSettings, RouteSettings
from directlane.core.fields import Secret, format_duration
from directlane.core.fields.duration import parse_duration
from directlane.core.plugins.registry import Registry, load_plugins

__all__ = ["PAGES", "api_page", "configuration_page"]

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"

# --- the configuration ------------------------------------------------------------------------------------------------

_HEAD = """\
# Configuration

<!-- Made by tools/docs.py from the models. Do not edit: run `python tools/docs.py`. -->

One file says everything. TOML, YAML (needs `directlane[yaml]`) and JSON have the same form; the ending of the file's
name says which it is. An unknown key is an error. `directlane check -c FILE` checks a file without calling anybody, and
`directlane schema` prints a JSON Schema for editors.

```toml
[discovery]                          # for all services
interval = "5s"

[services.scorecard]                 # the name that callers use
timeout = "10s"
balancer = "weighted_round_robin"

[[services.scorecard.routes]]        # one or more ways to the service
provider = "alibaba_eas"
service = "scorecard"
region = "cn-hangzhou"
token = "${EAS_TOKEN}"
```

How values are written:

- **duration**: `"250ms"`, `"5s"`, `"1m30s"`, `"2h"`, or a number of seconds.
- **secret**: `"${NAME}"` (an environment variable) or `"file:PATH"` (the content of a file; a relative path begins at
  the configuration file). A secret that stands in clear works and gives a warning.
- **`${NAME}`** may stand in any text, and alone in the place of a number or of true and false. The variable must be
  set. For a plain `${` write `$${`.

The top level has three tables, [`plugins`](#plugins), [`discovery`](#discovery) and [`services`](#services), and one
text, [`store`](#store).
"""

_STORE = """\
## `store`

Where processes share rate budgets and lists of endpoints: `store = "kind:place"`, or a URL whose scheme says the kind.
It stands at the top of the file, before the first table. Default: nowhere, so each process asks for itself. A password
in a URL is written as `${NAME}`; its special characters must be percent-encoded. See [many
processes](../how-to/many-processes.md).

```toml
store = "sqlite:"                    # a private file in this user's runtime directory

[services.scorecard]
routes = [{ provider = "static", addresses = ["http://127.0.0.1:8000"] }]
```
"""

_SERVICES = """\
## `services`

A table with one table for each service: `[services.NAME]`. At least one.

| key | type | default | what it is |
|---|---|---|---|
| `routes` | list of tables | required | The ways to the service; see [routes](#routes). |
| `balancer` | text or table | `"{balancer}"` | Who gets the next call; see [balancers](#balancers). |
| `transport` | text or table | `"{transport}"` | How calls travel; see [transports](#transports). |
| `discovery` | table | — | Replaces fields of the top-level [`discovery`](#discovery) for this service. |
"""

_ROUTES = """\
## Routes

`[[services.NAME.routes]]`: one table for each route. `provider` says which cloud; it decides which other keys there
are. Routes of the same tier share the calls by `weight`. Calls overflow into a higher tier when too few endpoints of a
lower one are well: see [routes](../how-to/routes.md#how-much-goes-where).

| key | type | default | what it is |
|---|---|---|---|
| `provider` | text | required | The name of a [provider](#providers). |
"""


BUILT_IN = (
    "alibaba_eas",
    "dns",
    "file",
    "huawei_modelarts",
    "kubernetes",
    "static",
    "balancers",
    "transports",
    "stores",
)
"""The entry points that come with directlane."""


def configuration_page(registry: Registry | None = None) -> str:
    """The page for these plug-ins. Default: the built-in ones, so that it does not depend on what else is installed."""
    if registry is None:
        registry = load_plugins(only=BUILT_IN)
    parts = [
        _HEAD,
        f"## `plugins`\n\n{_doc(PluginSettings)}\n\n{_fields(PluginSettings)}",
        *_stores(registry),
        f"## `discovery`\n\n{_doc(DiscoverySettings)} Also allowed in a service.\n\n{_fields(DiscoverySettings)}",
        _SERVICES.format(balancer=DEFAULT_BALANCER, transport=DEFAULT_TRANSPORT) + _rows(CallSettings),
        *_nested(CallSettings, level=3),
        _ROUTES + _rows(RouteSettings),
        "## Providers\n",
    ]
    for kind, plugin in sorted(registry.providers.items()):
        facts = plugin.model.facts
        parts.append(f"### `{kind}`\n\n{facts.title}. {_sentence(facts.summary)}\n\n{_fields(plugin.model)}")
        parts += _nested(plugin.model)
        if facts.budgets:
            parts.append(
                "Limits of its control plane:\n\n" + "".join(f"- {_sentence(line)}\n" for line in facts.budgets)
            )
    for title, models in (("Balancers", registry.balancers), ("Transports", registry.transports)):
        parts += _named(title, models)
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _stores(registry: Registry) -> Iterator[str]:
    yield _STORE
    for kind, store in sorted(registry.stores.items()):
        words = "".join(f" `{scheme}://...`" for scheme in store.schemes)
        yield f"### `{kind}`\n\n{_sentence(store.summary)}{f' Written as a URL:{words}.' if words else ''}\n"


def _named(title: str, models: Mapping[str, type[BaseModel]]) -> Iterator[str]:
    word = title.lower().removesuffix("s")
    kinds = sorted(models)
    yield (
        f'## {title}\n\nThe name alone, `{word} = "{kinds[0]}"`, or a table with the name as `kind` and its settings: '
        f'`{word} = {{ kind = "{kinds[0]}", ... }}`.\n'
    )
    for kind in kinds:
        model = models[kind]
        fields = _fields(model) if model.model_fields else "It has no settings.\n"
        yield f"### `{kind}`\n\n{_sentence(str(getattr(model, 'summary', '')))}\n\n{fields}"


def _nested(model: type[BaseModel], level: int = 4) -> Iterator[str]:
    """The tables that stand below a field of the model."""
    for name, hint in _hints(model).items():
        for nested in dict.fromkeys(_models_in(hint)):  # a union may offer a model alone and as a list
            tag = nested.model_fields.get("type")
            words = get_args(tag.annotation) if tag is not None else ()
            which = f' with `type = "{words[0]}"`' if words else ""
            yield f"{'#' * level} `{name}`{which}\n\n{_doc(nested)}\n\n{_fields(nested)}"


def _fields(model: type[BaseModel]) -> str:
    return "| key | type | default | what it is |\n|---|---|---|---|\n" + _rows(model)


def _rows(model: type[BaseModel]) -> str:
    hints = _hints(model)
    rows: list[str] = []
    for name, info in model.model_fields.items():
        about = _cell(info.description or _NO_DESCRIPTION.get(name, ""))
        rows.append(f"| `{name}` | {_type(hints[name], info)} | {_default(hints[name], info)} | {about} |\n")
    return "".join(rows)


def _hints(model: type[BaseModel]) -> dict[str, Any]:
    hints = get_type_hints(model, include_extras=True)
    return {name: hints[name] for name in model.model_fields}


def _type(hint: Any, info: FieldInfo | None = None) -> str:
    text = _type_of(hint)
    bounds = {type(item).__name__: item for item in (info.metadata if info is not None else ())}
    low = next((getattr(bounds[name], name.lower()) for name in ("Ge", "Gt") if name in bounds), None)
    high = next((getattr(bounds[name], name.lower()) for name in ("Le", "Lt") if name in bounds), None)
    if low is not None and high is not None:
        return f"{text}, {low:,} to {high:,}"
    return text if low is None else f"{text}, {low:,} or more"


def _type_of(hint: Any) -> str:
    if _is_duration(hint):
        return "duration"
    origin = get_origin(hint)
    arguments = get_args(hint)
    if origin is Annotated:
        return _type_of(arguments[0])
    if origin is Literal:
        return " or ".join(_value(word) for word in arguments)
    if origin in (Union, types.UnionType):
        words = [_type_of(item) for item in arguments if item is not type(None)]
        return " or ".join(dict.fromkeys(words))
    if origin is tuple:
        return f"list of {_plural(_type_of(arguments[0]))}"
    if origin is dict:
        return f"table of {_plural(_type_of(arguments[1]))}"
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return "table"
    return _NAMES[hint]


_NO_DESCRIPTION = {"type": "Says which kind it is."}

_NAMES: dict[object, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
    Secret: "secret",
    IPv4Network: "network",
    IPv6Network: "network",
}


def _plural(text: str) -> str:
    return " or ".join(f"{word}s" for word in text.split(" or "))


def _is_duration(hint: Any) -> bool:
    if get_origin(hint) in (Union, types.UnionType):
        return any(_is_duration(item) for item in get_args(hint))
    return any(getattr(item, "func", None) is parse_duration for item in getattr(hint, "__metadata__", ()))


def _default(hint: Any, info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "its defaults"
    if value in (None, "", (), {}):
        return "—"
    if _is_duration(hint):
        return f'`"{format_duration(value)}"`'
    if isinstance(value, tuple):
        return ", ".join(f'`"{item}"`' for item in value)
    return _value(value)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def _models_in(hint: Any) -> list[type[BaseModel]]:
    if isinstance(hint, type) and not get_args(hint):
        return [hint] if issubclass(hint, BaseModel) else []
    return [model for item in get_args(hint) for model in _models_in(item)]


def _doc(thing: object) -> str:
    return " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def _cell(text: str) -> str:
    # Braces and angle brackets are placeholders of the texts; a bar would end the cell.
    return text.replace("|", "\\|").replace("<", "&lt;")


# --- the public names -------------------------------------------------------------------------------------------------

_API_HEAD = """\
# Public names

<!-- Made by tools/docs.py from `directlane.__all__` and the docstrings. Do not edit: run `python tools/docs.py`. -->

Everything here is `directlane.NAME`, or stands in the module that its heading names. What does not stand here may
change without notice; the emulators of the providers are meant for your tests, and their names may still change before
1.0. Every name has a docstring with its arguments, units, defaults and errors: `help(directlane.Client)`.
"""

_GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Calling a service": (
        "See [the first call](../tutorial/first-call.md) and [streaming](../how-to/streaming.md).",
        (
            "Client",
            "AsyncClient",
            "Service",
            "AsyncService",
            "Reply",
            "ReplyStream",
            "AsyncReplyStream",
            "EndpointView",
            "TierView",
            "QueueView",
        ),
    ),
    "TCP and RPC": (
        "See [TCP and gRPC](../how-to/tcp-and-grpc.md).",
        ("EndpointLease", "GrpcChannel", "AsyncGrpcChannel", "GrpcMessages", "AsyncGrpcMessages"),
    ),
    "Doors for SDKs": (
        "See [SDKs](../how-to/sdks.md).",
        ("httpx_transport", "httpx2_transport", "RepeatedRetriesWarning"),
    ),
    "Configuration": (
        "See [the configuration](configuration.md).",
        ("load_file", "load_data", "Config", "ServicePlan", "RoutePlan", "CallSettings", "DiscoverySettings"),
    ),
    "Errors": (
        "See [the errors](errors.md).",
        (
            *("DirectlaneError", "ConfigError", "ConfigProblem", "PluginError", "UnknownServiceError"),
            *("InvalidRequestError", "ClosedError"),
            *("DiscoveryError", "DiscoveryRefused", "DiscoveryThrottled", "DiscoveryUnreadable", "CredentialError"),
            *("TransportError", "Phase", "CallError", "AttemptRecord", "NoEndpointError", "AttemptsError"),
            *("DeadlineError", "QueueFullError", "StatusError", "InvalidEndpoint"),
        ),
    ),
    "Writing a plug-in": (
        "See [write a provider](../how-to/write-a-provider.md).",
        ("hookimpl", "ProviderPlugin", "Secret", "Duration", "retry_after"),
    ),
    "Writing a provider": (
        "",
        (
            *("Provider", "ProviderFacts", "Wire", "http_verdict", "Discovery", "Conversation", "Query"),
            *(
                "LocalQuery",
                "Upkeep",
                "NEXT_PIECE",
                "RateBudget",
                "PollContext",
                "AddressSource",
                "EmptyAnswer",
                "Endpoint",
                "Snapshot",
                "Finding",
                "Level",
                "Request",
                "Headers",
                "Sign",
                "Emulator",
            ),
            *("Outcome", "Verdict", "Action", "OK", "FAIL", "REAUTHENTICATE", "retry_elsewhere", "back_off"),
        ),
    ),
    "Writing a balancer": ("", ("Balancer", "BuildContext", "Load", "Member", "Picker", "PickInfo")),
    "Writing a store": (
        "See [many processes](../how-to/many-processes.md).",
        ("Store", "StoreUnavailable", "StoreRefused", "Lease", "Permit", "Saved"),
    ),
    "Writing a transport": (
        "",
        ("Transport", "Channel", "AsyncChannel", "Timeouts", "Abort", "Streamed", "AsyncStreamed", "Body", "AsyncBody"),
    ),
    "The package": ("", ("__version__",)),
}

_EMULATION = """\
Import these from `directlane.emulation`; they need the extra `emulator`. See [tests with
emulators](../how-to/tests-with-emulators.md)."""

_NO_DOCSTRING = {
    "OK": "The verdict: give the answer to the caller; the endpoint did well.",
    "FAIL": "The verdict: give the answer to the caller; elsewhere it would be the same.",
    "REAUTHENTICATE": "The verdict: renew the credential, then try once more.",
    "NEXT_PIECE": "Yielded to read on in the answer that a `Query` with `watch` keeps open.",
    "Conversation": "What `Discovery.poll` returns: yields queries, is sent replies, returns a snapshot.",
    "Headers": "Header fields in order: a tuple of pairs of a name and a value. A name may repeat.",
    "Sign": "The type of `Wire.sign`: gets the complete request and the time, returns the headers to add.",
    "Duration": 'The type of a settings field that holds seconds and is written as `"5s"`.',
    "Fault": "What `set_fault` takes: one of the faults here.",
    "Gate": "What lets a request into an instance: returns None, or the reply that refuses it.",
    "Handler": "What a `LoopbackServer` calls for each request. Must not block.",
    "hookimpl": "Marks a function of a plug-in as the implementation of a hook.",
    "__version__": "The version of directlane.",
}


def api_page() -> str:
    """The page of the public names.

    Raises:
        ValueError: A public name stands in no group, or a group has a name that is not public.
    """
    grouped = [name for _, names in _GROUPS.values() for name in names]
    wrong = sorted(set(grouped) ^ set(directlane.__all__))
    if wrong or len(grouped) != len(set(grouped)):
        raise ValueError(
            f"_GROUPS in tools/docs.py and directlane.__all__ differ: {', '.join(wrong) or 'a name twice'}"
        )
    parts = [_API_HEAD, *(_table(title, text, names, directlane) for title, (text, names) in _GROUPS.items())]
    return "\n".join([*parts, _table("directlane.emulation", _EMULATION, emulation.__all__, emulation)])


def _table(title: str, text: str, names: Iterable[str], home: types.ModuleType) -> str:
    rows = "".join(f"| `{name}` | {_cell(_first_sentence(name, home))} |\n" for name in names)
    return f"## {title}\n\n{text + chr(10) * 2 if text else ''}| name | what it is |\n|---|---|\n{rows}"


def _first_sentence(name: str, home: types.ModuleType) -> str:
    known = _NO_DOCSTRING.get(name)
    if known is not None:
        return known
    line = _doc(cast("object", getattr(home, name)))
    first = re.split(r"(?<=[.!?]) (?=[A-Z`])", line)[0]
    # The twins have one text: they are made from one source.
    is_twin = name.startswith("Async") and name.removeprefix("Async") in directlane.__all__ and "async" not in first
    return f"{first} For async code." if is_twin else first


# --- the pages --------------------------------------------------------------------------------------------------------

PAGES: dict[Path, Callable[[], str]] = {
    REFERENCE / "configuration.md": configuration_page,
    REFERENCE / "api.md": api_page,
}


def main(arguments: Iterable[str]) -> int:
    is_check = "--check" in arguments
    old = [path for path, make in PAGES.items() if not path.exists() or path.read_text("utf-8") != make()]
    for path in old:
        print(f"{'differs' if is_check else 'written'}: {path.relative_to(REFERENCE.parent.parent)}")
        if not is_check:
            path.write_text(PAGES[path](), "utf-8")
    return 1 if old and is_check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
