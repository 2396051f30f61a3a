"""The values of keys as endpoints. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from directlane import Endpoint, Snapshot

__all__ = ["snapshot_of"]


def snapshot_of(entries: Mapping[str, bytes], revision: str) -> Snapshot:
    """The list that the keys make, in the order of the keys. A value that is no endpoint is left out with a reason.

    A value is a URL (`http://10.0.0.7:8000`), `host:port`, or JSON: `{"url": ..., "weight": 3, "zone": "b"}`,
    `{"host": ..., "port": ..., ...}`, or `{"Addr": "10.0.0.7:8000"}`, as the resolvers of etcd's own clients write it.
    """
    found: dict[str, Endpoint] = {}
    rejected: list[str] = []
    for key in sorted(entries):
        try:
            endpoint = _endpoint(entries[key])
        except (ValueError, TypeError, RecursionError) as error:
            # The text of other errors may quote the value, which may hold a password.
            reason = str(error) if isinstance(error, _NoEndpointError) else type(error).__name__
            rejected.append(f"key {key!r:.80} is left out: {reason}")
        else:
            found.setdefault(endpoint.id, endpoint)  # two keys for one server
    return Snapshot(tuple(found.values()), tuple(rejected), version=revision)


class _NoEndpointError(ValueError):
    """Says what is missing, without the value."""


def _endpoint(value: bytes) -> Endpoint:
    text = value.decode().strip()
    facts: dict[str, Any] = {"url": text}
    if text.startswith("{"):
        facts = cast("dict[str, Any]", json.loads(text))
    weight, zone = facts.get("weight"), facts.get("zone")
    if not (zone is None or isinstance(zone, str)):
        raise _NoEndpointError("`zone` is not a text")
    if "host" in facts:
        return Endpoint(facts["host"], facts.get("port", 0), weight=weight, zone=zone)
    url = facts.get("url", facts.get("Addr"))
    if not isinstance(url, str):
        raise _NoEndpointError("it has neither `url` nor `host` nor `Addr`")
    if "@" in url:
        raise _NoEndpointError("an address must not hold a user name or password")
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise _NoEndpointError("it is not an address such as http://10.0.0.7:8000")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Endpoint(
        parts.hostname, port, scheme=parts.scheme, base_path=parts.path.rstrip("/"), weight=weight, zone=zone
    )
