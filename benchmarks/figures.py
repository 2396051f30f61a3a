"""From measurements to figures: medians, ratios of the same round, their spread, and whether a bar is met."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tables import BARS, Entry, Side, Table

__all__ = ["Figures", "as_data", "bars_of", "show", "show_bars"]


@dataclass(slots=True)
class Figures:
    """What the rounds gave for one contender, a number for each round (and the time of each single call)."""

    cpu_us: list[float] = field(default_factory=list[float])
    wall_us: list[float] = field(default_factory=list[float])
    per_second: list[float] = field(default_factory=list[float])
    upstream: list[float] = field(default_factory=list[float])
    times_us: list[float] = field(default_factory=list[float])
    rss: int = 0

    def add(self, took: Mapping[str, Any], upstream_cpu: float) -> None:
        """One round."""
        calls = len(took["times_us"])
        self.cpu_us.append(took["cpu"] / calls * 1e6)
        self.wall_us.append(took["wall"] / calls * 1e6)
        self.per_second.append(calls / took["wall"])
        self.upstream.append(upstream_cpu / took["wall"])
        self.times_us.extend(took["times_us"])
        self.rss = took["rss"]


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """The middle of the ratios round by round, and the quarters below and above: a half of all rounds lies between."""
    each = sorted(one / other for one, other in zip(ours, theirs, strict=True))
    if len(each) < 2:
        return each * 3
    low, middle, high = statistics.quantiles(each, n=4, method="inclusive")
    return [round(middle, 3), round(low, 3), round(high, 3)]


def quantile(ordered: Sequence[float], part: float) -> float:
    """The value below which this part of an ordered list lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def as_data(table: Table, figures: Mapping[Entry, Figures]) -> dict[str, Any]:
    """A table as plain data."""
    base = {entry.endpoints: figure for entry, figure in figures.items() if entry.label == table.baseline}
    rows: list[dict[str, Any]] = []
    for entry, figure in figures.items():
        times = sorted(figure.times_us)
        row: dict[str, Any] = {
            "label": entry.label,
            "endpoints": entry.endpoints,
            "calls": len(times),
            "cpu_us": round(statistics.median(figure.cpu_us), 1),
            "cpu_us_min": round(min(figure.cpu_us), 1),
            "cpu_us_max": round(max(figure.cpu_us), 1),
            "wall_us": round(statistics.median(figure.wall_us), 1),
            "per_second": round(statistics.median(figure.per_second)),
            "p50_us": quantile(times, 0.5),
            "p99_us": quantile(times, 0.99),
            "p999_us": quantile(times, 0.999),
            "upstream_busy": round(statistics.median(figure.upstream), 2),
            "rss_mb": round(figure.rss / 1e6, 1),
            "rounds": {name: getattr(figure, name) for name in ("cpu_us", "wall_us", "per_second")},
        }
        if entry.endpoints in base:
            for name in ("cpu_us", "wall_us", "per_second"):
                row[f"{name}_ratio"] = ratios(getattr(figure, name), getattr(base[entry.endpoints], name))
        rows.append(row)
    sizes = sorted({entry.endpoints for entry in figures})
    if len(sizes) > 1:
        few, many = sizes[1] if len(sizes) > 2 else sizes[0], sizes[-1]
        resident = {(entry.label, entry.endpoints): figure.rss for entry, figure in figures.items()}
        memory = {
            label: round((resident[label, many] - resident[label, few]) / (many - few) / 1024, 1)
            for label in dict.fromkeys(entry.label for entry in figures)
        }
        return _table(table, rows) | {"kib_per_endpoint": memory}
    return _table(table, rows)


def _table(table: Table, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"title": table.title, "parallel": table.parallel, "baseline": table.baseline, "rows": rows}


def find(data: Mapping[str, Any], side: Side) -> Mapping[str, Any] | None:
    """The row of one side of a comparison; None if it was not measured."""
    for row in data.get(side.table, {}).get("rows", ()):
        if row["label"] == side.label and row["endpoints"] == side.endpoints:
            found: Mapping[str, Any] = row
            return found
    return None


def bars_of(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How we stand to each bar whose both sides were measured."""
    found: list[dict[str, Any]] = []
    for bar in BARS:
        ours, theirs = find(data, bar.ours), find(data, bar.theirs)
        if ours is None or theirs is None:
            continue
        middle, low, high = ratios(ours["rounds"][bar.figure], theirs["rounds"][bar.figure])
        is_rate = bar.figure == "per_second"
        # The quietest round of each, too: a floor that other work has raised must not let us look good.
        quietest = max if is_rate else min
        calm = quietest(ours["rounds"][bar.figure]) / quietest(theirs["rounds"][bar.figure])
        found.append(
            {
                "text": bar.text,
                "limit": f"{'≥' if is_rate else '≤'} {bar.limit:g}",
                "ratio": middle,
                "low": low,
                "high": high,
                "quietest": round(calm, 3),
                "ours": ours[bar.figure],
                "theirs": theirs[bar.figure],
                "unit": "calls/s" if is_rate else "µs",
                "is_met": bar.is_met(middle) and bar.is_met(calm),
            }
        )
        if bar.figure == "cpu_us":
            found[-1]["wall_ratio"] = ratios(ours["rounds"]["wall_us"], theirs["rounds"]["wall_us"])[0]
    return found


def show(table: Mapping[str, Any], rounds: int) -> None:
    """Print one table."""
    busy = max((row["upstream_busy"] for row in table["rows"]), default=0)
    print(
        f"\n{table['title']}: {rounds} rounds; CPU and time per call in µs (ratios to {table['baseline']}, same round)"
    )
    print(
        f"{'':<34}{'CPU':>9}{'min-max':>14}{'ratio':>7}{'wall':>9}{'ratio':>7}{'calls/s':>9}"
        f"{'p50':>9}{'p99':>9}{'p99.9':>9}{'upstream':>9}"
    )
    for row in table["rows"]:
        label = row["label"] + (f", N = {row['endpoints']}" if "kib_per_endpoint" in table else "")
        spread = f"({row['cpu_us_min']:.0f}-{row['cpu_us_max']:.0f})"
        cpu, wall = row.get("cpu_us_ratio", [0])[0], row.get("wall_us_ratio", [0])[0]
        print(
            f"{label:<34}{row['cpu_us']:>9.1f}{spread:>14}{cpu:>7.2f}{row['wall_us']:>9.1f}{wall:>7.2f}"
            f"{row['per_second']:>9,}{row['p50_us']:>9.0f}{row['p99_us']:>9.0f}{row['p999_us']:>9.0f}"
            f"{row['upstream_busy']:>9.0%}"
        )
    for label, kib in table.get("kib_per_endpoint", {}).items():
        print(f"  memory for each endpoint with an idle connection, {label}: {kib} KiB")
    if busy > 0.9:
        print(f"  the upstream was busy for up to {busy:.0%} of the time: the highest rates are its own")


def show_bars(bars: Sequence[Mapping[str, Any]]) -> None:
    """Print how we stand to the bars."""
    if bars:
        print(f"\n{'the bars that we set ourselves':<54}{'bar':>8}{'ratio':>8}  half of the rounds, quietest")
    for bar in bars:
        spread = f"{bar['low']:.2f} to {bar['high']:.2f}, {bar['quietest']:.2f}"
        verdict = "met" if bar["is_met"] else "MISSED"
        print(f"{bar['text']:<54}{bar['limit']:>8}{bar['ratio']:>8.2f}  {spread}  {verdict}")
