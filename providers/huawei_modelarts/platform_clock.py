"""How far this machine's clock is from Huawei's, learned from the `Date` of its answers.

Huawei refuses a signature whose date is off by more than 15 minutes (API Request Signing Guide). A wrong clock is named
in the errors that may come from it. Signatures are dated by Huawei's clock only after one was refused: a strange `Date`
must not break what works.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from ...core.message import Headers, header

__all__ = ["NAMED_FROM", "PlatformClock"]

NAMED_FROM = 60.0
"""Seconds of difference from which a clock counts as wrong."""

_KEPT = 3


class PlatformClock:
    """What is known of the two clocks. Mutable state: the last differences, and the correction in use.

    One conversation at a time changes it; any number of threads read it.
    """

    def __init__(self) -> None:
        self._differences: tuple[float, ...] = ()
        self._correction = 0.0

    def learn(self, headers: Headers, unix_time: float) -> None:
        """Look at the `Date` of an answer.

        Args:
            headers: Of the answer.
            unix_time: Our time when the conversation began.
        """
        try:
            date = parsedate_to_datetime(header(headers, "Date") or "").timestamp()
        except (ValueError, OverflowError):
            return
        self._differences = (*self._differences, date - unix_time)[-_KEPT:]

    @property
    def difference(self) -> float:
        """Seconds by which Huawei's clock is ahead of ours; 0 if not known.

        The smallest of the last few: our time is that of the beginning, and waiting for an answer only adds.
        """
        return min(self._differences, default=0.0)

    def adopt(self) -> bool:
        """A signature was refused: date the next ones by Huawei's clock. True if that makes a difference."""
        wanted = self.difference if abs(self.difference) > NAMED_FROM else 0.0
        if abs(wanted - self._correction) <= NAMED_FROM:
            return False
        self._correction = wanted
        return True

    def signing_time(self, unix_time: float) -> float:
        """What to date a signature with."""
        return unix_time + self._correction

    def sentence(self) -> str:
        """` This machine's clock is 16 minutes behind Huawei's.`, or nothing if the clocks agree."""
        minutes = round(abs(self.difference) / 60)
        if abs(self.difference) <= NAMED_FROM:
            return ""
        side = "behind" if self.difference > 0 else "ahead of"
        return f" This machine's clock is {minutes} minute{'s' if minutes != 1 else ''} {side} Huawei's."

    def __repr__(self) -> str:
        return f"<PlatformClock {self.difference:+.0f} s>"
