"""How long to wait for an attempt before a second one runs beside it. Decisions only.

With a percentile, the latencies of recent first attempts are kept. An attempt that lost against its hedge never showed
its latency: it counts with the time until it lost, which is above the limit. Without it, the slow attempts would be
missing, the limit would sink, and more and more calls would be hedged.
"""

from __future__ import annotations

import math
import threading
from collections import deque

from ..config.hedge import HedgeSettings

__all__ = ["Hedging"]

_KEPT = 500
"""Latencies that are remembered: enough for the 99th percentile, few enough to sort."""

_EACH = 20
"""The limit is worked out again after so many new ones."""


class _Recent:
    """The latencies of recent attempts. Mutable state: all of it changes in `add`, under `_lock`."""

    __slots__ = ("_fresh", "_kept", "_lock", "_minimum", "_share", "limit")

    def __init__(self, percentile: float, minimum: int) -> None:
        self._share = percentile / 100
        self._minimum = minimum
        self._kept: deque[float] = deque(maxlen=_KEPT)
        self._fresh = 0
        self._lock = threading.Lock()
        self.limit: float | None = None

    def add(self, seconds: float) -> None:
        with self._lock:
            self._kept.append(seconds)
            self._fresh += 1
            if len(self._kept) < self._minimum or (self.limit is not None and self._fresh < _EACH):
                return
            self._fresh = 0
            ordered = sorted(self._kept)
            self.limit = ordered[min(math.ceil(self._share * len(ordered)), len(ordered)) - 1]


class Hedging:
    """Says when a hedge is due. Whole answers and first events of streams are told apart.

    Args:
        settings: The rule.
    """

    __slots__ = ("_after", "_events", "_whole")

    def __init__(self, settings: HedgeSettings) -> None:
        self._after = settings.after
        percentile = settings.percentile
        self._whole = None if percentile is None else _Recent(percentile, settings.minimum_samples)
        self._events = None if percentile is None else _Recent(percentile, settings.minimum_samples)

    def after(self, *, is_streamed: bool) -> float | None:
        """Seconds from the start of an attempt until its hedge is due; None if there must be none."""
        recent = self._events if is_streamed else self._whole
        return self._after if recent is None else recent.limit

    def record(self, seconds: float, *, is_streamed: bool) -> None:
        """How long a first attempt took that went well, or until it lost against its hedge."""
        recent = self._events if is_streamed else self._whole
        if recent is not None:
            recent.add(seconds)
