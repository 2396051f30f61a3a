"""Holds docs/reference/cli.md to the commands and their options, both ways."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from directlane.core.cli.app import app

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def sections() -> dict[str, str]:
    """The text below each command's heading."""
    parts = re.split(r"^## directlane (\w+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: text.partition("\n## ")[0] for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def test_every_command_has_a_heading_and_nothing_else_has() -> None:
    assert sections().keys() == app.commands.keys()


def options_of(command: click.Command) -> set[str]:
    """Its options, and those of the commands below it; the group of all commands has its own only."""
    if isinstance(command, click.Group) and command is not app:
        return set[str]().union(*map(options_of, command.commands.values()))
    return {name for each in command.params if isinstance(each, click.Option) for name in each.opts}


@pytest.mark.parametrize("name", app.commands)
def test_every_option_is_in_the_table_and_no_other_is(name: str) -> None:
    rows = re.findall(r"^\| (`-.*?) \|", sections()[name], flags=re.MULTILINE)
    documented = {option for row in rows for option in re.findall(r"`(--?[A-Za-z]+)", row)}
    assert documented == options_of(app.commands[name])


@pytest.mark.parametrize("name", app.commands)
def test_every_command_has_an_example_whose_options_exist(name: str) -> None:
    examples = re.findall(rf"^\$ directlane {name}(.*)$", sections()[name], flags=re.MULTILINE)
    assert examples
    for example in examples:
        used = set(re.findall(r"(?<=\s)(--?[A-Za-z]+)", example))
        assert used <= options_of(app.commands[name])


def test_options_of_the_group_are_named() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for option in options_of(app):
        assert f"`{option}`" in page
