"""Who asks a question that processes share: a record for people, and the lines of the log about it."""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import dataclass

__all__ = ["AskerLog", "WhoAsked", "this_process"]

_log = logging.getLogger("directlane.discovery")

_LONGEST_HOST = 100


def this_process() -> str:
    """This process as people know it: its host and its number. No secret is in it."""
    host = socket.gethostname()[:_LONGEST_HOST]
    return f"{host if host.isprintable() and host else 'a host'}, process {os.getpid()}"


@dataclass(frozen=True, slots=True)
class WhoAsked:
    """Who asked a shared question last, as far as this process knows. Moments are of the monotonic clock.

    Args:
        who: Host and process. Empty: it does not say, since it runs an older version.
        store: What the answer is shared through, as people may see it.
        is_own: Whether it was this process.
        at: When its answer, or its failure, was published.
        since: Since when it had been the one who asks for all. None: it asked for itself alone, without the store.
    """

    who: str
    store: str
    is_own: bool
    at: float
    since: float | None

    @property
    def name(self) -> str:
        """Who it was, in a sentence."""
        return "this process" if self.is_own else self.who or "a process of an older version"


class AskerLog:
    """Says when this process begins to ask for all, and when another one does so in its place.

    Only good answers count: while a control plane is down for all, the lease goes round, and a line for each turn would
    fill the log.

    Mutable state: whether the last good answer was ours.

    Args:
        name: Of the question, for people.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_own = False

    def answered(self, asked: WhoAsked) -> None:
        """A good answer is known to all."""
        if asked.is_own == self._is_own:
            return
        self._is_own = asked.is_own
        if asked.is_own:
            _log.info("%s: this process asks now, for all that share %s", self._name, asked.store)
        else:
            _log.info("%s: this process asks no longer: %s does, through %s", self._name, asked.name, asked.store)
