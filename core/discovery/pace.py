"""How often a question is asked, when several questions share the rate limits of a control plane.

Each question gets the same number of turns in every window of a limit, so that no turn ever waits for a place: the list
is then never older than one pause, whatever the order of the questions. A pause that is a little shorter would use the
limit better, and now and then the last of them would wait for a third of a window.

Pure decisions: what was spent and who shares goes in, a length of time comes out.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from random import Random

from ..interfaces.discovery import RateBudget

__all__ = ["Pace"]

_REMEMBERED = 8
"""Conversations. Several users may take turns, so that one alone says little."""

_MARGIN = 1.015
"""A query counts from its sending until a window after its answer: a turn takes a little more than its share."""

_PACED_JITTER = 0.005
_LIVELY = 60.0
"""Seconds after a change in which the next one is looked for sooner."""


class Pace:
    """The pause between two questions.

    Mutable state: what the last conversations spent.
    """

    def __init__(self) -> None:
        self._spent: deque[tuple[RateBudget, ...]] = deque(maxlen=_REMEMBERED)

    def note(self, spent: Sequence[RateBudget], last: Sequence[RateBudget]) -> None:
        """A conversation has ended.

        Args:
            spent: The budgets of each of its queries, all in one row.
            last: Those of its last query, which is the question itself. What else was spent, on a login say, is not
                spent each time, and has no say in the pause.
        """
        names = {budget.name for budget in last}
        self._spent.append(tuple(budget for budget in spent if budget.name in names))

    @property
    def budgets(self) -> tuple[str, ...]:
        """The names of the budgets that the last conversations spent from."""
        return tuple(dict.fromkeys(budget.name for spent in self._spent for budget in spent))

    def fair(self, sharing: Mapping[str, int]) -> float:
        """The shortest pause that leaves every other question its turns, in seconds; 0 without any limit.

        Args:
            sharing: How many questions spend from each budget, this one included. Default for one: 1.
        """
        pauses = [
            _pause(budget, sharing.get(budget.name, 1) * self._per_conversation(budget.name))
            for budget in {budget for spent in self._spent for budget in spent}
        ]
        return max(pauses, default=0.0)

    def interval(self, interval: float, sharing: Mapping[str, int], since_change: float) -> float:
        """Seconds from one question to the next: never below `fair`.

        Args:
            interval: As it is configured.
            sharing: As for `fair`.
            since_change: Seconds since the list changed. For a minute after a change it may be half of `interval`.
        """
        wanted = interval / 2 if since_change < _LIVELY else interval
        return max(wanted, self.fair(sharing))

    def with_jitter(self, pause: float, interval: float, jitter: float, random: Random) -> float:
        """The pause, varied. One that a limit sets is varied only a little, and never made shorter.

        Args:
            pause: What `interval` said.
            interval: As it is configured.
            jitter: The share by which the configured interval varies.
            random: Source of chance.
        """
        chance = 2 * random.random() - 1
        return pause * (1 + (jitter * chance if pause <= interval else _PACED_JITTER * abs(chance)))

    def _per_conversation(self, name: str) -> float:
        count = sum(budget.name == name for spent in self._spent for budget in spent)
        return count / len(self._spent)


def _pause(budget: RateBudget, queries: float) -> float:
    """The pause after which each question has its turn again.

    Args:
        budget: The limit.
        queries: How many queries one turn of every question spends.
    """
    turns = math.floor(budget.limit / queries + 1e-9)
    pause = budget.window / turns if turns else budget.window * math.ceil(queries / budget.limit - 1e-9)
    return pause * _MARGIN
