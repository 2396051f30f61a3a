"""Writes what was measured into the docs: tables into the page on speed, and two charts."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chart import Bars, chart
from ladder import Step

__all__ = ["write"]

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "explanation" / "speed.md"
IMAGES = DOCS / "images"
BEGIN, END = "<!-- figures: made by benchmarks/calls.py --write -->", "<!-- end of figures -->"

Row = Mapping[str, Any]


def write(found: Mapping[str, Any], ladders: Mapping[str, Sequence[Step]]) -> None:
    """Put tables and charts in place.

    Raises:
        ValueError: The page has no place for them.
    """
    page = PAGE.read_text()
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no place for figures: {BEGIN!r} and {END!r}")
    PAGE.write_text(f"{before}{BEGIN}\n\n{figures(found, ladders)}\n{END}{after}")
    for name, picture in pictures(found["tables"]).items():
        (IMAGES / name).write_text(picture)


def figures(found: Mapping[str, Any], ladders: Mapping[str, Sequence[Step]]) -> str:
    """The generated part of the page."""
    parts = [
        (
            f"Measured with Python {platform.python_version()} on {platform.system()}, a virtual machine with "
            f"{os.cpu_count()} processors; {found['rounds']} rounds of {found['seconds']:g} s for each number. "
            "Yours will differ; the ratios will differ less.\n"
        ),
        "## The bars\n",
        (
            "Ratio: the median over the rounds, and between which two values the middle half of the rounds lies. "
            "Quietest: "
            "the best round of ours to the best of theirs. A bar counts as met only if both meet it.\n"
        ),
        "| bar | limit | ratio | middle half | quietest | |",
        "|---|---|---|---|---|---|",
        *[
            f"| {bar['text']} | {bar['limit']} | **{bar['ratio']:.2f}** | {bar['low']:.2f} to {bar['high']:.2f} "
            f"| {bar['quietest']:.2f} | {'met' if bar['is_met'] else '**missed**'} |"
            for bar in found["bars"]
        ],
        "",
    ]
    for title, steps in ladders.items():
        parts += [
            f"## Where the microseconds go: {title}\n",
            "| up to and with | CPU µs | this step |",
            "|---|---|---|",
            *[f"| {step.name} | {step.total:.1f} | {step.own:+.1f} |" for step in steps],
            "",
        ]
    parts.append("## All tables\n")
    for table in found["tables"].values():
        parts += _table(table)
    if found["left_out"]:
        parts.append(f"Left out, because not installed: {'; '.join(found['left_out'])}.\n")
    return "\n".join(parts)


def _table(table: Mapping[str, Any]) -> list[str]:
    rows: Sequence[Row] = table["rows"]
    memory: Mapping[str, float] = table.get("kib_per_endpoint", {})
    lines = [
        f"### {table['title'][0].upper()}{table['title'][1:]}\n",
        (
            f"| | CPU µs per call (min to max) | to {table['baseline']} | wall µs per call | calls/s | p50 µs | p99 µs "
            "| p99.9 µs | upstream busy |"
        ),
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        label = row["label"] + (f", {row['endpoints']}" if memory else "")
        label = f"**{label}**" if label.startswith("directlane") else label
        ratio = f"{row['cpu_us_ratio'][0]:.2f}" if "cpu_us_ratio" in row else ""
        lines.append(
            f"| {label} | {row['cpu_us']:.1f} ({row['cpu_us_min']:.0f} to {row['cpu_us_max']:.0f}) | {ratio} "
            f"| {row['wall_us']:.1f} | {row['per_second']:,} | {row['p50_us']:.0f} | {row['p99_us']:.0f} "
            f"| {row['p999_us']:.0f} | {row['upstream_busy']:.0%} |"
        )
    lines.append("")
    if memory:
        each = ", ".join(f"{label} {kib} KiB" for label, kib in memory.items())
        lines.append(
            "Resident memory of the process (1 KiB is noise; the kernel's buffers are not in it) for each further "
            f"endpoint with one idle connection: {each}.\n"
        )
    return lines


def pictures(tables: Mapping[str, Any]) -> dict[str, str]:
    """The charts by file name."""
    sync = ("raw socket loop", "directlane", "http.client", "urllib3", "directlane, httpx door", "httpx2.Client")
    sync = (*sync, "eas-prediction, plain", "httpx.Client")
    tasks = ("bare protocol", "directlane, async", "aiohttp", "directlane, async, httpx door", "httpx.AsyncClient")
    cpu = [
        _bars(tables["sync-1"], sync, "cpu_us", "CPU per call in µs, sync, one thread", "shorter is better"),
        _bars(tables["async-32"], tasks, "cpu_us", "CPU per call in µs, asyncio, 32 tasks", "shorter is better"),
    ]
    rate = [
        _bars(tables["sync-32"], sync, "per_second", "Calls per second, 32 threads", "longer is better"),
        _bars(tables["async-256"], tasks, "per_second", "Calls per second, asyncio, 256 tasks", "longer is better"),
    ]
    about = "directlane beside other clients: small JSON calls over loopback, {}"
    return {
        "speed-cpu.svg": chart(cpu, about.format("processor time for each")),
        "speed-rate.svg": chart(rate, about.format("calls per second")),
    }


def _bars(table: Mapping[str, Any], labels: Sequence[str], figure: str, title: str, note: str) -> Bars:
    found = {row["label"]: row[figure] for row in table["rows"]}
    rows = [(label.replace(", async", ""), found[label]) for label in labels if label in found]
    rows.sort(key=lambda row: row[1])
    if figure == "per_second":
        rows.reverse()
    return Bars(title, f"100-byte bodies over loopback, the caller's process alone; {note}", rows)
