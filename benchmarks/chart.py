"""Draws bar charts as SVG, by hand: no library, the same bytes for the same figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Bars", "chart"]

_WIDTH, _LEFT, _RIGHT, _ROW, _BAR = 760, 222, 96, 26, 16
_INK, _SOFT, _OURS, _OTHERS, _FLOOR = "#1f2933", "#616e7c", "#0b7285", "#b8c4ce", "#7b8794"


@dataclass(frozen=True, slots=True)
class Bars:
    """One panel.

    Args:
        title: What is shown, with its unit.
        note: A smaller line below.
        rows: Label and value of each bar.
        form: How a value is written.
    """

    title: str
    note: str
    rows: Sequence[tuple[str, float]]
    form: str = "{:,.0f}"


def chart(panels: Sequence[Bars], about: str) -> str:
    """A picture with the panels below each other. `about` is for those who cannot see it."""
    parts: list[str] = []
    top = 18
    for panel in panels:
        piece, height = _panel(panel, top)
        parts.append(piece)
        top += height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" height="{top}" '
        f'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" role="img">\n'
        f"<title>{escape(about)}</title>\n"
        f'<rect width="{_WIDTH}" height="{top}" rx="8" fill="#ffffff"/>\n{"".join(parts)}</svg>\n'
    )


def _panel(panel: Bars, top: int) -> tuple[str, int]:
    longest = max(value for _, value in panel.rows)
    room = _WIDTH - _LEFT - _RIGHT
    lines = [
        _text(24, top + 16, panel.title, size=16, weight=600),
        _text(24, top + 36, panel.note, size=12, fill=_SOFT),
    ]
    y = top + 52
    for label, value in panel.rows:
        is_ours = label.startswith("directlane")
        is_floor = label.startswith(("raw", "bare"))
        length = max(2.0, value / longest * room)
        colour = _OURS if is_ours else _FLOOR if is_floor else _OTHERS
        weight = 600 if is_ours else 400
        middle = y + _BAR - 3
        lines.append(_text(_LEFT - 10, middle, label, size=13, weight=weight, anchor="end"))
        lines.append(f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_BAR}" rx="2" fill="{colour}"/>\n')
        lines.append(_text(_LEFT + length + 7, middle, panel.form.format(value), size=13, weight=weight))
        y += _ROW
    return "".join(lines), y - top + 20


def _text(
    x: float, y: float, text: str, *, size: int, weight: int = 400, fill: str = _INK, anchor: str = "start"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{fill}" '
        f'text-anchor="{anchor}">{escape(text)}</text>\n'
    )
