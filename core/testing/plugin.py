"""The pytest plug-in of the kit: fixtures, and a report of what the contracts have shown.

It is no entry point of pytest: installing directlane changes nobody's tests. Ask for it with
`-p directlane.testing.plugin`, in `addopts` or on the command line.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import cast

import pytest

from ..plugins.hooks import HOOK_VERSION
from ..version import __version__
from .fixtures import directlane_clouds, emulated_eas, emulated_modelarts, faults
from .report import Report, RuleResult, Shown

__all__ = [
    "directlane_clouds",
    "emulated_eas",
    "emulated_modelarts",
    "faults",
    "pytest_addoption",
    "pytest_configure",
]

_CONTRACTS = ("Provider", "Balancer", "Transport", "AsyncTransport", "Store", "Emulator")
_PROPERTY = "directlane_contract"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--directlane-report` and `--directlane-badge`."""
    group = parser.getgroup("directlane", "conformance kit of directlane")
    group.addoption("--directlane-report", metavar="FILE", help="Write what the contracts have shown, as JSON.")
    group.addoption("--directlane-badge", metavar="FILE", help="Write a badge, as SVG.")


def pytest_configure(config: pytest.Config) -> None:
    """Begin a report; in a worker of pytest-xdist nothing is written, its results reach the main process."""
    config.pluginmanager.register(_Reporter(config, Report(__version__, HOOK_VERSION)), "directlane-report")


class _Reporter:
    """Collects the results of contract tests. Mutable state: the report."""

    def __init__(self, config: pytest.Config, report: Report) -> None:
        self._config = config
        self._report = report

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Say which case a test belongs to: in the result itself, so that it crosses processes."""
        del call
        report = yield
        told = _about(item)
        if told is not None:
            report.user_properties.append((_PROPERTY, told))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the result of one test in."""
        told = next((value for name, value in report.user_properties if name == _PROPERTY), None)
        if told is None or (report.when != "call" and report.passed):
            return
        case, rule, contract, about, capabilities = cast("tuple[str, str, str, str, list[str]]", told)
        shown = self._report.cases.setdefault(case, Shown(case, contract, about, tuple(capabilities)))
        if report.skipped:
            longrepr = report.longrepr
            reason = str(longrepr[2]) if isinstance(longrepr, tuple) else ""
            shown.results.append(RuleResult(rule, "not shown", reason.removeprefix("Skipped: ")))
        elif report.passed:
            shown.results.append(RuleResult(rule, "kept"))
        else:
            crash = getattr(report.longrepr, "reprcrash", None)
            shown.results.append(RuleResult(rule, "broken", str(getattr(crash, "message", ""))[:500]))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The summary, below those of pytest."""
        if self._report.cases:
            terminalreporter.section(f"directlane {self._report.version}, hook version {self._report.hook_version}")
            for line in self._report.lines():
                terminalreporter.write_line(line)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the files that were asked for."""
        if hasattr(session.config, "workerinput"):
            return
        for option, make in (("directlane_report", self._report.to_json), ("directlane_badge", self._report.to_svg)):
            path = cast("str | None", self._config.getoption(option))
            if path is not None:
                Path(path).write_text(make(), "utf-8")


def _about(item: pytest.Item) -> tuple[str, str, str, str, list[str]] | None:
    """Case, rule, contract, name and capabilities of a contract test; None for every other test."""
    case = cast("type | None", getattr(item, "cls", None))
    if case is None:
        return None
    contracts = {f"{word}Contract": word.removeprefix("Async").lower() for word in _CONTRACTS}
    found = [contracts[base.__name__] for base in case.__mro__ if base.__name__ in contracts and _is_ours(base)]
    if not found:
        return None
    name = f"{getattr(getattr(case, 'model', None), 'kind', '')} {case.__name__}".strip()
    # Not cut out of the node id: a parameter may be an IPv6 address, with `::` in it.
    return f"{item.nodeid.partition('::')[0]}::{case.__qualname__}", item.name, found[0], name, _claims_of(case)


def _claims_of(case: type) -> list[str]:
    """What a case claims; nothing if it cannot say, since its own rules will tell that."""
    try:
        return sorted(cast("frozenset[str]", getattr(case(), "claimed", frozenset[str]())))
    except (Exception, pytest.skip.Exception):  # noqa: BLE001  # a stranger's case
        return []


def _is_ours(base: type) -> bool:
    return base.__module__.startswith("directlane.core.testing")
