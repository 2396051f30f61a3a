"""`directlane stores`: what processes can share budgets and lists through."""

from __future__ import annotations

import click

from ..plugins.registry import load_plugins
from .options import json_option
from .plugin_table import origin_of, show_plugins

__all__ = ["stores"]

_HELP = """List the installed stores, and the plug-ins that cannot be loaded.

\b
Example:
  directlane stores --json
"""


@click.command(help=_HELP, short_help="List the installed stores.")
@json_option
def stores(*, as_json: bool) -> None:
    registry = load_plugins()
    rows: list[dict[str, object]] = [
        {
            "name": name,
            "summary": store.summary,
            "capabilities": sorted(store.capabilities),
            "schemes": list(store.schemes),
            "from": origin_of(registry, "store", name),
        }
        for name, store in registry.stores.items()
    ]
    show_plugins("stores", registry, rows, ("name", "summary", "capabilities", "from"), as_json=as_json)
