"""Makes `docs/images/demo.svg` anew: runs the demo and draws its last frame.

    python tools/picture.py [--seconds N] [--output FILE]

Everything in the picture is measured; only the fonts are left to whoever shows it.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from directlane.core.cli.demo import prepared
from directlane.core.cli.demo_view import FrameView, summary

_CONFIG = "directlane-demo.toml"
_WIDTH = 88
_THEME = TerminalTheme(
    (22, 27, 34),
    (201, 209, 217),
    [
        (48, 54, 61),
        (255, 123, 114),
        (63, 185, 80),
        (210, 153, 34),
        (88, 166, 255),
        (188, 140, 255),
        (57, 197, 207),
        (177, 186, 196),
    ],
    [
        (110, 118, 129),
        (255, 161, 152),
        (86, 211, 100),
        (227, 179, 65),
        (121, 192, 255),
        (210, 168, 255),
        (86, 212, 221),
        (240, 246, 252),
    ],
)
_FONT_FACES = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def main() -> None:
    """Run the demo and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--output", type=Path, default=Path("docs/images/demo.svg"))
    arguments = parser.parse_args()
    output = arguments.output.absolute()

    with tempfile.TemporaryDirectory() as folder:
        # A relative name: no path of this machine may come into the picture.
        before = Path.cwd()
        os.chdir(folder)
        try:
            with prepared(arguments.seconds, _CONFIG) as show, show.running():
                while not show.is_over:
                    show.wait(0.1)
                    show.frame()
                frame = show.frame()
        finally:
            os.chdir(before)

    console = Console(
        record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor", highlight=False
    )
    console.print(FrameView(frame, events="all"))
    console.print()
    console.print(summary(frame, _CONFIG))
    svg = console.export_svg(title="directlane demo", theme=_THEME, unique_id="directlane")
    output.parent.mkdir(parents=True, exist_ok=True)
    # Nothing is fetched by whoever looks at it.
    output.write_text(_FONT_FACES.sub("", svg).replace("Fira Code", "ui-monospace, Menlo, Consolas"), encoding="utf-8")
    print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()
