"""`directlane transports`: how a service can send to an endpoint."""

from __future__ import annotations

import click

from ..plugins.registry import load_plugins
from .options import json_option
from .plugin_table import origin_of, show_plugins

__all__ = ["transports"]

_HELP = """List the installed transports, and the plug-ins that cannot be loaded.

\b
Example:
  directlane transports --json
"""


@click.command(help=_HELP, short_help="List the installed transports.")
@json_option
def transports(*, as_json: bool) -> None:
    registry = load_plugins()
    rows: list[dict[str, object]] = [
        {
            "name": name,
            "summary": model.summary,
            "capabilities": sorted(model.capabilities),
            "from": origin_of(registry, "transport", name),
        }
        for name, model in registry.transports.items()
    ]
    show_plugins("transports", registry, rows, ("name", "summary", "capabilities", "from"), as_json=as_json)
