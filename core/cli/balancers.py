"""`directlane balancers`: how a service can choose between its endpoints."""

from __future__ import annotations

import click

from ..plugins.registry import load_plugins
from .options import json_option
from .plugin_table import origin_of, show_plugins

__all__ = ["balancers"]

_HELP = """List the installed balancers, and the plug-ins that cannot be loaded.

\b
Example:
  directlane balancers --json
"""


@click.command(help=_HELP, short_help="List the installed balancers.")
@json_option
def balancers(*, as_json: bool) -> None:
    registry = load_plugins()
    rows: list[dict[str, object]] = [
        {
            "name": name,
            "summary": model.summary,
            "capabilities": sorted(model.capabilities),
            "from": origin_of(registry, "balancer", name),
        }
        for name, model in registry.balancers.items()
    ]
    show_plugins("balancers", registry, rows, ("name", "summary", "capabilities", "from"), as_json=as_json)
