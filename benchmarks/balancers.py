"""What a pick and a rebuild cost, per balancer and number of endpoints.

    python benchmarks/balancers.py

Prints nanoseconds per pick, and milliseconds per rebuild for three kinds of weights. The numbers depend on the machine;
the ratios in brackets (to the same balancer with 10 endpoints) matter. Nothing is asserted. Each number is the best of
several rounds, since anything else that runs on the machine only ever adds time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from directlane.balancers.random import WeightedRandom
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.endpoint import Endpoint
from directlane.core.interfaces.balancer import ANY, Balancer, BuildContext, Load, Member, PickInfo

SIZES = (1, 3, 10, 100, 1000)
ROUNDS = 7
PICKS = 20_000


@dataclass(slots=True)
class NoLoad:
    """Statistics of an endpoint that nobody calls."""

    open_calls: int = 0
    open: tuple[()] = ()
    penalty: None = None
    latency: None = None
    report: None = None
    open_work: float = 0.0

    def open_age(self, now: float) -> float:  # noqa: ARG002 - the contract
        return 0.0


@dataclass(slots=True)
class Plain:
    """An endpoint with a weight."""

    endpoint: Endpoint
    weight: float
    load: Load = field(default_factory=NoLoad)


def fleet(weights: Sequence[float]) -> list[Member]:
    """Members with these weights."""
    return [Plain(Endpoint("10.0.0.1", 80, id=f"e{place}"), weight) for place, weight in enumerate(weights)]


def best(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Seconds of the quickest of several rounds."""
    times: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def pick_ns(balancer: Balancer, size: int, info: PickInfo) -> float:
    """Nanoseconds per pick, without the loop around it."""
    chance = Random(1)
    picker = balancer.build(fleet([chance.randint(1, 10) for _ in range(size)]), BuildContext(chance))
    pick = picker.pick

    def picks() -> None:
        for _ in range(PICKS):
            pick(info)

    def nothing() -> None:
        for _ in range(PICKS):
            pass

    return (best(picks) - best(nothing)) / PICKS * 1e9


def rebuild_ms(balancer: Balancer, weights: Sequence[float]) -> float:
    """Milliseconds to build a picker."""
    members, context = fleet(weights), BuildContext(Random(1))
    return best(lambda: balancer.build(members, context)) * 1e3


def row(name: str, values: Sequence[float], digits: int) -> str:
    """One line of a table, with the ratio to ten endpoints behind each number."""
    base = values[SIZES.index(10)]
    return f"{name:<36}" + "".join(f"{value:>10.{digits}f} {f'({value / base:.1f}x)':<9}" for value in values)


def main() -> None:
    """Print the tables."""
    balancers: list[Balancer] = [WeightedRoundRobin(), WeightedRandom()]
    chance = Random(2)
    head = f"{'':<36}" + "".join(f"{f'N = {size}':>10} {'':<9}" for size in SIZES)

    print("ns per pick, weights 1 to 10\n" + head)
    two = PickInfo(excluded=("e0", "e1"))
    for balancer in balancers:
        print(row(balancer.kind, [pick_ns(balancer, size, ANY) for size in SIZES], 0))
    for balancer in balancers:
        print(row(f"{balancer.kind}, 2 excluded", [pick_ns(balancer, size, two) for size in SIZES], 0))

    print("\nms per rebuild\n" + head)
    kinds: dict[str, Callable[[int], list[float]]] = {
        "equal": lambda size: [1.0] * size,
        "1 to 100": lambda size: [float(chance.randint(1, 100)) for _ in range(size)],
        "measured": lambda size: [chance.uniform(1, 100) for _ in range(size)],
    }
    for balancer in balancers:
        for kind, weights in kinds.items():
            print(row(f"{balancer.kind}, {kind}", [rebuild_ms(balancer, weights(size)) for size in SIZES], 3))


if __name__ == "__main__":
    main()
