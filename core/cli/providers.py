"""`directlane providers`: the clouds that can be named in a route."""

from __future__ import annotations

import click

from ..plugins.registry import load_plugins
from .options import json_option
from .plugin_table import origin_of, show_plugins

__all__ = ["providers"]

_HELP = """List the installed providers, and the plug-ins that cannot be loaded.

\b
Example:
  directlane providers --json
"""


@click.command(help=_HELP, short_help="List the installed providers.")
@json_option
def providers(*, as_json: bool) -> None:
    registry = load_plugins()
    rows: list[dict[str, object]] = [
        {
            "name": name,
            "title": plugin.model.facts.title,
            "summary": plugin.model.facts.summary,
            "capabilities": sorted(plugin.model.facts.capabilities),
            "budgets": list(plugin.model.facts.budgets),
            "has_emulator": plugin.emulator is not None,
            "from": origin_of(registry, "provider", name),
        }
        for name, plugin in registry.providers.items()
    ]
    show_plugins("providers", registry, rows, ("name", "summary", "capabilities", "from"), as_json=as_json)
