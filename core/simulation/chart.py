"""Draws what balancers made of one scenario: latencies above, shares of the servers below. SVG, no library.

Colours are those of Okabe and Ito, which people with any colour vision can tell apart; each mark has a form of its own
as well. Latencies stand on a logarithmic axis, since balancers differ by factors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from textwrap import wrap

from .figures import SimulationResult
from .svg import INK, SOFT, Canvas

__all__ = ["chart"]

_WIDTH = 920
_LEFT = 216
_RIGHT = 676
_COLUMNS = (730, 784, 838, 900)
_GRID, _BAND, _BAR = "#d9e0e6", "#9aa5b1", "#56b4e9"
_PERCENTILES = ((50, "p50", "#0072b2"), (90, "p90", "#009e73"), (99, "p99", "#d55e00"), (99.9, "p99.9", "#a0457a"))
_ROW = 34
_STRIP = 46
_LONGEST = 28
"""Characters of a balancer's name, and of its settings, that have room on the left."""


def chart(title: str, note: str, results: Mapping[str, SimulationResult]) -> str:
    """A picture of the results, as SVG text.

    Args:
        title: The scenario.
        note: A smaller line below: its sentence, the seed and whatever else a reader needs to make the picture again.
        results: One or more of the same scenario, in the order from top to bottom, by the name of the balancer with its
            settings, if any, in brackets behind it.
    """
    canvas = Canvas(_WIDTH)
    canvas.text(24, 34, title, size=19, bold=True)
    y = 56.0
    for line in wrap(note, 130):
        canvas.text(24, y, line, size=13, fill=SOFT)
        y += 18
    y = _latencies(canvas, y + 14, results)
    y = _shares(canvas, y + 26, results)
    about = "; ".join(f"{label}: p50 {_seconds(each.p50)}, p99 {_seconds(each.p99)}" for label, each in results.items())
    return canvas.picture(y, f"{title}. {about}")


def _latencies(canvas: Canvas, y: float, results: Mapping[str, SimulationResult]) -> float:
    canvas.text(24, y, "Latency of the answered calls, in seconds", size=15, bold=True)
    x: float = _LEFT
    for _, name, colour in _PERCENTILES:
        _mark(canvas, x + 6, y + 19, name, colour)
        canvas.text(x + 18, y + 23, name, size=12, fill=SOFT)
        x += 62
    for column, name in zip(_COLUMNS, ("p50", "p99", "p99.9", "failed"), strict=True):
        canvas.text(column, y + 23, name, size=12, fill=SOFT, anchor="end")
    top = y + 34
    bottom = top + _ROW * len(results)
    found = [each.percentile(percent) for each in results.values() if each.latencies for percent, *_ in _PERCENTILES]
    ticks = _ticks(min(found, default=1.0), max(found, default=1.0))
    low, high = math.log(ticks[0]), math.log(ticks[-1])

    def place(value: float) -> float:
        return _LEFT + (math.log(max(value, ticks[0])) - low) / (high - low) * (_RIGHT - _LEFT)

    for tick in ticks:
        canvas.line(place(tick), top, place(tick), bottom, stroke=_GRID)
        canvas.text(place(tick), bottom + 17, f"{tick:g} s", size=12, fill=SOFT, anchor="middle")
    for row, (label, result) in enumerate(results.items()):
        middle = top + _ROW * row + _ROW / 2
        _name(canvas, middle, label)
        failed = (result.failed + result.nobody) / result.calls if result.calls else 0.0
        columns = [_seconds(result.p50), _seconds(result.p99), _seconds(result.percentile(99.9)), f"{failed:.2%}"]
        for column, text in zip(_COLUMNS, columns, strict=True):
            canvas.text(column, middle + 4, text, anchor="end")
        if result.latencies:
            points = [place(result.percentile(percent)) for percent, *_ in _PERCENTILES]
            for left, right in pairwise(points):
                canvas.line(left, middle, right, middle, stroke=_BAND, width=2)
            for x, (_, name, colour) in reversed(list(zip(points, _PERCENTILES, strict=True))):
                _mark(canvas, x, middle, name, colour)
    return bottom + 30


def _shares(canvas: Canvas, y: float, results: Mapping[str, SimulationResult]) -> float:
    names = list(next(iter(results.values())).servers)
    canvas.text(24, y, "Share of the attempts that each server got", size=15, bold=True)
    canvas.box(_LEFT, y + 13, 12, 11, fill=_BAR)
    canvas.text(_LEFT + 18, y + 23, "share", size=12, fill=SOFT)
    canvas.line(_LEFT + 66, y + 18, _LEFT + 84, y + 18, stroke=INK, width=2)
    canvas.text(_LEFT + 90, y + 23, "fair share by weight, while listed", size=12, fill=SOFT)
    has_keys = not all(math.isnan(each.kept) for each in results.values())
    if has_keys:
        canvas.text(_COLUMNS[1], y + 23, "keys kept", size=12, fill=SOFT, anchor="end")
    canvas.text(_COLUMNS[-1], y + 23, "worst deviation", size=12, fill=SOFT, anchor="end")
    y += 36
    step = (_RIGHT - _LEFT) / len(names)
    for label, result in results.items():
        base = y + _STRIP
        # Each strip has its own scale: one balancer that crowds a server would make the others flat.
        most = max(max(each.share, each.fair_share) for each in result.servers.values())
        grid = 0.05 if most > 0.05 else 0.01
        most = max(1, math.ceil(most / grid)) * grid
        _name(canvas, base - _STRIP / 2 + 4, label)
        canvas.text(_RIGHT + 8, y + 14, f"{most:.0%}", size=11, fill=SOFT)
        canvas.line(_LEFT, y + 10, _RIGHT, y + 10, stroke=_GRID)
        room = _STRIP - 10
        for number, (name, server) in enumerate(result.servers.items()):
            x = _LEFT + step * number + step * 0.15
            height = server.share / most * room
            tip = f"{name}: {server.share:.1%}, fair {server.fair_share:.1%}"
            canvas.box(x, base - height, step * 0.7, height, fill=_BAR, tip=tip)
            fair = base - server.fair_share / most * room
            canvas.line(x - step * 0.08, fair, x + step * 0.78, fair, stroke=INK, width=2)
        canvas.line(_LEFT, base, _RIGHT, base, stroke=_BAND)
        if has_keys:
            kept = "none" if math.isnan(result.kept) else f"{result.kept:.0%}"
            canvas.text(_COLUMNS[1], base - _STRIP / 2 + 8, kept, anchor="end")
        canvas.text(_COLUMNS[-1], base - _STRIP / 2 + 8, f"{result.worst_deviation:.0%}", anchor="end")
        y = base + 6
    return _server_names(canvas, y, names, step)


def _server_names(canvas: Canvas, y: float, names: Sequence[str], step: float) -> float:
    is_turned = max(map(len, names)) * 7 > step
    every = max(1, math.ceil(14 / step))  # turned names need 14 pixels each: of a large fleet, some are named
    for number, name in list(enumerate(names))[::every]:
        x = _LEFT + step * (number + 0.5)
        if is_turned:
            canvas.text(x + 4, y + 6, name, size=11, fill=SOFT, anchor="end", turned=-60)
        else:
            canvas.text(x, y + 12, name, size=11, fill=SOFT, anchor="middle")
    return y + (16 + 6 * max(map(len, names)) if is_turned else 26)


def _mark(canvas: Canvas, x: float, y: float, name: str, colour: str) -> None:
    if name == "p50":
        canvas.dot(x, y, 6, fill=colour)
    elif name == "p90":
        canvas.shape([(x - 5, y - 5), (x + 5, y - 5), (x + 5, y + 5), (x - 5, y + 5)], fill=colour)
    elif name == "p99":
        canvas.shape([(x, y - 7), (x + 7, y), (x, y + 7), (x - 7, y)], fill=colour)
    else:
        canvas.shape([(x - 6, y + 5), (x, y - 7), (x + 6, y + 5)], fill=colour)


def _ticks(least: float, most: float) -> list[float]:
    """Round values (1, 2, 5 and so on) that enclose both; only powers of ten if there would be many."""
    first = math.floor(math.log10(least))
    last = math.ceil(math.log10(most)) + 1
    steps = (1, 2, 5) if most / least < 2000 else (1,)
    values = [digit * 10.0**power for power in range(first, last + 1) for digit in steps]
    begin = max((place for place, value in enumerate(values) if value <= least), default=0)
    end = next(place for place, value in enumerate(values) if value > most)
    return values[begin : end + 1]


def _seconds(value: float) -> str:
    if math.isnan(value):
        return "none"
    return f"{value:.2f} s" if value < 1 else f"{value:.1f} s" if value < 100 else f"{value:.0f} s"


def _name(canvas: Canvas, middle: float, label: str) -> None:
    """The balancer, and its settings in a smaller line below."""
    kind, _, settings = label.partition(" (")
    canvas.text(_LEFT - 14, middle + (-2 if settings else 4), _short(kind), anchor="end")
    if settings:
        canvas.text(_LEFT - 14, middle + 12, _short(settings.removesuffix(")")), size=11, fill=SOFT, anchor="end")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
