"""The command line. It needs the extra `directlane[cli]`; importing this package does not."""

from __future__ import annotations

import sys
from importlib import import_module

__all__ = ["main"]


def main() -> None:
    """Run the command line; ends the process."""
    try:
        for package in ("click", "rich", "h11"):
            import_module(package)
    except ImportError as error:
        line = f"error: the command line needs the package {error.name}: pip install 'directlane[cli]'"
        print(line, file=sys.stderr)  # noqa: T201  # there is nothing better to write with
        sys.exit(2)
    from .app import app

    app(prog_name="directlane")
