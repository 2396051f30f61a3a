"""Weights from what servers report: calls in a second for each unit of load (gRPC proposals A58 and A114).

    weight = calls a second / (utilisation + errors a second / calls a second * penalty)

A server that does the same at half the load can do twice as much. A report counts only after some time of reports (the
first ones of a fresh server mislead) and not for ever. Who has no weight of this kind gets the mean of those that have,
times its configured share; and with fewer than two that have one, the configured weights hold for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum

from ..core.interfaces.balancer import Member
from ..core.load_report import LoadReport

__all__ = ["ReportRules", "ReportWeights", "weight_of"]

_LEAST, _MOST = 0.01, 10.0
"""Bounds in means, as in gRPC's core: no report, however odd, takes all calls or none."""

_SMALLEST, _LARGEST = 1e-30, 1e30
"""Beyond these a report is nonsense, and sums of such weights would not be numbers any more."""


@dataclass(frozen=True, slots=True)
class ReportRules:
    """How reports become weights.

    Args:
        metrics: Named metrics of which the largest is the utilisation.
        penalty: What an error for each call adds to the utilisation.
        blackout: Seconds of reports before they count.
        expiry: Seconds after which a report does not count any more.
    """

    metrics: Sequence[str]
    penalty: float
    blackout: float
    expiry: float


@dataclass(frozen=True, slots=True)
class ReportWeights:
    """The weights at one moment.

    Args:
        weights: One for each member.
        since: By id, when the reports that still count began.
    """

    weights: list[float]
    since: Mapping[str, float] = field(default_factory=dict[str, float])

    @classmethod
    def at(
        cls, now: float, members: Sequence[Member], before: Mapping[str, float], rules: ReportRules
    ) -> ReportWeights:
        """The weights of these members; `before` is the `since` of the last time."""
        reported: list[float | None] = []
        since: dict[str, float] = {}
        for member in members:
            report = member.load.report
            weight = None
            if report is not None and now - report.at < rules.expiry:
                weight = weight_of(report.load, rules)
            if report is not None and weight is not None:
                name = member.endpoint.id
                since[name] = before.get(name, report.at)
                if now - since[name] < rules.blackout:
                    weight = None
            reported.append(weight)
        known = [weight for weight in reported if weight is not None]
        if len(known) < 2:
            return cls([member.weight for member in members], since)
        mean = fsum(known) / len(known)
        usual = fsum(member.weight for member in members) / len(members)
        return cls(
            [
                mean * member.weight / usual if weight is None else min(max(weight, _LEAST * mean), _MOST * mean)
                for member, weight in zip(members, reported, strict=True)
            ],
            since,
        )


def weight_of(load: LoadReport, rules: ReportRules) -> float | None:
    """The weight that a report stands for; None if it does not say enough. Zeros count as not said."""
    calls = load.values.get("rps_fractional")
    utilisation = (
        max((load.named.get(name, 0.0) for name in rules.metrics), default=0.0)
        or load.values.get("application_utilization")
        or load.values.get("cpu_utilization")
    )
    if not calls or not utilisation:
        return None
    weight = calls / (utilisation + load.values.get("eps", 0.0) / calls * rules.penalty)
    return weight if _SMALLEST < weight < _LARGEST else None
