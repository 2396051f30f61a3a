"""What a diagnosis says about one thing that it looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Finding", "Level"]


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    """Good to know; nothing has to be done."""
    WARNING = "warning"
    """Works now, and may not for long, or not as well as it could."""
    PROBLEM = "problem"
    """Calls fail because of it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what came of it. Never holds a secret.

    Args:
        level: How bad it is.
        check: What kind of thing was looked at, for people, such as `control plane`.
        code: The same with what came of it, for machines, such as `control-plane-timeout`.
        about: The very thing, such as an address.
        found: What came of it.
        cause: What is likely behind it; empty if all is well.
        next: What to do; empty if nothing is.
        service: Which service it belongs to. Default: none.
        route: Which route of the service. Default: none.
        seconds: How long it took. Default: not measured.
        advice: What the provider adds.
    """

    level: Level
    check: str
    code: str
    about: str
    found: str
    cause: str = ""
    next: str = ""
    service: str | None = None
    route: str | None = None
    seconds: float | None = None
    advice: str = ""
