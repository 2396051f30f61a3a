"""What the benchmark of calls measures: its tables, and the bars that we set ourselves. Data only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["BARS", "ENDPOINTS", "TABLES", "Bar", "Entry", "Side", "Table"]

ENDPOINTS = 4
"""Instances behind a call where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a table.

    Args:
        contender: Whose calls.
        endpoints: Over how many instances.
        loop: `uvloop` or `asyncio`; of no meaning for sync code.
        load: The kind of call.
    """

    contender: str
    endpoints: int = ENDPOINTS
    loop: str = "asyncio"
    load: str = "small"

    @property
    def label(self) -> str:
        """How tables call it."""
        return self.contender + (", uvloop" if self.loop == "uvloop" else "")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that are measured together, round after round.

    Args:
        name: Short, for bars and `--only`.
        title: For people.
        entries: The rows.
        parallel: Callers at once.
        baseline: The label that ratios are made to.
    """

    name: str
    title: str
    entries: Sequence[Entry]
    parallel: int
    baseline: str


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: a row of a table. `endpoints` tells rows of the same label apart."""

    table: str
    label: str
    endpoints: int = ENDPOINTS


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar that we set ourselves.

    Args:
        text: For people.
        ours: The numerator.
        theirs: The denominator, from the same table.
        figure: `cpu_us` (lower is better), `wall_us` (likewise) or `per_second` (higher is better).
        limit: The ratio to keep below, or to reach.
    """

    text: str
    ours: Side
    theirs: Side
    figure: str
    limit: float

    def is_met(self, ratio: float) -> bool:
        """Whether a ratio is good enough."""
        return ratio >= self.limit if self.figure == "per_second" else ratio <= self.limit


_SYNC = (
    "raw socket loop",
    "http.client",
    "urllib3",
    "httpx.Client",
    "httpx2.Client",
    "eas-prediction, plain",
    "eas-prediction, signed",
    "directlane",
    "directlane, signed",
    "directlane, httpx door",
    "directlane, over httpx",
    "directlane, wire alone",
)
_SYNC_STREAM = tuple(name for name in _SYNC if not name.startswith("eas-") and "alone" not in name)
_SYNC_FEW = ("raw socket loop", "http.client", "urllib3", "httpx.Client", "eas-prediction, plain", "directlane")
_ASYNC = (
    "bare protocol",
    "aiohttp",
    "httpx.AsyncClient",
    "httpx2.AsyncClient",
    "directlane, async",
    "directlane, async, signed",
    "directlane, async, httpx door",
    "directlane, async, over httpx",
)
_UVLOOP = ("bare protocol", "aiohttp", "httpx.AsyncClient", "directlane, async", "directlane, async, httpx door")


def _entries(names: Sequence[str], load: str = "small") -> tuple[Entry, ...]:
    return tuple(Entry(name, load=load) for name in names)


def _both(load: str = "small") -> tuple[Entry, ...]:
    return (*_entries(_ASYNC, load), *(Entry(name, loop="uvloop", load=load) for name in _UVLOOP))


def _sizes(names: Sequence[str]) -> tuple[Entry, ...]:
    return tuple(Entry(name, endpoints=size) for name in names for size in (1, 4, 16, 256))


_RAW, _BARE = "raw socket loop", "bare protocol"

TABLES = (
    Table("sync-1", "sync, 1 thread, 100-byte bodies", _entries(_SYNC), 1, _RAW),
    Table("sync-32", "sync, 32 threads, 100-byte bodies", _entries(_SYNC), 32, _RAW),
    Table("sync-256", "sync, 256 threads, 100-byte bodies", _entries(_SYNC_FEW), 256, _RAW),
    Table("sync-64k", "sync, 1 thread, 64 KiB bodies both ways", _entries(_SYNC, "64 KiB"), 1, _RAW),
    Table("sync-stream", "sync, 1 thread, an answer of 20 events", _entries(_SYNC_STREAM, "stream"), 1, _RAW),
    Table("async-1", "async, 1 task, 100-byte bodies", _both(), 1, _BARE),
    Table("async-32", "async, 32 tasks, 100-byte bodies", _both(), 32, _BARE),
    Table("async-256", "async, 256 tasks, 100-byte bodies", _both(), 256, _BARE),
    Table("async-64k", "async, 32 tasks, 64 KiB bodies both ways", _entries(_ASYNC, "64 KiB"), 32, _BARE),
    Table("async-stream", "async, 32 tasks, an answer of 20 events", _entries(_ASYNC, "stream"), 32, _BARE),
    Table("endpoints", "sync, 1 thread, by number of endpoints", _sizes((_RAW, "httpx.Client", "directlane")), 1, _RAW),
    Table(
        "endpoints-async",
        "async, 32 tasks, by number of endpoints",
        _sizes((_BARE, "aiohttp", "directlane, async")),
        32,
        _BARE,
    ),
)


def _bar(text: str, table: str, ours: str, theirs: str, figure: str, limit: float) -> Bar:
    return Bar(text, Side(table, ours), Side(table, theirs), figure, limit)


_DOOR = "directlane, async, httpx door"
_CPU, _RATE = "cpu_us", "per_second"

BARS = (
    _bar("CPU per small call, sync, to a raw socket loop", "sync-1", "directlane", _RAW, _CPU, 1.6),
    _bar("CPU per small call, sync, to the SDK (plain)", "sync-1", "directlane", "eas-prediction, plain", _CPU, 0.30),
    _bar("CPU per small call, sync, to httpx.Client", "sync-1", "directlane", "httpx.Client", _CPU, 0.15),
    _bar("httpx door over the wire, to httpx.Client", "sync-1", "directlane, httpx door", "httpx.Client", _CPU, 0.60),
    _bar("httpx door at 32 tasks, to httpx.AsyncClient", "async-32", _DOOR, "httpx.AsyncClient", _CPU, 0.25),
    _bar("requests/s at 32 threads, to the SDK (plain)", "sync-32", "directlane", "eas-prediction, plain", _RATE, 6),
    _bar("requests/s at 256 tasks, to aiohttp", "async-256", "directlane, async", "aiohttp", _RATE, 2),
    _bar(
        "requests/s at 256 tasks, to aiohttp, both on uvloop",
        "async-256",
        "directlane, async, uvloop",
        "aiohttp, uvloop",
        _RATE,
        2,
    ),
    _bar("requests/s at 256 tasks, to httpx", "async-256", "directlane, async", "httpx.AsyncClient", _RATE, 8),
    _bar(
        "requests/s at 256 tasks, to httpx, both on uvloop",
        "async-256",
        "directlane, async, uvloop",
        "httpx.AsyncClient, uvloop",
        _RATE,
        8,
    ),
    Bar(
        "CPU per call at 256 endpoints, to 4",
        Side("endpoints", "directlane", 256),
        Side("endpoints", "directlane", 4),
        _CPU,
        1.15,
    ),
    Bar(
        "CPU per call at 256 endpoints, to 4, async",
        Side("endpoints-async", "directlane, async", 256),
        Side("endpoints-async", "directlane, async", 4),
        _CPU,
        1.15,
    ),
    _bar("64 KiB bodies: calls/s, to a raw socket loop", "sync-64k", "directlane", _RAW, _RATE, 0.8),
)
