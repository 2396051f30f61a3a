"""Options that several commands share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from ..errors import DirectlaneError
from ..fields import parse_duration

__all__ = ["BadInput", "config_option", "duration_value", "found_config_file", "json_option"]

_F = TypeVar("_F", bound=Callable[..., object])

DEFAULT_FILE = "directlane.toml"
VARIABLE = "DIRECTLANE_CONFIG"
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


class BadInput(DirectlaneError):
    """What was given on the command line cannot be used. The text ends with the next step."""


def duration_value(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """The callback of an option that holds a duration above 0, such as `5s`; a plain number means seconds."""
    if value is None:
        return None
    text = value.strip()
    try:
        seconds = parse_duration(float(text) if _NUMBER.fullmatch(text) else text)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    if seconds <= 0:
        raise click.BadParameter("the duration must be above 0", ctx, param)
    return seconds


def found_config_file(given: str | None) -> str | None:
    """The configuration that is meant: what was given, what the variable names, or the file of the default name."""
    return given or os.environ.get(VARIABLE) or (DEFAULT_FILE if Path(DEFAULT_FILE).exists() else None)


def _config_file(ctx: click.Context, param: click.Parameter, value: str | None) -> str:
    del ctx, param
    found = found_config_file(value)
    if found is not None:
        return found
    raise BadInput(
        f"no configuration file: none was given, {VARIABLE} is not set, and there is no ./{DEFAULT_FILE}\n"
        "Next: give one with -c FILE, or see one at work with `directlane demo`."
    )


def config_option(command: _F) -> _F:
    """`-c FILE`; the command gets `config_file`."""
    option = click.option(
        "-c",
        "--config",
        "config_file",
        metavar="FILE",
        callback=_config_file,
        help=f"The configuration. Default: what {VARIABLE} names, or ./{DEFAULT_FILE}.",
    )
    return option(command)


def json_option(command: _F) -> _F:
    """`--json`; the command gets `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")(command)
