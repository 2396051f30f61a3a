"""`directlane check`: is a configuration right? Asks nobody on the network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import cast

import click
from rich.text import Text

from ..config.load import load_file
from ..config.model import Config, RoutePlan, ServicePlan
from ..errors import ConfigProblem
from ..fields import format_duration
from .options import config_option, json_option
from .output import console, new_table, write_json

__all__ = ["check"]

_HELP = """Load a configuration, resolve its references, and show what comes of it. Nothing is asked on the network.

Tells every mistake at once, with its place; then the exit status is 2. Warnings, such as a secret that is written in
clear or a plug-in that cannot be loaded, do not change the exit status.

\b
Example:
  directlane check -c directlane.toml
"""


@click.command(help=_HELP, short_help="Is this configuration right?")
@config_option
@json_option
def check(*, config_file: str, as_json: bool) -> None:
    config = load_file(config_file, environment=os.environ)
    if as_json:
        write_json(_facts(config))
    else:
        _show(config)


def _facts(config: Config) -> dict[str, object]:
    return {
        "config": config.source,
        "store": None if config.store is None else str(config.store),
        "services": [_service_facts(plan) for plan in config.services.values()],
        "warnings": [
            {"path": problem.path, "line": problem.line, "column": problem.column, "message": problem.message}
            for problem in config.warnings
        ],
    }


def _service_facts(plan: ServicePlan) -> dict[str, object]:
    return {
        "name": plan.name,
        "balancer": plan.balancer.kind,
        "transport": plan.transport.kind,
        "calls": plan.calls.model_dump(mode="json"),
        "discovery": plan.discovery.model_dump(mode="json"),
        "routes": [
            {
                "name": route.name,
                "provider": route.provider.kind,
                "tier": route.tier,
                "weight": route.weight,
                "settings": _settings(route),
            }
            for route in plan.routes
        ],
    }


def _settings(route: RoutePlan) -> dict[str, object]:
    """What the file says about a route's provider. A secret shows as its reference, or masked."""
    return cast("dict[str, object]", route.provider.model_dump(mode="json", exclude_unset=True, by_alias=True))


def _show(config: Config) -> None:
    out = console()
    count = len(config.services)
    out.print(Text.assemble(("✓ ", "bold green"), (config.source, "bold"), f": {count} service{'s' * (count != 1)}"))
    if config.store is not None:
        out.print(Text.assemble(("  shares through ", "dim"), str(config.store)))
    for plan in config.services.values():
        out.print()
        limits = f"{plan.balancer.kind} over {plan.transport.kind}"
        limits += f", timeout {format_duration(plan.calls.timeout)}, {plan.calls.attempts} attempts"
        limits += f", asks every {format_duration(plan.discovery.interval)}"
        out.print(Text.assemble((plan.name, "bold cyan"), "  ", (limits, "dim")))
        table = new_table("route", "provider", ">tier", ">weight", "settings")
        for route in plan.routes:
            table.add_row(route.name, route.provider.kind, str(route.tier), str(route.weight), _brief(_settings(route)))
        out.print(table)
    if config.warnings:
        out.print()
    for problem in config.warnings:
        out.print(Text.assemble(("! ", "bold yellow"), _place(problem, config.source), problem.message), soft_wrap=True)


def _brief(settings: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {_plain(value)}" for key, value in settings.items())


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + _brief(cast("Mapping[str, object]", value)) + "}"
    if isinstance(value, list):
        return f"[{', '.join(_plain(item) for item in cast('list[object]', value))}]"
    return str(value)


def _place(problem: ConfigProblem, source: str) -> str:
    line = f"{source}:{problem.line}: " if problem.line is not None else ""
    return f"{line}{problem.path}: " if problem.path else line
