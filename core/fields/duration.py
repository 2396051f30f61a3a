"""Durations as people write them: `"250ms"`, `"5s"`, `"1m30s"`, `"2h"`, or a plain number of seconds."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

__all__ = ["Duration", "format_duration", "parse_duration"]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h)", re.IGNORECASE)
_HELP = 'write it like "250ms", "5s" or "1m30s"'
_MAX_HOURS = 100_000
"""More than eleven years. Far larger numbers overflow the timers of the system."""


def parse_duration(value: object) -> float:
    """Seconds from a duration.

    Args:
        value: Text such as `"1m30s"`, or a number of seconds.

    Raises:
        ValueError: It is not a duration, or it is negative, not finite or above 100,000 hours. The text says how to
            write one.
    """
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a duration; {_HELP}")
    if isinstance(value, int | float):
        # Compared, not converted: a whole number may be too large for a float. The comparison refuses NaN as well.
        if not 0 <= value <= _MAX_HOURS * 3600:
            raise ValueError(f"a duration must be between 0 and {_MAX_HOURS} hours; {_HELP}")
        return float(value)
    if isinstance(value, str):
        seconds = _parse_text(value.strip())
        if seconds is None:
            shown = repr(str(value))
            raise ValueError(f"{shown if len(shown) <= 40 else shown[:37] + '...'} is not a duration; {_HELP}")
        if seconds > _MAX_HOURS * 3600:
            raise ValueError(f"a duration must be between 0 and {_MAX_HOURS} hours; {_HELP}")
        return seconds
    raise ValueError(f"this is not a duration; {_HELP}")


def _parse_text(text: str) -> float | None:
    seconds = 0.0
    at = 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None:
            return None
        seconds += float(part[1]) * _UNITS[part[2].lower()]
        at = part.end()
    return seconds if text else None


def format_duration(seconds: float) -> str:
    """A duration in the shortest form that people read at a glance: `"850ms"`, `"4.2s"`, `"3m20s"`, `"2h5m"`.

    Rounded: three digits at most below a minute, then whole seconds, then whole minutes. Negative: with a minus sign.
    """
    if not math.isfinite(seconds):
        return str(seconds)
    if seconds < 0:
        return f"-{format_duration(-seconds)}"
    # Each limit lies where the next smaller form would round up to its own upper end.
    if seconds < 0.00995:
        return f"{seconds * 1000:.1f}".removesuffix(".0") + "ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    if seconds < 3599.5:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours}h{minutes}m" if minutes else f"{hours}h"


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\s*([0-9]+(\.[0-9]+)?\s*([mM]?[sS]|[mM]|[hH])\s*)+$"},
                {"type": "number", "minimum": 0},
            ],
            "examples": ["250ms", "5s", "1m30s"],
        }
    ),
]
"""A settings field that holds seconds and is written as a duration."""
