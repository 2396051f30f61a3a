"""`directlane simulate`: what would another balancer do to my slowest calls? Calls nobody."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import click
from pydantic import ValidationError
from rich.text import Text

from ..config.ejection import NO_EJECTION, EjectionSettings
from ..config.load import load_file
from ..config.model import ServicePlan
from ..errors import ConfigError
from ..interfaces.balancer import Balancer
from ..os_reason import os_reason
from ..plugins.registry import load_plugins
from ..simulation import Recorded, Scenario, SimulationResult, simulate
from ..simulation.chart import chart
from ..simulation.stock import STOCK, stock_scenario
from .options import BadInput, found_config_file, json_option
from .output import console, new_table, say_error, write_json
from .simulate_options import chosen_keys, picture_path, rate_value, recorded_calls, scenario_name

__all__ = ["simulate_command"]

_NAMES = "\n".join(f"  {name:<25}{stock.summary}" for name, stock in STOCK.items())

_HELP = f"""Compare balancers in a simulated SCENARIO.

Those of the configuration with their settings, if there is one, and all installed ones with their default settings.

Virtual time, no network; every balancer meets the same calls, and the same seed gives the same figures.

\b
Scenarios (ten servers, calls of 1 s on average, four clients unless told otherwise):
{_NAMES}

\b
Examples:
  directlane simulate heavy-tail
  directlane simulate -c directlane.toml fail-for-a-time --attempts 2 --plot failure.svg
"""


@click.command(
    "simulate",
    help=_HELP,
    short_help="What would another balancer do?",
)
@click.option(
    "-c",
    "--config",
    "config_file",
    metavar="FILE",
    help="Try the balancers of this configuration as well. Default: what DIRECTLANE_CONFIG names, or "
    "./directlane.toml; none is needed.",
)
@click.argument("scenario", callback=scenario_name)
@click.option("--calls", type=click.IntRange(100, 1_000_000), default=20_000, show_default=True, help="How many calls.")
@click.option("--rate", type=float, callback=rate_value, help="Calls in a second. Default: the scenario's.")
@click.option("--clients", type=click.IntRange(1, 1000), help="How many clients. Default: the scenario's.")
@click.option(
    "--attempts",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="How many endpoints a call may try. With 1 the choice alone is measured.",
)
@click.option("--ejection", is_flag=True, help="Leave out endpoints that fail, with the default settings.")
@click.option(
    "--keys",
    type=click.IntRange(1, 1_000_000),
    help="How many affinity keys there are, all alike. Default: the scenario's, mostly 5,000.",
)
@click.option("--zipf", type=float, help="Let a few keys make most of the calls: the exponent, such as 1.1.")
@click.option(
    "--recorded",
    metavar="FILE",
    callback=recorded_calls,
    help="Take the calls from FILE: in each line `arrival,work` in seconds. They replace --calls and --rate.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of all chance.")
@click.option("--plot", metavar="FILE", callback=picture_path, help="Draw a chart, too: FILE ends with .svg.")
@json_option
def simulate_command(
    *,
    config_file: str | None,
    scenario: str,
    calls: int,
    rate: float | None,
    clients: int | None,
    attempts: int,
    ejection: bool,
    keys: int | None,
    zipf: float | None,
    recorded: Recorded | None,
    seed: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    setting = stock_scenario(
        scenario,
        calls=calls,
        rate=rate,
        clients=clients,
        attempts=attempts,
        ejection=EjectionSettings() if ejection else NO_EJECTION,
        keys=chosen_keys(keys, zipf),
        recorded=recorded,
    )
    balancers = _balancers(config_file)
    results = {label: simulate(setting, balancer, seed=seed) for label, balancer in balancers.items()}
    if plot is not None:
        _draw(plot, chart(f"Scenario {scenario}", _note(scenario, setting, seed, recorded), results))
    if as_json:
        rows = [_facts(label, result) for label, result in results.items()]
        facts = {
            "scenario": scenario,
            "seed": seed,
            "clients": setting.clients,
            "attempts": attempts,
            "ejection": ejection,
        }
        write_json({**facts, "balancers": rows})
    else:
        _show(results)


def _balancers(given: str | None) -> dict[str, Balancer]:
    """By label: those of the configuration, then the others that need no settings."""
    found = {_label(plan.balancer): plan.balancer for plan in _plans(given)}
    for model in load_plugins().balancers.values():
        try:
            balancer = model()
        except ValidationError:  # somebody's balancer that cannot be had without settings
            continue
        found.setdefault(_label(balancer), balancer)
    return found


def _plans(given: str | None) -> Iterable[ServicePlan]:
    """The services of the configuration. One that nobody named on the command line may be unfit: none is needed."""
    file = found_config_file(given)
    if file is None:
        return ()
    try:
        return load_file(file, environment=os.environ).services.values()
    except ConfigError:
        if given is not None:
            raise
        say_error(f"{file} cannot be used and is left out; see `directlane check -c {file}`", what="warning")
        return ()


def _label(balancer: Balancer) -> str:
    """Kind, and the settings that were given, as they stand in a file."""
    settings = balancer.model_dump(mode="json", exclude_defaults=True)
    inside = ", ".join(f"{name} = {json.dumps(value)}" for name, value in settings.items())
    return f"{balancer.kind} ({inside})" if inside else balancer.kind


def _note(name: str, setting: Scenario, seed: int, recorded: Recorded | None) -> str:
    """What a reader of a chart needs to make it again."""
    calls = f"{len(setting.arrivals):,} {'calls' if recorded is None else 'recorded calls'}"
    attempts = "1 attempt" if setting.attempts == 1 else f"up to {setting.attempts} attempts"
    ejection = ", with ejection" if setting.ejection.enabled else ""
    return f"{STOCK[name].summary} {calls} by {setting.clients} clients, {attempts} each{ejection}, seed {seed}."


def _draw(path: Path, picture: str) -> None:
    try:
        path.write_text(picture, "utf-8")
    except OSError as error:
        raise BadInput(f"cannot write {path}: {os_reason(error)}\nNext: give another file with --plot.") from None


def _facts(label: str, result: SimulationResult) -> Mapping[str, object]:
    answered = bool(result.answered)  # without an answer there are no latencies, and JSON knows no NaN
    return {
        "balancer": label,
        "calls": result.calls,
        "answered": result.answered,
        "failed": result.failed,
        "nobody": result.nobody,
        "attempts": result.attempts,
        "mean": result.mean if answered else None,
        "p50": result.p50 if answered else None,
        "p90": result.percentile(90) if answered else None,
        "p99": result.p99 if answered else None,
        "p99.9": result.percentile(99.9) if answered else None,
        "shares": result.shares,
        "fair_shares": {name: server.fair_share for name, server in result.servers.items()},
        "worst_deviation": result.worst_deviation,
        "kept": None if math.isnan(result.kept) else result.kept,
        "backlog": result.backlog,
    }


def _show(results: Mapping[str, SimulationResult]) -> None:
    table = new_table(
        "balancer", ">mean", ">p50", ">p90", ">p99", ">p99.9", ">failed", ">off share", ">keys kept", ">backlog"
    )
    for label, result in results.items():
        seconds = (result.mean, result.p50, result.percentile(90), result.p99, result.percentile(99.9))
        table.add_row(
            Text(label),
            *("none" if math.isnan(value) else f"{value:.1f} s" for value in seconds),
            f"{(result.failed + result.nobody) / result.calls:.2%}",
            f"{result.worst_deviation:.0%}",
            "none" if math.isnan(result.kept) else f"{result.kept:.0%}",
            str(result.backlog),
        )
    console().print(table)
    console().print(
        Text(
            "off share: how far the share of a server is off what its weight says, at worst.\n"
            "keys kept: calls with a known key that went where the key was answered last.\n"
            "backlog: calls that were open when the last one came. If it is large, latencies grow without end.",
            "dim",
        )
    )
