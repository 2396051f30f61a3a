"""Our balancers through the shipped pool, beside the schedulers that others use (`rivals.py`).

    python benchmarks/schedulers.py [--quick] [--write]

Evenness, time per pick, time of a rebuild, memory per endpoint, and the bars that we set ourselves. Nothing is
asserted: times are the machine's, ratios matter. Each is processor time, the best of several rounds, since whatever
else runs on the machine only adds to it. `--write` puts everything into docs/explanation/schedulers.md.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from random import Random

from rivals import RIVALS, Rival, TwoChoices

from directlane.balancers.consistent_hash import ConsistentHash
from directlane.balancers.least_loaded import LeastLoaded
from directlane.balancers.random import WeightedRandom
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.clock import SYSTEM_CLOCK
from directlane.core.endpoint import Endpoint
from directlane.core.interfaces.balancer import ANY, Balancer, PickInfo
from directlane.core.pool.pool import Pool
from directlane.core.pool.statistics import Lease

PAGE = Path(__file__).resolve().parent.parent / "docs" / "explanation" / "schedulers.md"
BEGIN, END = "<!-- figures: made by benchmarks/schedulers.py --write -->", "<!-- end of figures -->"

SIZES = (3, 10, 100, 1_000, 10_000)
STARTS = 20
VECTORS: dict[str, list[int]] = {
    "5:1:1": [5, 1, 1],
    "9 and nine 1s": [9] + [1] * 9,
    "1 to 10": list(range(1, 11)),
    "99 and ninety-nine 1s": [99] + [1] * 99,
}
KEYS = [PickInfo(key=b"user-%d" % number) for number in range(10_000)]

OURS: dict[str, Balancer] = {
    "weighted_round_robin": WeightedRoundRobin(),
    "random": WeightedRandom(),
    "least_loaded": LeastLoaded(),
    "consistent_hash": ConsistentHash(),
}
TABLES_OF_KEYS: dict[str, Balancer] = {
    "consistent_hash, rendezvous": ConsistentHash(algorithm="rendezvous"),
    "consistent_hash, ring": ConsistentHash(algorithm="ring"),
    "consistent_hash, maglev": ConsistentHash(algorithm="maglev"),
}

Column = str | float
Row = tuple[str, Sequence[Column]]


@dataclass(frozen=True, slots=True)
class Table:
    """One table, for people.

    Args:
        title: Its heading.
        head: Names of the columns, the first one's included.
        rows: Name and cells. Our own names begin with that of a balancer.
        note: What to know about it.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Row]
    note: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar that we set ourselves: met if the figure is not above the limit."""

    text: str
    limit: float
    figure: float
    unit: str


# --- what is measured -------------------------------------------------------------------------------------------------


class Speed:
    """How long to measure. `--quick`: a first look."""

    def __init__(self, *, quick: bool) -> None:
        self.rounds = 3 if quick else 9
        self.seconds = 0.003 if quick else 0.02
        self.sizes = SIZES[:-1] if quick else SIZES

    def best(self, work: Callable[[], object]) -> float:
        """Seconds of the quickest round. What takes longer than a fifth of a second is not repeated as often."""
        times: list[float] = []
        while len(times) < self.rounds and sum(times) < 0.6:
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
        return min(times)

    def per_pick(self, pick: Callable[[], object]) -> float:
        """Nanoseconds per pick; the loop costs next to nothing."""
        once = max(self.best(pick), 1e-8)
        picks = max(1, int(self.seconds / once))
        return self.best(partial(_exhaust, pick, picks)) / picks * 1e9

    def per_pick_of(self, pool: Pool[None], infos: Sequence[PickInfo]) -> float:
        """The same for a pool that gets these calls, one after the other."""
        picks = len(infos)

        def work() -> None:
            pick = pool.pick
            for info in infos:
                pick(info)

        return self.best(work) / picks * 1e9


def _exhaust(pick: Callable[[], object], picks: int) -> None:
    for _ in range(picks):
        pick()


def weights_for(size: int) -> list[int]:
    """Weights from 1 to 10, by chance (seed 1)."""
    chance = Random(1)
    return [chance.randint(1, 10) for _ in range(size)]


def endpoints(weights: Iterable[int | None]) -> list[Endpoint]:
    """Endpoints with these weights."""
    return [Endpoint("10.0.0.1", 80, id=f"e{place:05}", weight=weight) for place, weight in enumerate(weights)]


def _nothing(endpoint: Endpoint) -> None:
    """What the pool keeps for an endpoint beside its own: no connections here."""
    del endpoint


def pool_of(balancer: Balancer, listed: Sequence[Endpoint], seed: int = 1) -> Pool[None]:
    """The shipped pool over these endpoints."""
    pool: Pool[None] = Pool(balancer, _nothing, SYSTEM_CLOCK, Random(seed))
    pool.update(listed)
    return pool


def deviations(places: Sequence[int], weights: Sequence[int]) -> tuple[float, float]:
    """How far anybody is from its share at most: counted from the first pick, and in any stretch."""
    total = sum(weights)
    from_first = stretch = 0.0
    for place, weight in enumerate(weights):
        had, lowest, highest = 0, 0.0, 0.0
        for step, picked in enumerate(places, 1):
            if picked == place:
                lowest = min(lowest, had - (step - 1) * weight / total)  # just before a pick it is furthest behind
                had += 1
                highest = max(highest, had - step * weight / total)
        lowest = min(lowest, had - len(places) * weight / total)
        from_first = max(from_first, highest, -lowest)
        stretch = max(stretch, highest - lowest)
    return from_first, stretch


def evenness(first_picks: Callable[[list[int], int, int], list[int]]) -> list[Column]:
    """For each vector: deviation from the first pick, in any stretch, and the longest streak, all the worst of the
    starts."""
    cells: list[Column] = []
    for weights in VECTORS.values():
        picks = 2 * max(sum(weights), 200)
        worst = [0.0, 0.0, 0.0]
        for seed in range(STARTS):
            places = first_picks(weights, picks, seed)
            streak = max(len(list(run)) for _, run in groupby(places))
            worst = [max(both) for both in zip(worst, (*deviations(places, weights), streak), strict=True)]
        cells.append(f"{worst[0]:.2f} / {worst[1]:.2f} / {worst[2]:.0f}")
    return cells


def _ours_first_picks(balancer: Balancer, weights: list[int], picks: int, seed: int) -> list[int]:
    pool = pool_of(balancer, endpoints(weights), seed)
    places: list[int] = []
    for info in KEYS[:picks] if isinstance(balancer, ConsistentHash) else [ANY] * picks:
        member = pool.pick(info)
        assert member is not None
        places.append(int(member.endpoint.id[1:]))
        if isinstance(balancer, LeastLoaded):
            Lease(member.load, 0.0)
    return places


def _their_first_picks(rival: type[Rival], weights: list[int], picks: int, seed: int) -> list[int]:
    scheduler = rival(weights, Random(seed))
    places: list[int] = []
    for _ in range(picks):
        places.append(scheduler.pick())
        if isinstance(scheduler, TwoChoices):
            scheduler.open[places[-1]] += 1
    return places


def evenness_table() -> Table:
    """Who is off by how much."""
    rows: list[Row] = [(name, evenness(partial(_ours_first_picks, balancer))) for name, balancer in OURS.items()]
    rows += [(_label(rival), evenness(partial(_their_first_picks, rival))) for rival in RIVALS]
    return Table(
        "Evenness",
        ["picks off the share: from the first pick / in any stretch / longest streak", *VECTORS],
        rows,
        f"The worst of {STARTS} starts (seeds 0 to {STARTS - 1}), each of 2 cycles or 400 picks, whichever is more. "
        "With `least_loaded` and P2C no call ends, so that there are open calls to go by; with the others a call ends "
        "before the next begins. The keys of `consistent_hash` are all different. `weighted_round_robin` and the "
        "static stride begin anywhere in their schedule. The others begin where it begins, which suits the first of "
        "the three figures. From the beginning of its schedule ours stays below 1 (bar W1, held by a test), and below "
        "2 in any stretch (W2).",
    )


def _label(rival: type[Rival]) -> str:
    return f"{rival.name} ({rival.source})"


def pick_table(speed: Speed) -> tuple[Table, dict[str, list[float]]]:
    """Nanoseconds per pick."""
    found: dict[str, list[float]] = {}
    for name, balancer in OURS.items():
        infos = KEYS if isinstance(balancer, ConsistentHash) else [ANY] * len(KEYS)
        for fleet, weights in (("equal", lambda size: [None] * size), ("1 to 10", weights_for)):
            for busy in (0, 2) if isinstance(balancer, ConsistentHash) else (0,):
                label = f"{name}, {fleet}" + (", all busy" if busy else "")
                found[label] = []
                for size in speed.sizes:
                    pool = pool_of(balancer, endpoints(weights(size)))
                    for member in pool.members():
                        for _ in range(busy):
                            Lease(member.load, 0.0)
                    found[label].append(speed.per_pick_of(pool, infos))
    for rival in RIVALS:
        schedulers = [rival(weights_for(size), Random(1)) for size in speed.sizes]
        found[_label(rival)] = [speed.per_pick(scheduler.pick) for scheduler in schedulers]
    base = found["weighted_round_robin, 1 to 10"]
    rows: list[Row] = [
        (name, [f"{value:,.0f} ({value / ours:.1f})" for value, ours in zip(values, base, strict=True)])
        for name, values in found.items()
    ]
    return Table(
        "Time per pick",
        ["ns per pick (times weighted_round_robin)", *(f"N = {size:,}" for size in speed.sizes)],
        rows,
        "Ours through the pool, with statistics, settings as they come; `consistent_hash` gets another key each time. "
        "All busy: two open calls at each endpoint, whatever its weight, so that the light ones are full. The others "
        "are the bare choice, with weights 1 to 10.",
    ), found


def rebuild_table(speed: Speed) -> tuple[Table, dict[str, list[float]]]:
    """Milliseconds for the first list and for one change."""
    changes: dict[str, list[float]] = {}
    rows: list[Row] = []
    balancers = {name: balancer for name, balancer in OURS.items() if name != "consistent_hash"} | TABLES_OF_KEYS
    for name, balancer in balancers.items():
        cells: list[Column] = []
        changes[name] = []
        for size in speed.sizes:
            listed = endpoints(weights_for(size))
            first = speed.best(partial(pool_of, balancer, listed)) * 1e3
            pool = pool_of(balancer, listed)
            # One leaves, and comes back: the worse of both.
            change = max(_change(pool, listed, speed)) * 1e3
            changes[name].append(change)
            cells.append(f"{first:,.1f} / {change:,.1f}")
        rows.append((name, cells))
    for rival in RIVALS:
        builds = [speed.best(partial(rival, weights_for(size), Random(1))) * 1e3 for size in speed.sizes]
        rows.append((_label(rival), [f"{build:,.1f}" for build in builds]))
    return Table(
        "Time to rebuild",
        ["ms: first list / one endpoint leaves or comes back", *(f"N = {size:,}" for size in speed.sizes)],
        rows,
        "Ours is all that the pool does for a new list, with weights 1 to 10. The others are built anew for each.",
    ), changes


def _change(pool: Pool[None], listed: Sequence[Endpoint], speed: Speed) -> tuple[float, float]:
    middle = len(listed) // 2
    less = [*listed[:middle], *listed[middle + 1 :]]
    left: list[float] = []
    came: list[float] = []
    while len(left) < speed.rounds and sum(left) < 0.6:
        for times, endpoints_now in ((left, less), (came, listed)):
            start = time.process_time()
            pool.update(endpoints_now)
            times.append(time.process_time() - start)
            pool.reap()
    return min(left), min(came)


def memory_table() -> Table:
    """Bytes that each endpoint costs."""
    rows: list[Row] = []
    for name, balancer in (OURS | TABLES_OF_KEYS).items():
        rows.append((name, [f"{_bytes_each(balancer, size):,.0f}" for size in (100, 1_000)]))
    return Table(
        "Memory",
        ["bytes per endpoint", "N = 100", "N = 1,000"],
        rows,
        "What Python has allocated for the pool, divided by N: the endpoint with its id and address, its statistics, "
        "its place in the pool and its share of the picker (`tracemalloc`, equal weights, nothing under way). "
        "A ring keeps 6 bytes for each of 256 points or more; Maglev's table is 128 or 256 KiB in all.",
    )


def _bytes_each(balancer: Balancer, size: int) -> float:
    pool_of(balancer, endpoints([None] * size))  # what is made once for all is there already
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        pool = pool_of(balancer, endpoints([None] * size))
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert pool.pick(KEYS[0]) is not None
    return (after - before) / size


def bars(sizes: Sequence[int], picks: dict[str, list[float]], changes: dict[str, list[float]]) -> list[Bar]:
    """Cost bars P1 and P2, for the settings as they come."""
    found: list[Bar] = []
    at = {size: place for place, size in enumerate(sizes)}
    for name in OURS:
        for label, values in picks.items():
            if label.startswith(f"{name}, "):
                ten, hundred, thousand = (values[at[size]] / 1e3 for size in (10, 100, 1_000))
                found.append(Bar(f"a pick of {label}, N = 10", 1.5, ten, "µs"))
                if name == "weighted_round_robin":
                    found.append(Bar(f"P1: a pick of {label} (the default), N = 100", 2.0, hundred, "µs"))
                found.append(Bar(f"P1: a pick of {label}, N = 1,000 to N = 10", 2.0, thousand / ten, "times"))
    found += [
        Bar(f"P2: one change in 1,000, {name}", 20.0, values[at[1_000]], "ms")
        for name, values in changes.items()
        if not name.endswith("rendezvous")  # nobody has it at this size without asking for it; quick all the same
    ]
    return found


# --- how it is shown --------------------------------------------------------------------------------------------------


def bars_table(found: Sequence[Bar]) -> Table:
    """The bars, as a table."""
    rows: list[Row] = [
        (
            bar.text,
            [f"{bar.limit:g} {bar.unit}", f"{bar.figure:.2f}", "met" if bar.figure <= bar.limit else "**missed**"],
        )
        for bar in found
    ]
    return Table("The bars", ["bar", "at most", "found", ""], rows, "")


def as_text(table: Table) -> str:
    """For a terminal."""
    lines = [list(table.head), *([name, *map(str, cells)] for name, cells in table.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.head))]
    shown = [
        line[0].ljust(widths[0])
        + "".join(cell.rjust(width + 3) for cell, width in zip(line[1:], widths[1:], strict=True))
        for line in lines
    ]
    return "\n".join([f"\n{table.title}", *shown])


def as_markdown(table: Table) -> str:
    """For the docs."""
    lines = [
        f"## {table.title}\n",
        f"| {' | '.join(table.head)} |",
        "|---" * len(table.head) + "|",
        *[
            f"| {f'**{name}**' if name.split(',')[0] in OURS else name} | {' | '.join(map(str, cells))} |"
            for name, cells in table.rows
        ],
        "",
    ]
    return "\n".join([*lines, f"{table.note}\n"] if table.note else lines)


def write(tables: Sequence[Table]) -> None:
    """Put the tables into the page.

    Raises:
        ValueError: The page has no place for them.
    """
    page = PAGE.read_text()
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no place for figures: {BEGIN!r} and {END!r}")
    machine = (
        f"Measured with Python {platform.python_version()} on {platform.system()}, a virtual machine with "
        f"{os.cpu_count()} processors; processor time, the best of several rounds. Yours will differ; the ratios will "
        "differ less.\n"
    )
    figures = "\n".join([machine, *map(as_markdown, tables)])
    PAGE.write_text(f"{before}{BEGIN}\n\n{figures}\n{END}{after}")


def main() -> int:
    """Measure, print, and write if wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, up to 1,000 endpoints")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/explanation/schedulers.md")
    wanted = parser.parse_args()
    speed = Speed(quick=wanted.quick)
    even = evenness_table()
    picks, pick_figures = pick_table(speed)
    rebuilds, changes = rebuild_table(speed)
    tables = [bars_table(bars(speed.sizes, pick_figures, changes)), even, picks, rebuilds, memory_table()]
    for table in tables:
        print(as_text(table))
    if wanted.write:
        write(tables)
    return 0


if __name__ == "__main__":
    sys.exit(main())
