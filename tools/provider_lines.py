"""Writes the table of docs/how-to/write-a-provider.md that says how many lines each provider takes.

    python tools/provider_lines.py            write the table
    python tools/provider_lines.py --check    write nothing; end with status 1 if a provider is missing or far from true

A line of code is one that is neither empty, nor a comment, nor part of a docstring. Of a folder those modules count
that its plug-in needs; its emulator, and what only that needs, does not.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import directlane

__all__ = ["PAGE", "lines_of", "providers", "stated", "wrong"]

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "how-to" / "write-a-provider.md"
_BEGIN, _END = "<!-- Made by tools/provider_lines.py: begin -->\n", "<!-- end -->\n"
_ROW = re.compile(r"^\| `(?P<name>\w+)` \| [^|]* \| (?P<lines>\d+) \|$", re.MULTILINE)
_NEAR = 0.15
"""A table that is off by less than this share is left alone: not every change of a provider changes the page."""


def providers() -> Mapping[str, tuple[Path, str]]:
    """The folder of each provider, and what it is."""
    built_in = Path(directlane.__file__).parent / "providers"
    found = {
        folder.name: (folder, "built in") for folder in sorted(built_in.iterdir()) if (folder / "plugin.py").is_file()
    }
    examples = ((path.parent, path) for path in sorted((ROOT / "examples").glob("*/src/*/provider.py")))
    others = {folder.name.removeprefix("directlane_"): (folder, "an example of a plug-in") for folder, _ in examples}
    return {**found, **others}


def lines_of(folder: Path) -> int:
    """The lines of code that the plug-in of this folder needs."""
    waiting, seen = ["plugin"], set[str]()
    while waiting:
        name = waiting.pop()
        path = folder / f"{name}.py"
        if name in seen or name == "emulator" or not path.is_file():
            continue
        seen.add(name)
        waiting += _needs(ast.parse(path.read_text()))
    return sum(_count(folder / f"{name}.py") for name in seen)


def _needs(tree: ast.Module) -> Iterator[str]:
    """Its neighbours in the same folder."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            yield from [node.module] if node.module else [alias.name for alias in node.names]


def _count(path: Path) -> int:
    text = path.read_text()
    lines = {number for number, line in enumerate(text.splitlines(), 1) if line.strip() and line.strip()[0] != "#"}
    for node in ast.walk(ast.parse(text)):
        # A string that stands alone: a docstring, of a module, a class, a function or a name.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def stated(page: str) -> dict[str, int]:
    """What the table says."""
    table = page.partition(_BEGIN)[2].partition(_END)[0]
    return {row["name"]: int(row["lines"]) for row in _ROW.finditer(table)}


def wrong(page: str) -> list[str]:
    """What is not true in the table, one sentence each."""
    told, true = stated(page), {name: lines_of(folder) for name, (folder, _) in providers().items()}
    missing = [f"provider `{name}` does not stand in the table" for name in true.keys() - told.keys()]
    gone = [f"there is no provider `{name}`" for name in told.keys() - true.keys()]
    off = [
        f"provider `{name}` takes {true[name]} lines, not {told[name]}"
        for name in told.keys() & true.keys()
        if abs(told[name] - true[name]) > _NEAR * true[name]
    ]
    return sorted(missing + gone + off)


def main(arguments: list[str]) -> int:
    page = PAGE.read_text()
    mistakes = wrong(page)
    if "--check" in arguments:
        print(*mistakes, sep="\n", end="\n" if mistakes else "")
        return 1 if mistakes else 0
    rows = "".join(
        f"| `{name}` | {kind} | {lines_of(folder)} |\n" for name, (folder, kind) in sorted(providers().items())
    )
    before, _, rest = page.partition(_BEGIN)
    table = f"| provider | what it is | lines |\n|---|---|---|\n{rows}"
    PAGE.write_text(f"{before}{_BEGIN}\n{table}\n{_END}{rest.partition(_END)[2]}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
