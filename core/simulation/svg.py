"""The few shapes that a chart needs, as SVG text. The same shapes give the same bytes.

A plotting library would bring tens of megabytes and pictures that change with its version; these are five shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

__all__ = ["INK", "SOFT", "Canvas"]

INK = "#1f2933"
"""Text and axes."""
SOFT = "#52606d"
"""Text that is read second; dark enough on white (6.5 : 1)."""
_FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"


class Canvas:
    """A white picture that shapes are put on, the first at the bottom.

    Args:
        width: In pixels; the height is given at the end, when it is known.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._shapes: list[str] = []

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: int = 13,
        bold: bool = False,
        fill: str = INK,
        anchor: str = "start",
        turned: float = 0,
    ) -> None:
        """A line of text; `y` is its base line, `anchor` start, middle or end, `turned` in degrees."""
        weight = ' font-weight="600"' if bold else ""
        turn = f' transform="rotate({turned:g} {x:.1f} {y:.1f})"' if turned else ""
        self._shapes.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}"{weight} fill="{fill}" text-anchor="{anchor}"{turn}>'
            f"{escape(text)}</text>"
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, *, stroke: str, width: float = 1) -> None:
        """A straight line."""
        self._shapes.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" '
            f'stroke-width="{width:g}"/>'
        )

    def box(self, x: float, y: float, width: float, height: float, *, fill: str, tip: str = "") -> None:
        """A rectangle; `tip` is shown by browsers when the mouse is over it."""
        inside = f"><title>{escape(tip)}</title></rect>" if tip else "/>"
        self._shapes.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"{inside}'
        )

    def shape(self, points: Sequence[tuple[float, float]], *, fill: str) -> None:
        """A filled shape with these corners."""
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._shapes.append(f'<polygon points="{corners}" fill="{fill}" stroke="#ffffff" stroke-width="1"/>')

    def dot(self, x: float, y: float, radius: float, *, fill: str) -> None:
        """A filled circle."""
        self._shapes.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{fill}" stroke="#ffffff" stroke-width="1"/>'
        )

    def picture(self, height: float, about: str) -> str:
        """The whole picture; `about` is for those who cannot see it."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {height:.0f}" width="{self.width}" '
            f'height="{height:.0f}" font-family="{_FONT}" role="img">\n<title>{escape(about)}</title>\n'
            f'<rect width="{self.width}" height="{height:.0f}" fill="#ffffff"/>\n'
            + "\n".join(self._shapes)
            + "\n</svg>\n"
        )
