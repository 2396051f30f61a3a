"""What processes told each other through the store means. Pure: what was told goes in, a finding comes out."""

from __future__ import annotations

from ..discovery.publication import Publication
from ..fields import format_duration
from ..interfaces.finding import Finding, Level
from .control_plane_rules import headline_of

__all__ = ["asker_known", "asker_none", "asker_unreadable"]


def asker_none(place: str, processes: int | None) -> Finding:
    """Nobody has asked through the store yet.

    Args:
        place: The store.
        processes: How many processes share it now, without us; None if that is not known.
    """
    found = "nobody has asked this question through the store"
    if processes:
        words = "1 process shares" if processes == 1 else f"{processes} processes share"
        found += f"; {words} it now, and may ask other questions, or with other settings"
    return Finding(Level.OK, "sharing", "asker-none", place, found)


def asker_known(place: str, told: Publication, age: float, processes: int | None) -> Finding:
    """Somebody asks, or did.

    Args:
        place: The store.
        told: Its last word.
        age: Seconds since that.
        processes: As for `asker_none`.
    """
    who, ago = told.who or "a process of an older version", format_duration(max(1, round(age)))
    if processes == 0:
        return Finding(Level.OK, "sharing", "asker-gone", place, f"nobody asks now; {who} was the last, {ago} ago")
    length = format_duration(max(1, round(age + told.led)))
    found = f"{who} asks for all, and has done so for {length}; its last word is {ago} old"
    if not told.error:
        return Finding(Level.OK, "sharing", "asker-known", place, found)
    why = "".join(letter for letter in headline_of(told.error) if letter.isprintable())
    return Finding(
        Level.WARNING,
        "sharing",
        "asker-fails",
        place,
        f"{found}: {why}",
        "that process cannot reach the control plane or is refused; if this host can, it is about that host alone",
        "compare with what is said of the control plane here, and run `directlane doctor` on that host",
    )


def asker_unreadable(place: str, why: str) -> Finding:
    """What was published cannot be read."""
    return Finding(
        Level.WARNING,
        "sharing",
        "asker-unreadable",
        place,
        why,
        "another version of directlane wrote it, or something else uses the same names",
        "run the same version of directlane in all processes, or give each version a store of its own",
    )
