"""How the demo looks: one `Frame` in, something for rich out. Fits into 80 columns; wider, it breathes."""

from __future__ import annotations

from typing import Literal

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .demo_figures import Tally
from .demo_run import Event, Frame, Row, ServiceFrame
from .demo_story import BREAK, KILL, MEND

__all__ = ["FrameView", "event_line", "milliseconds", "summary", "totals_line"]

_LEVELS = "▁▂▃▄▅▆▇█"
_STATES = {
    "ready": ("● ready", "green"),
    "warming": ("◍ warming", "green"),
    "draining": ("◌ draining", "yellow"),
    "failing": ("▲ failing", "yellow"),
    "ejected": ("✖ ejected", "bold red"),
    "probing": ("✖ probing", "bold red"),
    "killed": ("✖ killed", "bold red"),
    "gone": ("✖ off the list", "dim"),
}
_DEAD = ("killed", "ejected", "probing", "gone")
_EVENTS = {
    "start": ("▶", "bold cyan"),
    "kill": ("✖", "bold red"),
    "break": ("▲", "bold yellow"),
    "mend": ("✔", "bold green"),
    "cloud": ("☁", "blue"),
    "client": ("·", "dim"),
}
_BARS = ("cyan", "magenta", "blue", "green")
_FIXED_LINES = 8
"""Lines of the display beside endpoints and events."""
_FEWEST_EVENTS = 3
_FULL_BAR = 0.5
"""The share that fills a bar, unless somebody has more."""


class FrameView:
    """One frame, as large as the console allows.

    Args:
        frame: What to show.
        events: Which events to show. Default: as many of the last as fit below the rest.
    """

    def __init__(self, frame: Frame, *, events: Literal["fitting", "all", "none"] = "fitting") -> None:
        self._frame = frame
        self._events = events

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        frame = self._frame
        width = min(options.max_width, 110)
        inner = width - 4
        rows = sum(len(service.rows) + 3 for service in frame.services)
        events = list(frame.events)
        if self._events == "fitting":
            events = events[-max(_FEWEST_EVENTS, console.height - rows - _FIXED_LINES) :]
        parts: list[RenderableType] = []
        for place, service in enumerate(frame.services):
            parts += [_service(service, inner, _BARS[place % len(_BARS)]), Text()]
        parts += [_curve(frame, inner), _timeline(frame, inner), Text(), totals_line(frame)]
        if self._events != "none":
            parts += [Text(), *(event_line(event, inner) for event in events)]
        yield Panel(
            Group(*parts),
            title=Text(" directlane demo ", "bold default not dim"),
            title_align="left",
            subtitle=Text(f" {frame.elapsed:.1f} of {frame.seconds:g} s ", "dim"),
            subtitle_align="right",
            border_style="dim",
            padding=(0, 1),
            width=width,
        )


def _service(service: ServiceFrame, width: int, colour: str) -> RenderableType:
    head = Table.grid(expand=True)
    head.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    head.add_column(justify="right", no_wrap=True)
    head.add_row(
        Text.assemble((service.name, f"bold {colour}"), "  ", (service.title, "dim")),
        _discovery(service),
    )
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    name_width = max([15, *(len(row.name) for row in service.rows)])
    table.add_column(no_wrap=True, width=name_width)
    table.add_column(no_wrap=True, width=14)
    table.add_column(no_wrap=True, ratio=1)
    for at_least in (6, 9, 6):
        table.add_column(no_wrap=True, justify="right", min_width=at_least)
    grey = "dim"
    table.add_row(*(Text(word, grey) for word in ("endpoint", "state", "calls now", "calls", "mean", "errors")))
    room = width - name_width - 14 - 6 - 9 - 6 - 10 - len("100% ")
    top = max([_FULL_BAR, *(row.recent_share for row in service.rows)])
    for row in service.rows:
        table.add_row(*_cells(row, _bar(row.recent_share / top, max(4, room)), colour))
    return Group(head, table)


def _discovery(service: ServiceFrame) -> Text:
    age = "no list" if service.list_age is None else f"list {service.list_age:.1f} s old"
    if service.is_discovery_broken:
        return Text.assemble((f"▲ discovery fails · {age}, still in use", "bold yellow"))
    return Text.assemble(("✔ ", "green"), ("discovery works · ", "dim"), (age, "dim"))


def _cells(row: Row, bar: str, colour: str) -> list[Text]:
    words, style = _STATES[row.state]
    is_dead = row.state in _DEAD
    share = Text.assemble(
        (f"{row.recent_share * 100:3.0f}% ", "dim" if is_dead else ""),
        (bar, colour),
    )
    return [
        Text(row.name, "dim" if is_dead else ""),
        Text(words, style),
        share,
        Text(f"{row.calls:,}", "dim" if is_dead else ""),
        Text(milliseconds(row.mean_ms), "dim" if is_dead else ""),
        Text(f"{row.errors:,}", "red" if row.errors else "dim"),
    ]


def _bar(share: float, width: int) -> str:
    """A bar in steps of half a character."""
    whole, half = divmod(round(max(0.0, min(1.0, share)) * width * 2), 2)
    return ("━" * whole + "╸" * half).ljust(width)


def _curve(frame: Frame, width: int) -> Text:
    """Requests per second over the whole time."""
    label, number = "requests/s  ", f"{frame.rate:8,.0f}"
    room = width - len(label) - len(number)
    top = max(frame.rates, default=1.0) or 1.0
    cells: list[str] = []
    for cell in range(room):
        place = cell * frame.slices // room
        if place >= len(frame.rates):
            cells.append(" ")
        else:
            cells.append(_LEVELS[max(0, min(7, round(frame.rates[place] / top * 7)))])
    return Text.assemble((label, "dim"), ("".join(cells), "cyan"), (number, "bold"))


def _timeline(frame: Frame, width: int) -> Text:
    """What happened to the clouds, below the curve."""
    label = "the clouds  "
    room = width - len(label) - 8
    line = Text.assemble((label, "dim"))
    for cell in range(room):
        share, following = cell / room, (cell + 1) / room
        if share * frame.seconds > frame.elapsed:
            line.append(" ")
        elif share <= KILL < following:
            line.append("✖", "bold red")
        elif BREAK <= share < MEND:
            line.append("▒", "yellow")
        elif share <= MEND < following or (share >= MEND and (cell - 1) / room < MEND):
            line.append("✔", "bold green")
        else:
            line.append("─", "dim")
    return line


def totals_line(frame: Frame) -> Text:
    """The figures of all calls in one line."""
    total = frame.total
    failed = ("0 failed", "bold green") if not total.failed else (f"{total.failed:,} failed", "bold red")
    return Text.assemble(
        (f"{total.requests:,} requests", "bold"),
        (" · ", "dim"),
        failed,
        (" · ", "dim"),
        f"{total.retried:,} sent elsewhere",
        (" · ", "dim"),
        _percentiles(total),
    )


def _percentiles(tally: Tally) -> str:
    half, most = (milliseconds(tally.latencies.percentile(share)) for share in (0.5, 0.99))
    return f"p50 {half}, p99 {most}"


def milliseconds(value: float | None) -> str:
    """Milliseconds for a narrow column; a dash if there is no value."""
    if value is None:
        return "-"
    return f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"


def event_line(event: Event, width: int) -> Text:
    """One event in one line, cut if need be."""
    sign, style = _EVENTS[event.kind]
    text_style = "dim" if event.kind == "client" else ""
    line = Text.assemble((f"{event.at:5.1f} s ", "dim"), (f" {sign} ", style), (event.text, text_style))
    line.truncate(width, overflow="ellipsis")
    return line


def summary(frame: Frame, config: str) -> Text:
    """The last words."""
    total = frame.total
    dead = [row for service in frame.services for row in service.rows if row.state in _DEAD]
    verdict = (
        ("✔ No call failed", "bold green")
        if not total.failed
        else (f"✖ {total.failed:,} of {total.requests:,} calls failed", "bold red")
    )
    died = f"{len(dead)} instance{'s' * (len(dead) != 1)} died"
    broke = f"discovery failed {frame.discovery_failures} times"
    text = Text.assemble(verdict, f", although {died} and {broke}.\n" if not total.failed else f". {died}, {broke}.\n")
    text.append(f"  The configuration is in {config}; copy it to begin your own.\n", "dim")
    text.append("  Go on: ", "dim")
    return text.append("directlane emulate", "bold").append(" runs both clouds for you to call.", "dim")
