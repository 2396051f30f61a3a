"""Where the commands write: people's text to a console, machines' JSON to standard output, messages to standard error.

Rich respects NO_COLOR and writes plain text when the stream is no terminal.
"""

from __future__ import annotations

import json
import os
import re
import sys

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..endpoint import Endpoint

__all__ = ["console", "is_terminal", "name_of", "new_table", "say_error", "write_json"]

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters but line ends and tabs: what a server says must not steer the terminal."""


def console(*, stderr: bool = False) -> Console:
    """A console for a stream as it is now. Text is shown as it is: no markup, no emoji codes, no guessed highlights."""
    made = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = 120  # a file or a pipe has no width, and a cut address helps nobody
    return made


def new_table(*columns: str) -> Table:
    """A table in the style of all tables here: columns whose name begins with `>` are set to the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        is_number = column.startswith(">")
        table.add_column(column.removeprefix(">"), justify="right" if is_number else "left", overflow="fold")
    return table


def name_of(endpoint: Endpoint) -> str:
    """An endpoint for a narrow column: without the scheme that nearly all have."""
    return endpoint.url.removeprefix("http://")


def write_json(value: object) -> None:
    """Write one JSON value and a line end to standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def say_error(message: str, *, what: str = "error") -> None:
    """Write a message to standard error, its first word in colour."""
    colour = "bold red" if what == "error" else "yellow"
    clean = _UNPRINTABLE.sub("?", message)
    console(stderr=True).print(Text.assemble((f"{what}: ", colour), clean), soft_wrap=True)


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()
