"""The probe: one call that finds out if an endpoint that was ejected is well again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from ..load_report import LoadReport
from ..outcome import Outcome, Verdict
from ..resilience.ejection import Sign, sign_of
from .statistics import EndpointStats, Figures, Lease

__all__ = ["Probe", "ProbeStats"]


class _Patient(Protocol):
    """An endpoint that is to be found well or ill."""

    @property
    def id(self) -> str: ...

    @property
    def probe(self) -> Probe | None:
        """The probe that is to find out."""
        ...


class Probe:
    """The right to find out if an endpoint is well: one for each wait, in the hands of one call at a time.

    Args:
        patient: Of which endpoint.
        due: Where it lies until a call takes it.
        tell: Is told what the call says.
    """

    __slots__ = ("_due", "_patient", "_tell", "passed")

    def __init__(self, patient: _Patient, due: deque[Probe], tell: Callable[[Probe, Sign], None]) -> None:
        self._patient = patient
        self._due = due
        self._tell = tell
        self.passed: int = 0
        """Calls that could have gone elsewhere only with less room, and did not take it."""

    @property
    def id(self) -> str:
        """The endpoint's id."""
        return self._patient.id

    @property
    def is_current(self) -> bool:
        """Whether anybody still wants to know."""
        return self._patient.probe is self

    def settle(self, sign: Sign) -> None:
        """The call that had it ended."""
        self._tell(self, sign)

    def give_back(self) -> None:
        """The call that had it says nothing: the next one may. Takes no lock, for it may run wherever garbage is
        collected."""
        if self.is_current:
            self._due.append(self)


class ProbeStats(EndpointStats):
    """The statistics of an endpoint as its probe gets them: counts there, and tells how the probe went.

    A caller that vanishes without a word gives the probe back: this object dies with its attempt.
    """

    __slots__ = ("_real", "probe")

    def __init__(self, real: EndpointStats, probe: Probe) -> None:
        super().__init__()
        self.open: set[Lease] = real.open
        self._real = real
        self.probe: Probe | None = probe

    def record(self, outcome: Outcome, verdict: Verdict) -> None:
        """Count the attempt, and decide by it."""
        self._real.record(outcome, verdict)
        probe, self.probe = self.probe, None
        if probe is not None:
            probe.settle(sign_of(outcome, verdict))

    def take_report(self, load: LoadReport) -> None:
        """As ever."""
        self._real.take_report(load)

    def figures(self) -> Figures:
        """As ever."""
        return self._real.figures()

    def record_broken(self, error: Exception) -> None:
        """As ever: the answer had begun, and the probe is settled."""
        self._real.record_broken(error)

    def record_cancelled(self) -> None:
        """Count it, and let another call find out."""
        self._real.record_cancelled()
        self._give_back()

    def _give_back(self) -> None:
        probe, self.probe = self.probe, None
        if probe is not None:
            probe.give_back()

    def __del__(self) -> None:
        if getattr(self, "probe", None) is not None:  # not there if the constructor failed
            self._give_back()
