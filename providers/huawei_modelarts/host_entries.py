"""One entry of an endpoint list: what it says itself, and what it takes from around it. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlsplit

from ...core.endpoint import Endpoint, InvalidEndpoint

__all__ = [
    "ADDRESS_KEYS",
    "PORT_KEYS",
    "URL_KEYS",
    "Context",
    "endpoint_of_entry",
    "first",
    "first_text",
    "inherit",
    "integer",
    "kind",
    "names_port",
]

_MAX_LABEL = 200

_SCHEME_KEYS = ("schema", "scheme", "protocol")
PORT_KEYS = ("port", "host_port", "node_port")
ADDRESS_KEYS = ("ip", "host", "host_ip", "node_ip", "address")
URL_KEYS = ("url", "uri", "endpoint", "host_endpoint")
_LABEL_KEYS = {
    "model_id": "model_id",
    "model_name": "model_name",
    "model_version": "model_version",
    "status": "status",
    "instance_id": "instance",
    "instance_name": "instance",
    "node_name": "node",
}
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_DIGITS = re.compile(r"[0-9]{1,10}")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class Context:
    """What the mappings around an entry say."""

    where: str = "the answer"
    scheme: object = None
    port: object = None
    group_weight: int | None = None
    group: int = 0
    """Which mapping gave the weight."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


def inherit(node: dict[str, object], outer: Context) -> Context:
    """What is around the entries in a mapping: what it says itself, and else what is around it."""
    scheme, port = first(node, _SCHEME_KEYS), first(node, PORT_KEYS)
    labels = {
        label: _printable(str(value))
        for key, label in _LABEL_KEYS.items()
        if isinstance(value := node.get(key), str | int) and value != ""
    }
    return replace(
        outer,
        scheme=outer.scheme if scheme is None else scheme,
        port=outer.port if port is None else port,
        labels={**outer.labels, **labels} if labels else outer.labels,
    )


def endpoint_of_entry(address: str, context: Context, weight: int | None) -> Endpoint:
    """The endpoint that an entry names.

    Args:
        address: A host, with or without a port, or a URL.
        context: What the entry does not say itself.
        weight: Of the entry; None if it has none.

    Raises:
        ValueError: It cannot be called; an `InvalidEndpoint` says why.
    """
    scheme, port = context.scheme, context.port
    if scheme is not None and not isinstance(scheme, str):
        raise InvalidEndpoint(f"the scheme is a {kind(scheme)}, not a word")
    word = (scheme or "http").strip().lower().removesuffix("://")
    host, base_path = address.strip(), ""
    if _URL.match(host):
        url = urlsplit(host)
        if url.username is not None or url.password is not None:
            raise InvalidEndpoint("the URL has a user or password in it")
        word = url.scheme.lower()
        host, base_path = url.hostname or "", quote(url.path, safe="/%:@!$&'()*+,;=~")
        number = url.port or integer(port) or _DEFAULT_PORTS.get(word)
    else:
        host, inner_port = _split(host)
        number = integer(port) if inner_port is None else inner_port
    if number is None:
        raise InvalidEndpoint(f"the port is a {kind(port)}, not an integer from 1 to 65535")
    return Endpoint(host, number, scheme=word, base_path=base_path, weight=weight, labels=context.labels)


def _split(text: str) -> tuple[str, int | None]:
    """Host and port of `host`, `host:port`, `[v6]:port` or a bare IPv6 address."""
    if _is_ip(text):
        return text, None
    host, colon, digits = text.rpartition(":")
    if colon and _DIGITS.fullmatch(digits):
        return host, int(digits)
    return text, None


def names_port(address: str) -> bool:
    """Whether an address says its port, or needs none because it is a URL."""
    return bool(_URL.match(address.strip())) or _split(address.strip())[1] is not None


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def integer(value: object) -> int | None:
    """An integer from an integer, a number without fraction, or digits."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        return int(value)
    return None


def first(node: dict[str, object], names: tuple[str, ...]) -> object:
    """The value of the first of these keys that is there and says something; None if there is none."""
    return next((value for name in names if (value := node.get(name)) is not None and value != ""), None)


def first_text(node: dict[str, object], names: tuple[str, ...]) -> str | None:
    """As `first`, among the texts."""
    return next((value for name in names if isinstance(value := node.get(name), str) and value.strip()), None)


def _printable(text: str) -> str:
    """A label: short, and without the halves of characters that no output can write."""
    return text[:_MAX_LABEL].encode(errors="replace").decode()


def kind(value: object) -> str:
    """What a value is, for error texts that must not show it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "list" if isinstance(value, list) else "object"
