"""`directlane doctor`: why do calls not get through?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

import click
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..config.load import load_file
from ..config.model import Config
from ..diagnosis.doctor import examine, of_bad_config, of_config
from ..errors import ConfigError, UnknownServiceError
from ..interfaces.finding import Finding, Level
from ..plugins.registry import nearest
from .options import config_option, json_option
from .output import console, write_json

__all__ = ["doctor"]

_PROBLEMS = 1
_SIGNS = {
    Level.OK: ("✓", "bold green"),
    Level.NOTE: ("·", "bold cyan"),
    Level.WARNING: ("!", "bold yellow"),
    Level.PROBLEM: ("✗", "bold red"),
}
_WORST = (Level.PROBLEM, Level.WARNING, Level.NOTE)
_SHOWN = 6
"""So many things with the same finding stand in one line."""

_LONGEST = 72
_HEAD = 40
"""Letters of a URL that are shown, and how many of them are its beginning."""

_HELP = """Look at everything that must work before a call can: the configuration, the store, the names and answers of
the control planes, credentials, the clock, and each instance. Every finding comes with its likely cause and the next
step.

Each control plane is asked once, within its rate limits; each instance gets one connection and one GET. The exit status
is 0 if there is no problem, and 1 if there is one.

\b
Example:
  directlane doctor -c directlane.toml --service scorecard
"""


@click.command(help=_HELP, short_help="Why do calls not get through?")
@config_option
@click.option("--service", metavar="NAME", help="Look at this service only. Default: all.")
@json_option
def doctor(*, config_file: str, service: str | None, as_json: bool) -> int:
    try:
        config = load_file(config_file, environment=os.environ)
    except ConfigError as error:
        findings = of_bad_config(error)
        source, titles = error.source, dict[tuple[str, str], str]()
    else:
        names = _wanted(config, service)
        findings = [*of_config(config), *examine(config, names)]
        source, titles = config.source, _titles(config)
    if as_json:
        write_json({"config": source, "counts": _counts(findings), "findings": [_facts(each) for each in findings]})
    else:
        _show(source, findings, titles)
    return _PROBLEMS if any(finding.level is Level.PROBLEM for finding in findings) else 0


def _wanted(config: Config, service: str | None) -> list[str]:
    if service is None:
        return list(config.services)
    if service not in config.services:
        raise UnknownServiceError(service, list(config.services), nearest(service, config.services))
    return [service]


def _titles(config: Config) -> dict[tuple[str, str], str]:
    return {
        (plan.name, route.name): route.provider.facts.title
        for plan in config.services.values()
        for route in plan.routes
    }


def _counts(findings: Sequence[Finding]) -> dict[str, int]:
    return {level.value: sum(finding.level is level for finding in findings) for level in Level}


def _facts(finding: Finding) -> dict[str, object]:
    return {
        "level": finding.level.value,
        "check": finding.check,
        "code": finding.code,
        "service": finding.service,
        "route": finding.route,
        "about": finding.about,
        "found": finding.found,
        "cause": finding.cause or None,
        "next": finding.next or None,
        "advice": finding.advice or None,
        "seconds": None if finding.seconds is None else round(finding.seconds, 4),
    }


def _show(source: str, findings: Sequence[Finding], titles: dict[tuple[str, str], str]) -> None:
    out = console()
    place: tuple[str, str] | None = None
    out.print(Text(source, style="bold"))
    for group in _groups(findings):
        first = group[0]
        here = (first.service, first.route) if first.service is not None and first.route is not None else None
        if here is not None and here != place:
            out.print()
            out.print(
                Text.assemble((here[0], "bold cyan"), "  ", (f"{here[1]}  {titles.get(here, '')}".rstrip(), "dim"))
            )
        place = here
        _show_group(group)
    out.print()
    out.print(_summary(findings))


def _groups(findings: Sequence[Finding]) -> Iterator[list[Finding]]:
    """Neighbours that say the same, of different things."""
    group: list[Finding] = []
    for finding in findings:
        if group and _sameness(group[0]) != _sameness(finding):
            yield group
            group = []
        group.append(finding)
    if group:
        yield group


def _sameness(finding: Finding) -> Finding:
    return replace(finding, about="", seconds=None)


def _show_group(group: Sequence[Finding]) -> None:
    out, first = console(), group[0]
    sign, style = _SIGNS[first.level]
    abouts = [_short(finding.about) for finding in group if finding.about]
    more = f" and {len(abouts) - _SHOWN} more" if len(abouts) > _SHOWN else ""
    about = ", ".join(abouts[:_SHOWN]) + more
    found = Text.assemble((about, "bold" if first.level is not Level.OK else ""), ": " if about else "", first.found)
    slowest = max((finding.seconds for finding in group if finding.seconds is not None), default=None)
    if slowest is not None:
        found.append(f"  {_milliseconds(slowest)}", style="dim")
    grid = _grid()
    grid.add_row(Text(sign, style=style), Text(first.check, style="dim"), found)
    if first.level is not Level.OK:
        for word, text in (("likely", first.cause), ("cloud", first.advice), ("next", first.next)):
            if text:
                body = Text.assemble((f"{word}: ", "dim"), text)
                grid.add_row("", "", body)
    out.print(Padding(grid, (0, 0, 0, 2), expand=False))


def _short(about: str) -> str:
    """A long URL without its middle: both ends tell more."""
    return about if len(about) <= _LONGEST else f"{about[:_HEAD]}...{about[_HEAD - _LONGEST + 3 :]}"


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=1)
    grid.add_column(width=13, no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds < 0.1 else f"{seconds * 1e3:.0f} ms"


def _summary(findings: Sequence[Finding]) -> Text:
    counts = _counts(findings)
    parts = [
        f"{counts[level.value]} {level.value}{'s' * (counts[level.value] != 1)}"
        for level in _WORST
        if counts[level.value]
    ]
    worst = next((level for level in _WORST if counts[level.value]), Level.OK)
    sign, style = _SIGNS[worst if worst is not Level.NOTE else Level.OK]
    return Text.assemble((f"{sign} ", style), ", ".join(parts) or "all is well")
