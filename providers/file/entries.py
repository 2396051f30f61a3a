"""The form of the file: a list of endpoints, in JSON, YAML or TOML.

Each entry is a text (`"10.0.0.7:8000"`, or a URL) or a table (`FileEntry`). The list is the whole document, or stands
in a table as `endpoints`, which TOML needs. No I/O. Texts about what is wrong name places and reasons, and quote
nothing of the file but addresses.
"""

from __future__ import annotations

import json
import tomllib
from typing import ClassVar, Literal, Self, TypeAlias, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...core.endpoint import MAX_WEIGHT, Endpoint, InvalidEndpoint, Snapshot
from ...core.errors import DiscoveryError, DiscoveryUnreadable
from ...core.fields import ServerName
from ...core.interfaces import endpoint_at

__all__ = ["FileEntry", "Format", "format_of", "read_entries"]

Format: TypeAlias = Literal["json", "yaml", "toml"]

_SUFFIXES: dict[str, Format] = {".json": "json", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml"}
_MAX_COMPLAINTS = 20
_MAX_LABELS = 50


class FileEntry(BaseModel):
    """One endpoint, as a table of the file. `FileEntry.model_json_schema()` gives its JSON Schema."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    host: str = Field(min_length=1, description="IP address or host name.")
    port: int = Field(ge=1, le=65535, description="Its port.")
    scheme: Literal["http", "https"] = Field(default="http", description="Default: http.")
    path: str = Field(default="", description="Goes in front of every call's path, such as '/base'. Default: none.")
    weight: int | None = Field(
        default=None,
        ge=0,
        le=MAX_WEIGHT,
        description="Relative capacity; 0 gives it no call. Default: unknown, which counts as the mean of the others.",
    )
    zone: str | None = Field(default=None, min_length=1, description="Where it stands, as its cloud names it.")
    labels: dict[str, str] = Field(
        default_factory=dict[str, str], max_length=_MAX_LABELS, description="More facts for people. Default: none."
    )
    server_name: ServerName | None = Field(
        default=None, description="The name that its certificate must have, for https. Default: that of the route."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.server_name is not None and self.scheme != "https":
            raise ValueError('`server_name` is for scheme = "https"')
        return self

    def endpoint(self, server_name: str | None = None) -> Endpoint:
        """The endpoint that it stands for; `server_name` is for https without a name of its own.

        Raises:
            InvalidEndpoint: The host or the path is none.
        """
        return Endpoint(
            host=self.host,
            port=self.port,
            scheme=self.scheme,
            base_path=self.path,
            weight=self.weight,
            zone=self.zone,
            labels=self.labels,
            server_name=(self.server_name or server_name) if self.scheme == "https" else None,
        )


def format_of(suffix: str) -> Format | None:
    """The format that files with this suffix have; None if it is not known."""
    return _SUFFIXES.get(suffix.lower())


def read_entries(body: bytes, form: Format, server_name: str | None = None) -> Snapshot:
    """The endpoints that a file names, in its order.

    `server_name` is for entries with https that have none of their own.

    An entry that is none is left out and told in `rejected`; the others count. An empty list is a snapshot without
    endpoints: whether to believe it is not decided here.

    Raises:
        DiscoveryUnreadable: The file is empty, does not parse, or holds no list.
        DiscoveryError: It is YAML and PyYAML is not installed.
    """
    items = _list(_parsed(body, form))
    found: list[Endpoint] = []
    rejected: list[str] = []
    for number, item in enumerate(items, start=1):
        try:
            found.append(_endpoint(item, server_name))
        except ValueError as error:  # a validation error is one too
            rejected.append(f"entry {number}: {_reason(error)}")
    more = len(rejected) - _MAX_COMPLAINTS
    told = (*rejected[:_MAX_COMPLAINTS], f"and {more} more entries") if more > 0 else tuple(rejected)
    return Snapshot(tuple(found), told, raw=body)


def _parsed(body: bytes, form: Format) -> object:
    if not body.strip():
        raise DiscoveryUnreadable("it is empty; a list without entries is written as []")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DiscoveryUnreadable("it is not UTF-8 text") from None
    # `from None` below: the errors of the readers carry the text, and a label may hold anything.
    try:
        if form == "json":
            return cast("object", json.loads(text))
        if form == "toml":
            return tomllib.loads(text)
        return _yaml(text)
    except json.JSONDecodeError as error:
        raise DiscoveryUnreadable(
            f"it is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise DiscoveryUnreadable("it is nested too deeply to be a list of endpoints") from None
    except ValueError:
        raise DiscoveryUnreadable(f"it is not valid {form.upper()}") from None


def _yaml(text: str) -> object:
    try:
        import yaml  # an extra
    except ImportError:
        raise DiscoveryError(
            "reading YAML needs the package PyYAML. Next: pip install 'directlane[yaml]', or write the file as JSON"
        ) from None
    try:
        return cast("object", yaml.safe_load(text))
    except yaml.YAMLError as error:
        mark = cast("yaml.Mark | None", getattr(error, "problem_mark", None))
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise DiscoveryUnreadable(f"it is not valid YAML{where}") from None
    except (AttributeError, KeyError, TypeError):  # what constructors of odd tags raise
        raise DiscoveryUnreadable("it is not valid YAML") from None


def _list(data: object) -> list[object]:
    if isinstance(data, dict):
        table = cast("dict[object, object]", data)
        if "endpoints" not in table:
            raise DiscoveryUnreadable("it is a table without `endpoints`; write a list, or a table that holds it so")
        data = table["endpoints"]
    if not isinstance(data, list):
        raise DiscoveryUnreadable(f"it holds no list of endpoints, but {_kind(data)}")
    return cast("list[object]", data)


def _endpoint(item: object, server_name: str | None) -> Endpoint:
    if isinstance(item, str):
        if "://" in item:
            return endpoint_at(item, server_name=server_name)
        endpoint = endpoint_at(f"http://{item}")
        if urlsplit(f"//{item}").port is None:
            raise InvalidEndpoint(f"{item[:60]!r} has no port; write it like '10.0.0.7:8000'")
        return endpoint
    if not isinstance(item, dict):
        raise InvalidEndpoint(f"it is {_kind(item)}; write a text such as '10.0.0.7:8000', or a table")
    return FileEntry.model_validate(item).endpoint(server_name)


def _reason(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(ascii(part)[1:-1][:40] if isinstance(part, str) else str(part) for part in first["loc"])
    message = "there is no such key" if first["type"] == "extra_forbidden" else first["msg"]
    return f"`{place}`: {message}" if place else message


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "a table" if isinstance(value, dict) else "something else"
