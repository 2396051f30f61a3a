"""`directlane simulate`: what would another balancer do to my slowest calls? Calls nobody."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import click
from pydantic import ValidationError
from rich.text import Text

from ..config.load import load_file
from ..config.model import Config
from ..interfaces.balancer import Balancer
from ..plugins.registry import load_plugins
from ..simulation import Recorded, SimulationResult, simulate
from ..simulation.stock import STOCK, stock_scenario
from .options import BadInput, config_option, json_option
from .output import console, new_table, write_json

__all__ = ["simulate_command"]

_NAMES = "\n".join(f"  {name:<14}{stock.summary}" for name, stock in STOCK.items())

_HELP = f"""Compare balancers in a simulated SCENARIO.

Those of the configuration with their settings, and all other installed ones with their default settings.

Virtual time, no network; every balancer meets the same calls.

\b
Scenarios (ten servers, calls of 1 s on average, four clients):
{_NAMES}

\b
Example:
  directlane simulate -c directlane.toml heavy_tail
"""


@click.command("simulate", help=_HELP, short_help="What would another balancer do?")
@config_option
@click.argument("scenario", type=click.Choice(list(STOCK)))
@click.option("--calls", type=click.IntRange(100, 1_000_000), default=20_000, show_default=True, help="How many calls.")
@click.option("--clients", type=click.IntRange(1, 1000), help="How many clients. Default: the scenario's.")
@click.option("--recorded", metavar="FILE", help="Take the calls from FILE: in each line `arrival,work` in seconds.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of all chance.")
@json_option
def simulate_command(
    *, config_file: str, scenario: str, calls: int, clients: int | None, recorded: str | None, seed: int, as_json: bool
) -> None:
    config = load_file(config_file, environment=os.environ)
    arrivals = None if recorded is None else _recorded(Path(recorded))
    setting = stock_scenario(scenario, calls=calls, clients=clients, arrivals=arrivals)
    results = {label: simulate(setting, balancer, seed=seed) for label, balancer in _balancers(config).items()}
    if as_json:
        rows = [_facts(label, result) for label, result in results.items()]
        write_json({"scenario": scenario, "seed": seed, "clients": setting.clients, "balancers": rows})
    else:
        _show(results)


def _balancers(config: Config) -> dict[str, Balancer]:
    """By label: those of the configuration, then the others that need no settings."""
    found = {_label(plan.balancer): plan.balancer for plan in config.services.values()}
    for model in load_plugins().balancers.values():
        try:
            balancer = model()
        except ValidationError:  # somebody's balancer that cannot be had without settings
            continue
        found.setdefault(_label(balancer), balancer)
    return found


def _label(balancer: Balancer) -> str:
    """Kind, and the settings that were given."""
    settings = balancer.model_dump(mode="json", exclude_defaults=True)
    inside = ", ".join(f"{name} = {value}" for name, value in settings.items())
    return f"{balancer.kind} ({inside})" if inside else balancer.kind


def _recorded(path: Path) -> Recorded:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"cannot read {path}: {error}\nNext: give a text file with `arrival,work` in each line."
        ) from None
    calls: list[tuple[float, float]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            arrival, work = map(float, line.split(","))
        except ValueError:
            raise BadInput(f"{path}, line {number}: not two numbers\nNext: write `arrival,work` in seconds.") from None
        calls.append((arrival, work))
    if not calls:
        raise BadInput(f"{path} holds no call\nNext: write `arrival,work` in seconds, a line for each call.")
    try:
        return Recorded(calls)
    except ValueError as error:
        raise BadInput(f"{path}: {error}\nNext: correct the file.") from None


def _facts(label: str, result: SimulationResult) -> Mapping[str, object]:
    answered = bool(result.answered)  # without an answer there are no latencies, and JSON knows no NaN
    return {
        "balancer": label,
        "calls": result.calls,
        "answered": result.answered,
        "failed": result.failed,
        "mean": result.mean if answered else None,
        "p50": result.p50 if answered else None,
        "p90": result.percentile(90) if answered else None,
        "p99": result.p99 if answered else None,
        "shares": result.shares,
        "backlog": result.backlog,
    }


def _show(results: Mapping[str, SimulationResult]) -> None:
    table = new_table("balancer", ">mean", ">p50", ">p90", ">p99", ">failed", ">least share", ">most share", ">backlog")
    for label, result in results.items():
        seconds = (result.mean, result.p50, result.percentile(90), result.p99)
        shares = result.shares.values()
        table.add_row(
            Text(label),
            *(f"{value:.1f} s" for value in seconds),
            f"{result.failed / result.calls:.2%}",
            f"{min(shares):.1%}",
            f"{max(shares):.1%}",
            str(result.backlog),
        )
    console().print(table)
    console().print(
        Text("backlog: calls that were open when the last one came. If it is large, latencies grow without end.", "dim")
    )
