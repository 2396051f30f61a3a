"""Weighted round robin: everybody in turn, by weight, as evenly as is possible.

The turns are the schedule of R. Tijdeman (The chairman assignment problem, 1980): at every step, of those who are due,
the one with the earliest deadline. After any number of turns no member is off its exact share by more than
1 - 1/(2N - 2) picks, so heavy members come spread out and never in a row of their whole weight.

The schedule repeats after as many turns as the weights (divided by their common divisor) sum up to. It is computed
once, when the picker is built; a pick is one step of a counter and one look into a tuple. The walk begins at a random
place, so that many clients do not all begin with the same member; a new picker goes on where the previous one stood.

If wanted, the weights come from the servers' reports (`weighted_round_robin_reports.py`) and the schedule is computed
again every second, away from the calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ..core.fields import Duration
from ..core.interfaces.balancer import Balancer, BuildContext, Member, Picker, PickInfo
from .lottery import Lottery
from .weighted_round_robin_reports import ReportRules, ReportWeights
from .whole_weights import is_usable, whole_weights

__all__ = ["WeightedRoundRobin", "schedule"]

_MIN_LIMIT = 4096
"""Longest schedule for up to 512 members. Weights that need a longer one are rounded to this sum. Nobody gets less than
one turn, so a member whose share is below 1/4096 gets more than its share."""

_TURNS_PER_MEMBER = 8
"""Longest schedule for more members, in turns for each. More would tell weights apart better and take longer to build:
about 1 µs for a turn."""

_MEASURED_TURNS = 512
"""Longest schedule for weights from reports, which change every second and are rough. Building it takes half a
millisecond, for the other threads of a program as well."""


class WeightedRoundRobin(Balancer):
    """Everybody in turn, by weight."""

    kind: ClassVar[str] = "weighted_round_robin"
    summary: ClassVar[str] = "Gives every endpoint its turns by weight, spread as evenly as is possible."
    capabilities: ClassVar[frozenset[str]] = frozenset({"load-reports", "weights"})

    reports: Literal["off", "orca"] = Field(
        default="off",
        description="orca: take the weights from what the servers report in their answers (header "
        "endpoint-load-metrics): calls in a second for each unit of load. The weights of the list hold until there are "
        "reports. For servers that report `rps_fractional` and a utilisation. off: nothing is asked.",
    )
    utilisation: tuple[str, ...] = Field(
        default=(),
        description="For reports: named metrics of which the largest is the utilisation, 1 for a server that can do no "
        "more. If none is reported above 0: application_utilization, else cpu_utilization.",
    )
    error_penalty: float = Field(
        default=1.0,
        ge=0,
        le=1000,
        description="For reports: what one error for each call adds to the utilisation, so that a server that fails "
        "fast does not look idle. 0: errors do not matter.",
    )
    blackout: Duration = Field(
        default=10.0,
        description="For reports: how long a server must have reported before that counts. The first reports after a "
        "start mislead.",
    )
    expiry: Annotated[Duration, Field(gt=0)] = Field(
        default=180.0,
        description="For reports: after how long without a new one a report does not count any more.",
    )
    update_every: Annotated[Duration, Field(ge=0.1)] = Field(
        default=1.0,
        description="For reports: how often the weights are computed again. Each time costs about half a millisecond.",
    )

    def wants_reports(self) -> bool:
        """Whether servers are asked for reports."""
        return self.reports != "off"

    def refresh_interval(self) -> float | None:
        """How often the weights are computed again, if they come from reports."""
        return self.update_every if self.wants_reports() else None

    def build(self, members: Sequence[Member], context: BuildContext) -> Picker:
        """A picker over these members that goes on where the previous one stood."""
        # By id, so that the turns do not depend on the order in which a discovery happens to name the endpoints.
        usable = sorted((m for m in members if is_usable(m.weight)), key=lambda m: m.endpoint.id)
        previous = context.previous if isinstance(context.previous, _Turns) else None
        longest = max(_MIN_LIMIT, _TURNS_PER_MEMBER * len(usable))
        given = [member.weight for member in usable]
        since: Mapping[str, float] = {}
        if self.wants_reports():
            rules = ReportRules(self.utilisation, self.error_penalty, self.blackout, self.expiry)
            if previous is not None:
                since = previous.since
            reported = ReportWeights.at(context.clock.monotonic(), usable, since, rules)
            if reported.weights != given:
                longest = max(_MEASURED_TURNS, _TURNS_PER_MEMBER * len(usable))
            given, since = reported.weights, reported.since
        weights = whole_weights(given, longest)
        turns = tuple(usable[place] for place in schedule(weights))
        start = _start(len(turns), previous, context.random)
        return _Turns(turns, start, Lottery(usable, weights, context.random), since)


class _Turns:
    """Walks the schedule. The counter is the only thing that changes, and its step is atomic: no lock is needed.

    Args:
        turns: Whose turn it is, step by step.
        start: Where to begin.
        lottery: For picks with exclusions.
        since: By id, when the reports began that the weights come from.
    """

    __slots__ = ("_counter", "_length", "_lottery", "_turns", "since")

    def __init__(self, turns: tuple[Member, ...], start: int, lottery: Lottery, since: Mapping[str, float]) -> None:
        self.since = since
        self._turns = turns
        self._length = len(turns)
        self._counter = count(start)
        self._lottery = lottery

    def pick(self, info: PickInfo) -> Member | None:
        """Whose turn it is. With exclusions: a draw by weight among the others, which uses up nobody's turn."""
        if info.excluded or not self._length:
            return self._lottery.draw_without(info.excluded)
        return self._turns[next(self._counter) % self._length]

    def position(self, chance: float) -> float:
        """How far through the schedule it stands, from 0 up to 1; `chance` in [0, 1) says where within the next turn.

        Takes one turn (a counter cannot be read without a step), so it is for a picker that is being replaced.
        """
        return (next(self._counter) % self._length + chance) / self._length if self._length else chance


def _start(length: int, previous: _Turns | None, random: Random) -> int:
    """Where the walk begins: at the same part of the schedule as the previous picker stood, else anywhere.

    The part, and not 0: with frequent changes the members at the front would get every turn. A chance decides within
    one turn, because schedules of different lengths have no common boundaries and rounding down would favour somebody.
    """
    chance = random.random()
    return int((chance if previous is None else previous.position(chance)) * length)


def schedule(weights: Sequence[int]) -> list[int]:
    """Who has which turn: places in `weights`, each as often as its weight. O(W log N) for the sum W of the weights.

    With x the turns a place has had, its next turn may not come before step W(1 + Dx) / Dw and has the deadline
    W((x + 1)D - 1) / Dw, for its weight w and D = 2N - 2. All of it in integers: no turn depends on rounding.

    Args:
        weights: Integers of 1 or more.
    """
    size, total = len(weights), sum(weights)
    if size < 2:  # nobody to take turns with
        return [0] * size
    d = 2 * size - 2
    # Two deadlines that differ do so by 1/w² or more (w the largest weight; the common factor W/D left out), so times
    # w² they can be compared as integers. The place as last digit settles ties.
    finest = max(weights) ** 2
    due: list[list[int]] = [[] for _ in range(total + 1)]
    for place, weight in enumerate(weights):
        due[-(-total // (d * weight))].append(place)
    had = [0] * size
    ready: list[int] = []
    turns: list[int] = []
    for step in range(1, total + 1):
        for place in due[step]:
            deadline = ((had[place] + 1) * d - 1) * finest // weights[place]
            heappush(ready, deadline * size + place)
        place = heappop(ready) % size
        turns.append(place)
        had[place] += 1
        if had[place] < weights[place]:
            begins = -(-total * (1 + d * had[place]) // (d * weights[place]))
            # A turn that came late may leave the next one due already: it competes from the next step on.
            due[max(begins, step + 1)].append(place)
    return turns
