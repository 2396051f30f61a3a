"""When a leader that gets no answer lets another process try.

A leader may be cut off the control plane while others reach it. It would fail for ever, and nobody else would ask. So
it gives the lease back, and says so; those who failed least come first. If the control plane is down for all,
the lease goes round, one question each, at the usual pace.

Pure decisions.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["STEP_BACK", "HandOver"]

STEP_BACK = 2.0
"""Seconds for which who gave the lease back does not try for it. Long enough for all others to have seen it."""

_TOLERATED = 2
_LONGEST_WAIT = 4.0


@dataclass
class HandOver:
    """What one process knows of its own way to the control plane. Mutable state: all of it."""

    failures: int = 0
    """How often it failed in this turn as the leader."""
    given_up: int = 0
    """How often it gave the lease back since it last had an answer."""
    is_sent_for: bool = False
    """Whether the leader before gave up, and this process has had no answer yet."""

    def leads(self) -> bool:
        """This process has the lease now. Whether it should ask early."""
        self.failures = 0
        return self.is_sent_for and not self.given_up

    def answered(self) -> None:
        """It had an answer."""
        self.failures, self.given_up, self.is_sent_for = 0, 0, False

    def failed(self) -> bool:
        """It had none. Whether another process is to try now."""
        self.failures += 1
        if self.failures < (1 if self.is_sent_for else _TOLERATED):
            return False
        self.given_up += 1
        self.is_sent_for = False
        return True

    def heard(self, *, gives_up: bool) -> None:
        """Another process has asked."""
        self.is_sent_for = gives_up

    @property
    def late(self) -> float:
        """Seconds to wait, when the lease was given back, for those who have a better chance."""
        return min(float(self.given_up), _LONGEST_WAIT)
