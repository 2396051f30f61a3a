"""What the commands that list plug-ins have in common: the table, the JSON, and the plug-ins that are broken."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import distributions

from rich.text import Text

from ..plugins.hooks import GROUP
from ..plugins.registry import Registry
from .output import console, new_table, write_json

__all__ = ["origin_of", "show_plugins"]


def origin_of(registry: Registry, what: str, name: str) -> str:
    """The installed distribution that brings it, with its version."""
    origin = registry.origins.get((what, name))
    return origin.distribution if origin is not None else "unknown"


def show_plugins(
    what: str, registry: Registry, rows: Sequence[dict[str, object]], columns: Sequence[str], *, as_json: bool
) -> None:
    """Show one kind of plug-in.

    Args:
        what: The kind, in the plural: the key in the JSON object.
        registry: Where the broken ones stand.
        rows: Facts of each, the same keys in all.
        columns: Which facts the table shows.
        as_json: Write JSON instead of a table.
    """
    if as_json:
        broken = [
            {"plugin": each.plugin, "distribution": each.distribution, "reason": each.reason}
            for each in registry.broken
        ]
        write_json({what: list(rows), "broken": broken})
        return
    out = console()
    table = new_table(*columns)
    table.columns[0].no_wrap = True  # a name is copied from here, so it must stay in one piece
    for row in rows:
        table.add_row(*(Text(_cell(row[column]), style="bold cyan" if column == "name" else "") for column in columns))
    out.print(table)
    for each in registry.broken:
        message = f"plug-in {each.plugin!r} of {each.distribution} is not usable: {each.reason}"
        out.print(Text.assemble(("! ", "bold yellow"), message), soft_wrap=True)
    for name in _speechless():
        message = f"{name} is installed and brings nothing: it has no entry point of the group {GROUP!r}"
        out.print(Text.assemble(("! ", "bold yellow"), message), soft_wrap=True)


def _speechless() -> list[str]:
    """Installed distributions that are plug-ins by their names and name none."""
    names = {
        f"{each.name} {each.version}"
        for each in distributions()
        if (each.name or "").replace("_", "-").startswith("directlane-") and not each.entry_points.select(group=GROUP)
    }
    return sorted(names)


def _cell(value: object) -> str:
    if isinstance(value, list | tuple):
        if not value:
            return "-"
        return ", ".join(str(item) for item in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return str(value)
