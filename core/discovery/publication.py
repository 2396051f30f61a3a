"""What the process that asks a question tells all others: the list that it believes, and how the last question went.

One line of JSON, then the list as `saved_list` packs it. So a reader who knows the list already sees that by comparing
bytes. Nothing in it says what time it is: only lengths of time, to be taken off the age that the store tells.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import cast

from .saved_list import SavedListUnreadable

__all__ = ["Publication", "pack", "unpack"]

_LONGEST_TEXT = 500
_LONGEST_NAME = 200
"""Characters. What is longer, or would change a terminal, is not shown to people."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What is known after one question.

    Args:
        body: The list that is believed, as `pack_list` packs it. Empty: there is none yet.
        list_age: Seconds since an answer last confirmed the list, when this was published.
        took: Seconds since the question began, when this was published.
        error: Why the question had no usable answer; empty if it had one.
        is_hopeless: Whether asking again cannot help until the configuration changes.
        is_empty: Whether the last usable answer said that nobody serves.
        by: Who asked: the name of its process's share, as its leases have it.
        led: Seconds for which it has been the one who asks, when this was published.
        gives_up: Whether it gives the lease back now, so that another one tries.
        who: Who asked, for people: host and process. Empty: an older version, which does not say.
    """

    body: bytes
    list_age: float = 0.0
    took: float = 0.0
    error: str = ""
    is_hopeless: bool = False
    is_empty: bool = False
    by: str = ""
    led: float = 0.0
    gives_up: bool = False
    who: str = ""


def pack(publication: Publication) -> bytes:
    """The publication in the form in which it is saved."""
    head = asdict(publication) | {"body": len(publication.body), "error": publication.error[:_LONGEST_TEXT]}
    return json.dumps(head, separators=(",", ":")).encode() + b"\n" + publication.body


def unpack(data: bytes) -> Publication:
    """What `pack` packed. The list in it is not looked at.

    Raises:
        SavedListUnreadable: It is something else, or a value in it is out of range.
    """
    line, _, body = data.partition(b"\n")
    try:
        head = cast("object", json.loads(line))
    except (ValueError, RecursionError):
        raise SavedListUnreadable("what was published does not begin with a line of JSON") from None
    if not isinstance(head, dict):
        raise SavedListUnreadable("what was published does not begin with a table")
    table = cast("dict[str, object]", head)
    if table.get("body") != len(body):
        raise SavedListUnreadable("what was published is not complete")
    error, by, who = table.get("error"), table.get("by", ""), table.get("who", "")
    if not isinstance(error, str) or not isinstance(by, str) or not isinstance(who, str):
        raise SavedListUnreadable("what was published has a field of the wrong type")
    return Publication(
        body,
        _length(table, "list_age"),
        _length(table, "took"),
        error,
        is_hopeless=table.get("is_hopeless") is True,
        is_empty=table.get("is_empty") is True,
        by=by,
        led=_length(table, "led") if "led" in table else 0.0,
        gives_up=table.get("gives_up") is True,
        who=who if who.isprintable() and len(who) <= _LONGEST_NAME else "",
    )


def _length(table: dict[str, object], name: str) -> float:
    value = table.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise SavedListUnreadable(f"{name!r} of what was published is not a length of time")
    return float(value)
