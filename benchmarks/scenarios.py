"""What every balancer makes of every scenario, over eight seeds. Writes the tables of a page of the docs.

    python benchmarks/scenarios.py [--calls N] [--seeds N] [--page FILE]

Virtual time: the figures do not depend on the machine, and the same version gives the same tables. It takes some
minutes. The text around the tables is written by hand; look at it again when they change.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from random import Random
from typing import ClassVar

from directlane.balancers.consistent_hash import ConsistentHash
from directlane.balancers.least_loaded import LeastLoaded
from directlane.balancers.random import WeightedRandom
from directlane.balancers.sticky import Sticky
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.config.ejection import EjectionSettings
from directlane.core.interfaces.balancer import Balancer, BuildContext, Member, Picker, PickInfo
from directlane.core.simulation import simulate
from directlane.core.simulation.stock import STOCK, stock_scenario

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "balancers-compared.md"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
FAILING = ("fail-for-a-time", "fail-for-good", "black-hole", "fast-failure")
TIE = 1.1
"""Within 10% of the best: chance, or nothing that matters."""
DIVERGES = 10.0
"""Open calls for each slot when the last call comes, from which on a queue is taken to grow without end."""


class TwoChoices(Balancer):
    """For comparison: two different endpoints by chance, the one with fewer open calls (Mitzenmacher, 2001)."""

    kind: ClassVar[str] = "two choices"

    def build(self, members: Sequence[Member], context: BuildContext) -> Picker:
        return _Two(members, context.random)


class _Two:
    def __init__(self, members: Sequence[Member], random: Random) -> None:
        self._members = members
        self._random = random

    def pick(self, info: PickInfo) -> Member | None:
        members = [member for member in self._members if member.endpoint.id not in info.excluded]
        if len(members) < 2:
            return members[0] if members else None
        return min(self._random.sample(members, 2), key=lambda member: member.load.open_calls)


OURS: Sequence[Balancer] = (WeightedRoundRobin(), WeightedRandom(), LeastLoaded(), ConsistentHash())
"""Those that are judged."""
BESIDE: Sequence[Balancer] = (Sticky(), TwoChoices())
"""Measured and not judged: four clients use four of ten servers with the one, and the other is not ours."""
ALL: Mapping[str, Balancer] = {balancer.kind: balancer for balancer in (*OURS, *BESIDE)}


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one run, small enough to come back from another process."""

    p50: float
    p99: float
    p999: float
    failed: float
    deviation: float
    kept: float
    backlog: float


def measured(job: tuple[str, str, int, int, bool]) -> Figures:
    """One run: scenario, balancer, seed, calls, with or without ejection."""
    name, kind, seed, calls, is_ejecting = job
    scenario = stock_scenario(name, calls=calls, ejection=EjectionSettings(enabled=is_ejecting))
    result = simulate(scenario, ALL[kind], seed=seed)
    slots = sum(server.slots for server in scenario.servers if server.leaves_at == math.inf)
    return Figures(
        p50=result.p50,
        p99=result.p99,
        p999=result.percentile(99.9),
        failed=(result.failed + result.nobody) / result.calls,
        deviation=result.worst_deviation,
        kept=result.kept,
        backlog=result.backlog / slots,
    )


Runs = Mapping[tuple[str, str], Sequence[Figures]]
"""Of each seed, by scenario and balancer."""


def all_runs(
    processes: ProcessPoolExecutor, names: Iterable[str], seeds: Sequence[int], calls: int, *, is_ejecting: bool
) -> Runs:
    """These scenarios with every balancer."""
    cases = list(product(names, ALL))
    jobs = [(*case, seed, calls, is_ejecting) for case in cases for seed in seeds]
    found = processes.map(measured, jobs, chunksize=8)
    return {case: [next(found) for _ in seeds] for case in cases}


def mean(runs: Sequence[Figures], value: Callable[[Figures], float]) -> float:
    return math.fsum(map(value, runs)) / len(runs)


def verdicts(runs: Runs, name: str, value: Callable[[Figures], float]) -> dict[str, tuple[str, int]]:
    """For each of our balancers: what it is by the mean, and in how many seeds it is the best or ties with it."""
    means = {each.kind: mean(runs[name, each.kind], value) for each in OURS}
    best = min(means.values())
    near = [kind for kind, figure in means.items() if figure <= best * TIE]
    rounds = list(zip(*(runs[name, each.kind] for each in OURS), strict=True))
    found: dict[str, tuple[str, int]] = {}
    for place, kind in enumerate(means):
        word = "loses" if kind not in near else "wins" if len(near) == 1 else "ties"
        found[kind] = word, sum(value(each[place]) <= TIE * min(map(value, each)) for each in rounds)
    return found


def summary(runs: Runs, value: Callable[[Figures], float], form: Callable[[Sequence[Figures]], str]) -> list[str]:
    """A row for each scenario in which the balancers differ in this figure at all."""
    names = " | ".join(f"`{each.kind}`" for each in OURS)
    lines = [f"| scenario | {names} | two choices |", "|---" * (len(OURS) + 2) + "|"]
    for name in dict.fromkeys(name for name, _ in runs):
        if not any(value(figures) for each in OURS for figures in runs[name, each.kind]):
            continue
        cells: list[str] = []
        for kind, (word, seeds) in verdicts(runs, name, value).items():
            text = form(runs[name, kind])
            cells.append(f"**{text}** {word} {seeds}" if word == "wins" else f"{text} {word} {seeds}")
        cells.append(form(runs[name, "two choices"]))
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return lines


def seconds(runs: Sequence[Figures], value: Callable[[Figures], float]) -> str:
    if mean(runs, lambda figures: figures.backlog) > DIVERGES:
        return "grows"
    figure = mean(runs, value)
    return f"{figure:.1f}" if figure < 100 else f"{figure:.0f}"


def share(figure: float) -> str:
    return "-" if math.isnan(figure) else f"{figure:.2%}" if 0 < figure < 0.01 else f"{figure:.0%}"


def details(runs: Runs) -> list[str]:
    lines = ["| scenario | balancer | p50 | p99 | p99.9 | failed | off share | keys kept |", "|---" * 8 + "|"]
    for name, kind in product(STOCK, ALL):
        found = runs[name, kind]
        times = [
            seconds(found, lambda figures: figures.p50),
            seconds(found, lambda figures: figures.p99),
            seconds(found, lambda figures: figures.p999),
        ]
        shares = [
            share(mean(found, lambda figures: figures.failed)),
            share(mean(found, lambda figures: figures.deviation)),
            share(mean(found, lambda figures: figures.kept)),
        ]
        label = f"`{kind}`" if kind != "two choices" else kind
        lines.append(f"| `{name}` | {label} | {' | '.join((*times, *shares))} |")
    return lines


def failures(runs: Runs) -> list[str]:
    """The table of failed calls."""
    return summary(
        runs, lambda figures: figures.failed, lambda found: f"{mean(found, lambda figures: figures.failed):.2%}"
    )


def tables(runs: Runs, ejecting: Runs) -> str:
    """The generated part of the page."""
    parts = [
        "### The slowest calls",
        "The 99th percentile, in service times.",
        "\n".join(
            summary(runs, lambda figures: figures.p99, lambda found: seconds(found, lambda figures: figures.p99))
        ),
        "### Failed calls",
        "Only the scenarios in which calls fail; with one attempt for each call.",
        "\n".join(failures(runs)),
        "### Failed calls, with ejection",
        "The same with `--ejection`, as calls are made by default.",
        "\n".join(failures(ejecting)),
        "### Keys kept",
        "More is better.",
        "\n".join(
            summary(
                runs,
                lambda figures: 1 / figures.kept,  # less is better, as with all that is judged here
                lambda found: f"{mean(found, lambda figures: figures.kept):.0%}",
            )
        ),
        "### Off share",
        "\n".join(
            summary(
                runs,
                lambda figures: figures.deviation,
                lambda found: f"{mean(found, lambda figures: figures.deviation):.1%}",
            )
        ),
        "### Everything",
        "\n".join(details(runs)),
    ]
    return "\n\n".join(parts)


def main() -> None:
    """Run all and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--page", type=Path, default=PAGE)
    arguments = parser.parse_args()
    seeds = range(1, arguments.seeds + 1)
    with ProcessPoolExecutor() as processes:
        runs = all_runs(processes, STOCK, seeds, arguments.calls, is_ejecting=False)
        ejecting = all_runs(processes, FAILING, seeds, arguments.calls, is_ejecting=True)
    before, _, rest = arguments.page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        parser.error(f"{arguments.page} has no part between {BEGIN!r} and {END!r}")
    arguments.page.write_text(f"{before}{BEGIN}\n\n{tables(runs, ejecting)}\n\n{END}{after}", "utf-8")
    print(f"wrote {arguments.page}")


if __name__ == "__main__":
    main()
