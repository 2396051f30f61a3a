"""Makes the charts of the balancers' pages anew: `docs/images/balancer-*.svg`, by simulation.

    python tools/figures.py

Virtual time and seed 1: the same version gives the same pictures, on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from directlane.balancers.consistent_hash import ConsistentHash
from directlane.balancers.least_loaded import LeastLoaded
from directlane.balancers.random import WeightedRandom
from directlane.balancers.sticky import Sticky
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.interfaces.balancer import Balancer
from directlane.core.simulation import simulate
from directlane.core.simulation.chart import chart
from directlane.core.simulation.stock import STOCK, stock_scenario

_FOLDER = Path(__file__).parents[1] / "docs" / "images"
_CALLS = 20_000
_TURNS, _DRAWS, _LEAST, _HASH = WeightedRoundRobin(), WeightedRandom(), LeastLoaded(), ConsistentHash()


@dataclass(frozen=True, slots=True)
class Figure:
    """One picture.

    Args:
        name: Of the file.
        scenario: One of the shelf.
        balancers: From top to bottom, with a label each.
    """

    name: str
    scenario: str
    balancers: Sequence[tuple[str, Balancer]]


_FIGURES = (
    Figure("balancer-equal", "equal", [(each.kind, each) for each in (_TURNS, _DRAWS, _LEAST, _HASH)]),
    Figure(
        "balancer-waves", "servers-deploy-in-waves", [(each.kind, each) for each in (_TURNS, _DRAWS, _LEAST, _HASH)]
    ),
    Figure("balancer-sticky", "many-clients", [(each.kind, each) for each in (_TURNS, Sticky())]),
    Figure(
        "balancer-least-loaded",
        "slow-in-the-middle",
        [
            (_TURNS.kind, _TURNS),
            (_LEAST.kind, _LEAST),
            ("least_loaded (use_latency = true)", LeastLoaded(use_latency=True)),
        ],
    ),
    Figure(
        "balancer-consistent-hash",
        "popular-keys",
        [
            (_TURNS.kind, _TURNS),
            (_HASH.kind, _HASH),
            ("consistent_hash (bound = 2)", ConsistentHash(bound=2.0)),
            ('consistent_hash (bound = "off")', ConsistentHash(bound="off")),
        ],
    ),
)


def main() -> None:
    """Simulate and draw."""
    for figure in _FIGURES:
        scenario = stock_scenario(figure.scenario, calls=_CALLS)
        results = {label: simulate(scenario, balancer, seed=1) for label, balancer in figure.balancers}
        note = f"{STOCK[figure.scenario].summary} {_CALLS:,} calls by {scenario.clients} clients, seed 1."
        path = _FOLDER / f"{figure.name}.svg"
        path.write_text(chart(f"Scenario {figure.scenario}", note, results), "utf-8")
        print(f"wrote {path}")
        for label, result in results.items():
            print(f"  {label}: kept {result.kept:.0%}, worst deviation {result.worst_deviation:.0%}")


if __name__ == "__main__":
    main()
