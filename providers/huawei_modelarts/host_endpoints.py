"""Reads the answer of `predict/endpoints?type=host_endpoints`, whatever its shape.

Huawei publishes the shape of this answer as a picture only; the names `schema`, `ip` and `port` are all that is known.
So the reader walks the JSON: a mapping with an address and a port is an endpoint, and what it does not say itself
(scheme, port, model, weight) it takes from the mappings around it. Strings count as addresses only where a list of
addresses is expected, so that a version number or a public URL elsewhere in the answer is not taken for an instance.

The reader must survive anything: size, depth and number of values are limited, and a text about an answer without
endpoints names its keys, never its values.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass, replace
from typing import cast

from ...core.endpoint import MAX_WEIGHT, Endpoint, InvalidEndpoint, Snapshot
from ...core.errors import DiscoveryUnreadable
from .host_entries import (
    ADDRESS_KEYS,
    PORT_KEYS,
    URL_KEYS,
    Context,
    endpoint_of_entry,
    first,
    first_text,
    inherit,
    integer,
    kind,
    names_port,
)

__all__ = ["read_host_endpoints"]

_MAX_BYTES = 8 * 1024 * 1024
_MAX_DEPTH = 32
_MAX_VALUES = 100_000
_MAX_COMPLAINTS = 20

_LIST_KEYS = frozenset(
    {"endpoints", "host_endpoints", "predict_endpoints", "instances", "nodes", "hosts", "items"}
    | {"ips", "host_ips", "node_ips", "addresses", "urls"}
    | {*ADDRESS_KEYS, *URL_KEYS}
)
"""Where a list of addresses is expected; an empty one (or null) says "no instance is ready"."""


def read_host_endpoints(body: bytes) -> Snapshot:
    """The endpoints that an answer names, in its order, without duplicates. An empty list is a valid answer.

    A weight that stands at an entry is the entry's. A weight that stands around several entries (a model version's
    share of the traffic) is divided among them, so that versions with more instances do not get more than their share.

    Raises:
        DiscoveryUnreadable: It is not JSON, is far too large, holds nothing that looks like an endpoint, or no entry is
            valid.
    """
    data = _parse(body)
    walk = _Walk()
    walk.visit(data, Context(), depth=0)
    endpoints = tuple(_shared_weights(walk.entries))
    if not endpoints and walk.complaints:
        raise DiscoveryUnreadable(f"no entry of the endpoint list is valid; the first: {walk.complaints[0]}")
    if not endpoints and not walk.saw_list:
        raise DiscoveryUnreadable(
            f"the answer holds no endpoint and no empty list of endpoints ({_outline(data)}). "
            "Next: set `parser` to a function of your own, and please report these names"
        )
    attributes = {"notes": tuple(walk.notes[:_MAX_COMPLAINTS])} if walk.notes else {}
    return Snapshot(endpoints, rejected=_limited(walk.complaints), attributes=attributes, raw=body)


def _parse(body: bytes) -> object:
    if len(body) > _MAX_BYTES:
        raise DiscoveryUnreadable(f"the endpoint list has {len(body)} bytes; at most {_MAX_BYTES} are read")
    try:
        return json.loads(body)
    # `from None`: the errors of the JSON reader carry the body.
    except RecursionError:
        raise DiscoveryUnreadable("the endpoint list is nested too deeply to be one") from None
    except ValueError:
        shown = "empty" if not body.strip() else "HTML" if body.lstrip()[:1] == b"<" else f"{len(body)} bytes"
        raise DiscoveryUnreadable(f"the endpoint list is not JSON ({shown})") from None


@dataclass(frozen=True, slots=True)
class _Entry:
    endpoint: Endpoint
    group: int
    group_weight: int | None


class _Walk:
    """One walk over one answer. Mutable state: what was found."""

    def __init__(self) -> None:
        self.entries: dict[str, _Entry] = {}
        self.complaints: list[str] = []
        self.notes: list[str] = []
        self.saw_list = False
        self._groups = 0
        self._values = 0

    def visit(self, node: object, context: Context, *, depth: int, expected: bool = True) -> None:
        """Look at one value. `expected`: whether it stands where addresses are expected."""
        if depth > _MAX_DEPTH:
            self.complaints.append(f"{context.where}: nested deeper than {_MAX_DEPTH} levels")
        elif isinstance(node, dict):
            self._visit_mapping(cast("dict[str, object]", node), context, depth, expected=expected)
        elif isinstance(node, list):
            self._visit_list(cast("list[object]", node), context, depth, expected=expected)
        elif isinstance(node, str) and expected:
            self._add(node, context, weight=None)

    def _visit_list(self, items: list[object], context: Context, depth: int, *, expected: bool) -> None:
        if expected and not items:
            self.saw_list = True
        self._count(items)
        for index, item in enumerate(items):
            here = replace(context, where=f"{context.where}[{index}]")
            if expected and not isinstance(item, str) and not _is_container(item):
                self.complaints.append(f"{here.where}: a {kind(item)} is not an endpoint")
            else:
                self.visit(item, here, depth=depth + 1, expected=expected)

    def _visit_mapping(self, node: dict[str, object], outer: Context, depth: int, *, expected: bool) -> None:
        context = inherit(node, outer)
        address = first_text(node, (*ADDRESS_KEYS, *URL_KEYS))
        has_port = context.port is not None or (address is not None and names_port(address))
        if address is not None and has_port and not _holds_list(node):
            # An endpoint is a leaf: what stands below it describes it.
            self._add(address, context, weight=node.get("weight"))
            return
        before = len(self.entries) + len(self.complaints)
        self._groups += 1
        context = self._with_group_weight(node, context)
        self._count(node)
        for key, value in node.items():
            here = replace(context, where=f"{outer.where}.{_name(key)}")
            is_list_key = key.lower() in _LIST_KEYS
            if is_list_key and (value is None or value == {}):
                self.saw_list = True
            elif _is_container(value) or (is_list_key and value != address):
                self.visit(value, here, depth=depth + 1, expected=is_list_key)
        found = len(self.entries) + len(self.complaints) > before
        if address is not None and not found:
            self.complaints.append(f"{outer.where}: the entry has an address and no port")
        elif address is None and not found and expected and depth > 0 and first(node, PORT_KEYS) is not None:
            self.complaints.append(f"{outer.where}: the entry has a port and no address")

    def _count(self, values: Sized) -> None:
        self._values += len(values)
        if self._values > _MAX_VALUES:
            raise DiscoveryUnreadable(f"the endpoint list holds more than {_MAX_VALUES} values")

    def _with_group_weight(self, node: dict[str, object], context: Context) -> Context:
        weight = self._weight(node.get("weight"), context.where)
        return context if weight is None else replace(context, group_weight=weight, group=self._groups)

    def _add(self, address: str, context: Context, *, weight: object) -> None:
        own_weight = self._weight(weight, context.where)
        try:
            endpoint = endpoint_of_entry(address, context, own_weight)
        except ValueError as error:  # InvalidEndpoint, or what the URL reader says
            reason = str(error) if isinstance(error, InvalidEndpoint) else "the address cannot be read"
            self.complaints.append(f"{context.where}: {reason}")
            return
        group_weight = context.group_weight if own_weight is None else None
        self.entries.setdefault(endpoint.id, _Entry(endpoint, context.group, group_weight))

    def _weight(self, value: object, where: str) -> int | None:
        """The weight, if it is one. One that is not is left out and noted: it must not cost an instance."""
        if value is None or value == "":
            return None
        number = integer(value)
        if number is not None and 0 <= number <= MAX_WEIGHT:
            return number
        self.notes.append(f"{where}: the weight is not an integer from 0 to {MAX_WEIGHT} and was left out")
        return None


def _holds_list(node: dict[str, object]) -> bool:
    """Whether more addresses stand below this mapping."""
    return any(key.lower() in _LIST_KEYS and _is_container(value) and bool(value) for key, value in node.items())


def _is_container(value: object) -> bool:
    return isinstance(value, dict | list)


def _shared_weights(entries: Mapping[str, _Entry]) -> Iterator[Endpoint]:
    """The endpoints; the weight of a group is divided among its members."""
    sizes: dict[int, int] = {}
    for entry in entries.values():
        if entry.group_weight is not None:
            sizes[entry.group] = sizes.get(entry.group, 0) + 1
    multiple = math.lcm(*sizes.values())
    largest = max((entry.group_weight or 0 for entry in entries.values()), default=0)
    exact = multiple * largest <= MAX_WEIGHT
    for entry in entries.values():
        if entry.group_weight is None:
            yield entry.endpoint
            continue
        size = sizes[entry.group]
        if exact:
            weight = entry.group_weight * multiple // size
        else:
            weight = entry.group_weight // size or min(entry.group_weight, 1)
        yield replace(entry.endpoint, weight=weight)


def _limited(complaints: list[str]) -> tuple[str, ...]:
    more = len(complaints) - _MAX_COMPLAINTS
    return (*complaints[:_MAX_COMPLAINTS], f"and {more} more entries") if more > 0 else tuple(complaints)


def _outline(data: object) -> str:
    """What the answer looks like: its kinds and key names, never its values."""
    if isinstance(data, dict):
        names = [_name(key) for key in list(cast("dict[str, object]", data))[:12]]
        return f"an object with the keys {', '.join(names) or '(none)'}"
    if isinstance(data, list):
        items = cast("list[object]", data)
        return (
            f"a list of {len(items)}, the first: {_outline(items[0]) if not isinstance(items[0], list) else 'a list'}"
        )
    return f"a {kind(data)}"


def _name(key: str) -> str:
    """A key for an error text: short and on one line."""
    return ascii(key)[1:-1][:40]
