"""`directlane emulate`: emulated clouds to call by hand."""

from __future__ import annotations

import threading
from pathlib import Path

import click

from ..plugins.registry import load_plugins
from .clouds import CLOUDS, check_place, config_text, started, write_config
from .output import say_error
from .signals import Terminated, terminable

__all__ = ["emulate"]

_DEFAULT_FILE = "directlane-emulate.toml"

_HELP = """Start emulated clouds on loopback, print a configuration file that is ready for use, and run until
interrupted (Ctrl-C or SIGTERM). Every instance is a process of its own: kill one and see.

The first lines of the file, as comments, set the variables that it refers to; run them in the terminal that calls.

\b
Examples:
  directlane emulate -o directlane-emulate.toml
  directlane emulate --cloud static --instances 5
"""


@click.command(help=_HELP, short_help="Run emulated clouds to call by hand.")
@click.option("-o", "--output", metavar="FILE", help="Write the configuration to this file as well.")
@click.option(
    "--cloud",
    "kinds",
    metavar="PROVIDER",
    multiple=True,
    help=f"A provider whose cloud to emulate; repeatable. Default: {' and '.join(CLOUDS)}.",
)
@click.option(
    "--instances", type=click.IntRange(1, 50), default=3, show_default=True, help="Instances of each service."
)
def emulate(*, output: str | None, kinds: tuple[str, ...], instances: int) -> None:
    wanted = tuple(dict.fromkeys(kinds)) or tuple(CLOUDS)
    if output is not None:
        check_place(Path(output))
    try:
        with terminable(), started(load_plugins(), wanted, instances) as clouds:
            text = config_text(clouds, command="emulate", file=output or _DEFAULT_FILE, discovery={})
            if output is not None:
                write_config(Path(output), text)
            click.echo(text)
            where = f"; the configuration is in {output}" if output is not None else ""
            say_error(f"{len(clouds)} emulated clouds are running{where}. Ctrl-C ends them.", what="ready")
            threading.Event().wait()
    except Terminated:
        return
