"""When a leader that gets no answer lets another process try.

A leader may be cut off the control plane while others reach it. It would fail for ever, and nobody else would ask. So it
gives the lease back, and says so; those who did not fail before try first. If the control plane is down for all, the
lease goes round, one question each, at the usual pace.

Pure decisions.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["STEP_BACK", "HandOver"]

STEP_BACK = 2.0
"""Seconds for which who gave the lease back does not try for it. Long enough for all others to have seen it."""

_TOLERATED = 2
_AFTER_THE_FRESH = 1.0


@dataclass
class HandOver:
    """What one process knows of its own way to the control plane. Mutable state: all of it."""

    failures: int = 0
    """How often it failed in this turn as the leader."""
    has_given_up: bool = False
    """Whether it gave the lease back since it last had an answer."""
    is_sent_for: bool = False
    """Whether the leader before gave up, and this process has had no answer yet."""

    def leads(self) -> bool:
        """This process has the lease now. Whether it should ask early."""
        self.failures = 0
        return self.is_sent_for and not self.has_given_up

    def answered(self) -> None:
        """It had an answer."""
        self.failures, self.has_given_up, self.is_sent_for = 0, False, False

    def failed(self) -> bool:
        """It had none. Whether another process is to try now."""
        self.failures += 1
        if self.failures < (1 if self.is_sent_for else _TOLERATED):
            return False
        self.has_given_up, self.is_sent_for = True, False
        return True

    def heard(self, *, gives_up: bool) -> None:
        """Another process has asked."""
        self.is_sent_for = gives_up

    @property
    def late(self) -> float:
        """Seconds to wait, when the lease was given back, for those who have a better chance."""
        return _AFTER_THE_FRESH if self.has_given_up else 0.0
