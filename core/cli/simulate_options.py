"""What is given to `directlane simulate`, checked before anything runs."""

from __future__ import annotations

from pathlib import Path

import click

from ..os_reason import os_reason
from ..plugins.registry import nearest
from ..simulation import Keys, Recorded, UniformKeys, ZipfKeys
from ..simulation.stock import STOCK
from .options import BadInput

__all__ = ["chosen_keys", "picture_path", "rate_value", "recorded_calls", "scenario_name"]

_LONGEST = 1e9
"""Seconds: what is longer than thirty years is a mistake of units."""


def scenario_name(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """The callback of the scenario; `heavy_tail` is as good as `heavy-tail`."""
    del ctx, param
    name = value.lower().replace("_", "-")
    if name in STOCK:
        return name
    near = nearest(name, STOCK)
    guess = f"; did you mean {near!r}?" if near else ""
    raise BadInput(f"there is no scenario {value!r}{guess}\nNext: take one of {', '.join(STOCK)}.")


def rate_value(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """The callback of `--rate`: a number above 0 with which time can still be counted."""
    if value is not None and not 1e-6 <= value <= 1e6:
        raise click.BadParameter(f"{value:g} is not a number of calls in a second (0.000001 to 1,000,000)", ctx, param)
    return value


def chosen_keys(count: int | None, exponent: float | None) -> Keys | None:
    """The keys of `--keys` and `--zipf`; None if neither was given."""
    if count is None and exponent is None:
        return None
    count = UniformKeys().count if count is None else count
    if exponent is None:
        return UniformKeys(count)
    try:
        return ZipfKeys(count, exponent)
    except ValueError as error:
        raise BadInput(f"--zipf: {error}\nNext: give a number such as 1.1.") from None


def picture_path(ctx: click.Context, param: click.Parameter, value: str | None) -> Path | None:
    """The callback of `--plot`: a file that a chart can be written to. Nothing is left there yet."""
    del ctx, param
    if value is None:
        return None
    path = Path(value)
    if path.suffix.lower() != ".svg":
        raise BadInput(
            f"cannot draw {path}: a chart is an SVG picture\n"
            "Next: give a name that ends with .svg; every browser shows it, and many programs turn it into PNG or PDF."
        )
    try:
        is_new = not path.exists()
        path.open("a").close()
        if is_new:
            path.unlink()
    except OSError as error:
        raise BadInput(
            f"cannot write {path}: {os_reason(error)}\nNext: give a file in a folder that exists and may be written to."
        ) from None
    return path


def recorded_calls(ctx: click.Context, param: click.Parameter, value: str | None) -> Recorded | None:
    """The callback of `--recorded`: the calls of a file. They count from the first, so Unix times may stand there."""
    del ctx, param
    if value is None:
        return None
    path = Path(value)
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"cannot read {path}: {os_reason(error)}\nNext: give a text file with `arrival,work` in each line."
        ) from None
    calls: list[tuple[float, float]] = []
    first = None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            arrival, work = map(float, line.split(","))
        except ValueError:
            raise BadInput(f"{path}, line {number}: not two numbers\nNext: write `arrival,work` in seconds.") from None
        first = arrival if first is None else first
        if not (arrival - first <= _LONGEST and 0 < work <= _LONGEST):  # NaN is refused as well
            raise BadInput(
                f"{path}, line {number}: work must be above 0, and nothing may take more than {_LONGEST:,.0f} s\n"
                "Next: write `arrival,work` in seconds."
            )
        calls.append((arrival - first, work))
    if not calls:
        raise BadInput(f"{path} holds no call\nNext: write `arrival,work` in seconds, a line for each call.")
    try:
        return Recorded(calls)
    except ValueError as error:
        raise BadInput(f"{path}: {error}\nNext: correct the file.") from None
