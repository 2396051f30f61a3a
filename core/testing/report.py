"""What the kit has shown of each plug-in: for a terminal, as JSON, and as a badge. Values and texts only: no I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html import escape

__all__ = ["Report", "RuleResult", "Shown"]


@dataclass(frozen=True, slots=True)
class RuleResult:
    """How one rule ended, for one set of parameters.

    Args:
        rule: Name of the test, with its parameters.
        outcome: `kept`, `broken`, or `not shown`.
        reason: For a broken rule its text; for one that was not shown, why.
    """

    rule: str
    outcome: str
    reason: str = ""


@dataclass(slots=True)
class Shown:
    """What was shown of one case. Mutable state: the results.

    Args:
        case: The test class.
        contract: Which contract: `provider`, `balancer`, `transport`, `store`.
        about: Name of the plug-in, as far as the case tells.
        capabilities: What the case claims.
    """

    case: str
    contract: str
    about: str = ""
    capabilities: tuple[str, ...] = ()
    results: list[RuleResult] = field(default_factory=list[RuleResult])

    def of(self, outcome: str) -> list[RuleResult]:
        """The results with this outcome."""
        return [result for result in self.results if result.outcome == outcome]


@dataclass(slots=True)
class Report:
    """All cases of a run. Mutable state: the cases.

    Args:
        version: Of directlane.
        hook_version: Of the hooks.
    """

    version: str
    hook_version: int
    cases: dict[str, Shown] = field(default_factory=dict[str, Shown])

    @property
    def is_kept(self) -> bool:
        """Whether something was shown and nothing was broken."""
        results = [result for case in self.cases.values() for result in case.results]
        return any(result.outcome == "kept" for result in results) and not any(
            result.outcome == "broken" for result in results
        )

    def lines(self) -> list[str]:
        """For a terminal: one line for each case, and one for each reason why a rule was not shown."""
        lines: list[str] = []
        for case in self.cases.values():
            kept, broken, missing = (case.of(outcome) for outcome in ("kept", "broken", "not shown"))
            claims = f" ({', '.join(case.capabilities)})" if case.capabilities else ""
            lines.append(
                f"{case.contract} {case.about or case.case}{claims}: "
                f"{len(kept)} kept, {len(broken)} broken, {len(missing)} not shown"
            )
            lines += [f"    broken: {result.rule}" for result in broken]
            reasons: dict[str, int] = {}
            for result in missing:
                reasons[result.reason] = reasons.get(result.reason, 0) + 1
            lines += [f"    not shown, {count} times: {reason}" for reason, count in reasons.items()]
        return lines

    def to_json(self) -> str:
        """The whole report. The form is kept within a hook version."""
        cases = [
            {
                "case": case.case,
                "contract": case.contract,
                "about": case.about,
                "capabilities": list(case.capabilities),
                "kept": [result.rule for result in case.of("kept")],
                "broken": [{"rule": result.rule, "reason": result.reason} for result in case.of("broken")],
                "not_shown": [{"rule": result.rule, "reason": result.reason} for result in case.of("not shown")],
            }
            for case in self.cases.values()
        ]
        whole = {
            "directlane": self.version,
            "hook_version": self.hook_version,
            "is_kept": self.is_kept,
            "cases": cases,
        }
        return json.dumps(whole, indent=2) + "\n"

    def to_svg(self) -> str:
        """A badge: what was tried against, and whether it holds."""
        left = f"directlane {self.version} contract"
        kept = sum(len(case.of("kept")) for case in self.cases.values())
        broken = sum(len(case.of("broken")) for case in self.cases.values())
        right = f"{kept} rules kept" if self.is_kept else f"{broken} broken" if broken else "nothing shown"
        colour = "#2e7d32" if self.is_kept else "#c62828" if broken else "#757575"
        first, second = (7 * len(text) + 14 for text in (left, right))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{first + second}" height="20" role="img">'
            f"<title>{escape(left)}: {escape(right)}</title>"
            f'<rect width="{first}" height="20" fill="#424242"/>'
            f'<rect x="{first}" width="{second}" height="20" fill="{colour}"/>'
            '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
            f'<text x="{first / 2:g}" y="14">{escape(left)}</text>'
            f'<text x="{first + second / 2:g}" y="14">{escape(right)}</text></g></svg>\n'
        )
