"""The load report that a server puts into its answer: the header `endpoint-load-metrics` (ORCA).

A server sends it if the request asked for it: `endpoint-load-metrics-format: text` (vLLM, Triton with TensorRT-LLM).
Two forms are read, `TEXT name=number, ...` and `JSON {...}`; the first word may be missing, as in some servers.
The binary form (a `BIN` value, or the header `endpoint-load-metrics-bin`) is ignored: we never ask for it.

A report is a hint from outside. Nothing that stands in it raises; what is no number from 0 to 10**18 was not said.

The names are those of the message `OrcaLoadReport` of the xDS project.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeGuard, cast

from .message import Headers, header

__all__ = ["ASK_FOR_REPORT", "LoadReport", "parse_load_report", "report_in"]

ASK_FOR_REPORT: Headers = (("endpoint-load-metrics-format", "text"),)
"""What a request says to get reports."""

_HEADER = "endpoint-load-metrics"

_LONGEST = 8192
"""Characters. A longer value is no load report; reading it would take longer than it helps."""

_MOST = 1e18
"""A larger number is nonsense, and balancers must be able to add some up."""

_NUMBER = re.compile(r"[+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_FORM = re.compile(r"(text|json|bin)\s+", re.IGNORECASE)

# The first reports of this kind had short names, and some servers still use them.
_SHORT = {
    "cpu": "cpu_utilization",
    "mem": "mem_utilization",
    "application": "application_utilization",
    "rps": "rps_fractional",
}

_NAMED = "named_metrics."


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a server said about its load. Every number is from 0 to 10**18.

    Args:
        values: By name: `cpu_utilization`, `mem_utilization`, `application_utilization` (shares of what it can do, 1 is
            all), `rps_fractional` and `eps` (calls and errors in a second, over all clients).
        named: What the server named itself (`named_metrics`), such as `num_requests_waiting`.
    """

    values: Mapping[str, float] = field(default_factory=dict[str, float])
    named: Mapping[str, float] = field(default_factory=dict[str, float])

    def sum_of(self, names: Iterable[str]) -> float | None:
        """The sum of these named metrics, as far as they are there; None if none of them is."""
        total: float | None = None
        for name in names:
            value = self.named.get(name)
            if value is not None:
                total = value if total is None else total + value
        return total


def report_in(headers: Headers) -> LoadReport | None:
    """The report of an answer; None if it has none, or none that can be read."""
    value = header(headers, _HEADER)
    return None if value is None else parse_load_report(value)


def parse_load_report(value: str) -> LoadReport | None:
    """The report in the value of a header; None if nothing of it can be used. Never raises."""
    if len(value) > _LONGEST:
        return None
    text = value.strip()
    form = _FORM.match(text)
    kind = form[1].lower() if form is not None else "json" if text.startswith("{") else "text"
    if form is not None:
        text = text[form.end() :]
    if kind == "bin":
        return None
    pairs = _pairs_of_json(text) if kind == "json" else _pairs_of_text(text)
    values: dict[str, float] = {}
    named: dict[str, float] = {}
    for name, number in pairs:
        if name.startswith(_NAMED):
            named[name.removeprefix(_NAMED)] = number
        elif "." not in name:  # `utilization.x` and `request_cost.x` are of no use to a balancer
            values[_SHORT.get(name, name)] = number
    return LoadReport(values, named) if values or named else None


def _pairs_of_text(text: str) -> Iterator[tuple[str, float]]:
    for pair in text.split(","):
        name, _, written = pair.partition("=")
        written = written.strip()
        if _NUMBER.fullmatch(written):
            number = float(written)
            if number <= _MOST:
                yield name.strip(), number


def _pairs_of_json(text: str) -> Iterator[tuple[str, float]]:
    try:
        data = cast("object", json.loads(text))
    except (ValueError, RecursionError):
        return
    if not isinstance(data, dict):
        return
    for name, value in cast("dict[str, object]", data).items():
        if isinstance(value, dict):
            for inner, number in cast("dict[str, object]", value).items():
                if _is_usable(number):
                    yield f"{name}.{inner}", float(number)
        elif _is_usable(value):
            yield name, float(value)


def _is_usable(value: object) -> TypeGuard[int | float]:
    # Compared before it is converted: a whole number of JSON may be too large for a float.
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST
