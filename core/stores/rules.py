"""What all stores decide alike. Pure: numbers go in, a decision comes out."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..interfaces.discovery import RateBudget
from ..interfaces.store import MAX_DATA, MAX_NAME

__all__ = ["check_data", "check_duration", "check_names", "merged", "wait_for"]

_SOONEST = 0.001


def wait_for(end: float | None, window: float, now: float) -> float:
    """Seconds until a budget allows one more query; 0 for now.

    A query counts while it ended less than a window ago: from `end` up to `end + window`, that moment left out. Of a
    limit of 20, the twentieth from the last decides: while it counts, so do the 19 after it.

    Args:
        end: When that query ended, or will have ended at the latest. None: there were fewer than the limit.
        window: In seconds.
        now: The time of the store.
    """
    return max(end + window - now, _SOONEST) if end is not None and end + window > now else 0.0


def check_names(*names: str) -> None:
    """Raises `ValueError` for what cannot be a name in a store."""
    for name in names:
        if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
            shown = name if len(name) <= 60 else name[:57] + "..."
            raise ValueError(f"{shown!r} is not a name: 1 to {MAX_NAME} printable characters")


def check_duration(what: str, seconds: float) -> None:
    """Raises `ValueError` unless it is a length of time."""
    if not (seconds > 0 and math.isfinite(seconds)):
        raise ValueError(f"{what} must be above 0 seconds and finite, not {seconds!r}")


def check_data(data: bytes) -> None:
    """Raises `ValueError` for data that is too long."""
    if len(data) > MAX_DATA:
        raise ValueError(f"{len(data)} bytes are more than a store keeps under one name ({MAX_DATA})")


def merged(budgets: Sequence[RateBudget]) -> dict[str, list[RateBudget]]:
    """The budgets by their names: two routes may know one limit by different windows."""
    by_name: dict[str, list[RateBudget]] = {}
    for budget in budgets:
        check_names(budget.name)
        by_name.setdefault(budget.name, []).append(budget)
    return by_name
