"""`directlane demo`: two emulated clouds, real traffic, a dying instance, broken discovery; and nobody notices."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live

from ..client import Client
from ..plugins.registry import load_plugins
from .clouds import CLOUDS, check_place, config_text, environment_of, started, write_config
from .demo_run import Demo, Frame
from .demo_view import FrameView, event_line, summary, totals_line
from .options import duration_value, json_option
from .output import console, write_json
from .signals import Terminated, terminable

__all__ = ["demo", "prepared"]

_FILE = "directlane-demo.toml"
_INSTANCES = 3
_FRAMES_PER_SECOND = 10
_FAILED = 1
_TERMINATED = 143

_HELP = """See it work. Starts two emulated clouds on loopback with three instances each, every one a process of its
own, and calls both through one client. A third of the way one instance is killed; half-way discovery breaks, and is
mended later. No call fails.

The configuration that it uses is written to ./directlane-demo.toml, to read and to copy. The exit status is 1 if a
call failed.

\b
Examples:
  directlane demo
  directlane demo --seconds 30
  directlane demo --seconds 5 --json
"""


@click.command(help=_HELP, short_help="See it work, with two emulated clouds.")
@click.option(
    "--seconds", metavar="N", default="12", show_default=True, callback=duration_value, help="How long; 1 or more."
)
@click.option(
    "-o", "--output", metavar="FILE", default=_FILE, show_default=True, help="Where to write the configuration."
)
@json_option
def demo(*, seconds: float, output: str, as_json: bool) -> int:
    if seconds < 1:
        raise click.BadParameter("the demo needs 1 second at least", param_hint="'--seconds'")
    try:
        with terminable(), prepared(seconds, output) as show:
            if as_json:
                frame = _in_silence(show)
            elif console().is_terminal:
                frame = _live(show, console())
            else:
                frame = _plain(show, console())
    except Terminated:
        return _TERMINATED
    if as_json:
        write_json(_facts(frame, output))
    else:
        out = console()
        out.print()
        out.print(summary(frame, output))
    return _FAILED if frame.total.failed else 0


@contextmanager
def prepared(seconds: float, output: str) -> Generator[Demo, None, None]:
    """A demo with everything that it needs: running clouds, the configuration file, a client.

    Args:
        seconds: How long it will take.
        output: Where to write the configuration.
    """
    # Few enough questions for a cloud that allows 20 a minute, and several while discovery is broken.
    interval = min(5.0, max(0.05, seconds / 12))
    discovery = {"interval": _duration(interval), "timeout": _duration(min(3.0, max(0.4, interval / 2)))}
    check_place(Path(output))
    with started(load_plugins(), tuple(CLOUDS), _INSTANCES) as clouds:
        write_config(Path(output), config_text(clouds, command="demo", file=output, discovery=discovery))
        environment = {**os.environ, **environment_of(clouds)}
        with Client.from_file(output, environment=environment) as client:
            yield Demo(client, clouds, seconds)


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f}ms" if seconds < 1 else f"{seconds:g}s"


def _in_silence(show: Demo) -> Frame:
    with show.running():
        while not show.is_over:
            show.wait(1 / _FRAMES_PER_SECOND)
            show.frame()
    return show.frame()


def _live(show: Demo, out: Console) -> Frame:
    with show.running(), Live(console=out, auto_refresh=False, transient=False) as live:
        while not show.is_over:
            live.update(FrameView(show.frame()), refresh=True)
            show.wait(1 / _FRAMES_PER_SECOND)
        live.update(FrameView(show.frame()), refresh=True)
    return show.frame()


def _plain(show: Demo, out: Console) -> Frame:
    """Line by line, for a pipe or a file: each event, and the figures once a second."""
    told = 0
    next_second = 1.0
    with show.running():
        while True:
            frame = show.frame()
            for event in frame.events[told:]:
                out.print(event_line(event, 10_000), soft_wrap=True)
            told = len(frame.events)
            if frame.elapsed >= next_second:
                next_second = int(frame.elapsed) + 1.0
                line = totals_line(frame)
                out.print(f"{frame.elapsed:5.1f} s     {line.plain}", soft_wrap=True)
            if show.is_over:
                break
            show.wait(1 / _FRAMES_PER_SECOND)
    frame = show.frame()
    out.print()
    out.print(FrameView(frame, events="none"))  # they were told already
    return frame


def _facts(frame: Frame, config: str) -> dict[str, object]:
    total = frame.total
    rows = [(service.name, row) for service in frame.services for row in service.rows]
    return {
        "seconds": frame.seconds,
        "requests": total.requests,
        "failed": total.failed,
        "retried": total.retried,
        "p50_ms": _rounded(total.latencies.percentile(0.5)),
        "p99_ms": _rounded(total.latencies.percentile(0.99)),
        "discovery_failures": frame.discovery_failures,
        "per_endpoint": {
            row.id: {
                "service": service,
                "state": row.state,
                "calls": row.calls,
                "mean_ms": _rounded(row.mean_ms),
                "errors": row.errors,
            }
            for service, row in rows
        },
        "services": [
            {
                "name": service.name,
                "cloud": service.title,
                "requests": service.tally.requests,
                "failed": service.tally.failed,
                "retried": service.tally.retried,
                "p50_ms": _rounded(service.tally.latencies.percentile(0.5)),
                "p99_ms": _rounded(service.tally.latencies.percentile(0.99)),
                "discovery_failures": service.discovery_failures,
                "list_age_s": _rounded(service.list_age),
            }
            for service in frame.services
        ],
        "events": [{**asdict(event), "at": round(event.at, 3)} for event in frame.events],
        "config": config,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
