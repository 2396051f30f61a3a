"""`directlane schema`: the JSON Schema of a configuration file."""

from __future__ import annotations

import click

from ..config.schema import json_schema
from ..plugins.registry import load_plugins
from .output import write_json

__all__ = ["schema"]

_HELP = """Print the JSON Schema of a configuration file, with the settings of every installed plug-in. Editors complete
and check with it.

\b
Example:
  directlane schema > directlane.schema.json
"""


@click.command(help=_HELP, short_help="Print the JSON Schema of a configuration file.")
def schema() -> None:
    write_json(json_schema(load_plugins()))
