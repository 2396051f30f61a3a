"""Where the dispatch meets stamina: the dispatch decides how long to pause, stamina does it."""

from __future__ import annotations

import logging

from ..dispatch.call import Wait

__all__ = ["NotYet", "hush", "pause_of"]

_NOWHERE = logging.NullHandler()


def hush() -> None:
    """Keep stamina's log lines off the standard error of programs that have not set up logging.

    stamina logs each repeat at level WARNING, and Python shows such lines to people who never asked for logging. With
    this handler they go where logging was set up to send them, and nowhere else.
    """
    logging.getLogger("stamina").addHandler(_NOWHERE)  # does nothing the second time


class NotYet(Exception):
    """An attempt was not good enough and another one may follow. Tells stamina so; never reaches the caller."""

    def __init__(self, wait: Wait) -> None:
        super().__init__(str(wait.cause))
        self.seconds: float = wait.seconds


def pause_of(error: Exception) -> float | bool:
    """stamina's back-off hook: seconds to wait before the next attempt; False for other errors: not to be retried."""
    return float(error.seconds) if isinstance(error, NotYet) else False
