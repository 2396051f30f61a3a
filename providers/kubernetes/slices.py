"""EndpointSlices as endpoints: several slices make one list. No I/O.

The rules are those of the API `discovery.k8s.io/v1`: an unknown `ready` counts as ready; a pod that ends and still
serves is drained; of several addresses of one entry the first counts; an entry may stand in two slices for a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from ...core.endpoint import Endpoint, Snapshot

__all__ = ["Family", "Slice", "Wanted", "snapshot_of"]

Slice: TypeAlias = Mapping[str, Any]
"""One EndpointSlice as the API server sent it."""

Family: TypeAlias = Literal["auto", "ipv4", "ipv6"]

_TYPES = {"ipv4": "IPv4", "ipv6": "IPv6"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of a slice.

    Args:
        port: Name or number of the port; None: the only one.
        family: Which addresses. `auto`: IPv4 where there are some, else IPv6.
        scheme: Of the endpoints.
        server_name: Of the endpoints, for https.
    """

    port: int | str | None
    family: Family
    scheme: str = "http"
    server_name: str | None = None


def snapshot_of(slices: Iterable[Slice], wanted: Wanted, version: str) -> Snapshot:
    """The list that the slices make.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: A slice has not the shape of the API.
    """
    ordered = sorted(slices, key=lambda each: str(each["metadata"]["name"]))
    types = {str(each["addressType"]) for each in ordered if each.get("endpoints")}
    chosen = _TYPES.get(wanted.family) or ("IPv4" if "IPv4" in types or "IPv6" not in types else "IPv6")
    found: dict[tuple[str, int], Endpoint] = {}
    rejected: list[str] = []
    not_ready = 0
    for each in ordered:
        entries = cast("list[Mapping[str, Any]]", each.get("endpoints") or [])
        if each["addressType"] != chosen or not entries:
            continue
        port = _port(each.get("ports") or [], wanted.port)
        if isinstance(port, str):
            rejected.append(f"slice {each['metadata']['name']} is left out: {port}")
            continue
        for endpoint in _endpoints(entries, port, wanted, rejected):
            if endpoint is None:
                not_ready += 1
                continue
            # The same pod in two slices: it moves from one to the other. One that is ready beats one that is drained.
            key = (endpoint.host, endpoint.port)
            if key not in found or found[key].is_draining:
                found[key] = endpoint
    attributes: dict[str, object] = {"slices": len(ordered), "not ready": not_ready}
    return Snapshot(tuple(found.values()), tuple(rejected), version, attributes=attributes)


def _endpoints(
    entries: list[Mapping[str, Any]], port: int, wanted: Wanted, rejected: list[str]
) -> Iterator[Endpoint | None]:
    """The endpoints of one slice; None for one that is not ready."""
    for entry in entries:
        conditions = cast("Mapping[str, bool | None]", entry.get("conditions") or {})
        ready = conditions.get("ready") is not False
        drains = not ready and bool(conditions.get("serving")) and bool(conditions.get("terminating"))
        if not ready and not drains:
            yield None
            continue
        try:
            yield Endpoint(
                entry["addresses"][0],
                port,
                scheme=wanted.scheme,
                weight=0 if drains else None,
                zone=_zone(entry),
                labels=_labels(entry),
                server_name=wanted.server_name,
            )
        except (ValueError, IndexError) as error:
            rejected.append(f"an entry is left out: {error}")


def _port(ports: list[Mapping[str, Any]], wanted: int | str | None) -> int | str:
    """The port's number, or what is wrong."""
    known: list[tuple[str, object]] = [
        (each.get("name") or "", each.get("port")) for each in ports if each.get("protocol", "TCP") == "TCP"
    ]
    shown = ", ".join(f"{name or 'without a name'} = {number}" for name, number in known) or "none"
    if wanted is None:
        if len(known) == 1 and isinstance(known[0][1], int):
            return known[0][1]
        return f"`port` must say which of its TCP ports is meant ({shown})"
    for name, number in known:
        if isinstance(number, int) and wanted in {name, number}:
            return number
    return f"it has no TCP port {wanted!r} ({shown})"


def _zone(entry: Mapping[str, Any]) -> str | None:
    """Where it stands; else the zone that the hints name, if that is one."""
    for_zones = _for_zones(entry)
    return entry.get("zone") or (for_zones[0] if len(for_zones) == 1 else None)


def _for_zones(entry: Mapping[str, Any]) -> list[str]:
    hints = cast("Mapping[str, Any]", entry.get("hints") or {})
    zones = cast("list[Mapping[str, object]]", hints.get("forZones") or [])
    return [str(each["name"]) for each in zones]


def _labels(entry: Mapping[str, Any]) -> dict[str, str]:
    target = cast("Mapping[str, Any]", entry.get("targetRef") or {})
    told = {"pod": target.get("name"), "node": entry.get("nodeName"), "for_zones": ",".join(_for_zones(entry))}
    return {name: str(value) for name, value in told.items() if value}
