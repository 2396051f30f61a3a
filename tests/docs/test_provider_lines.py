"""The table of how long each provider is says the truth."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from docs_lab import ROOT


def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("provider_lines", ROOT / "tools" / "provider_lines.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


provider_lines = _tool()


def test_the_table_is_true() -> None:
    assert provider_lines.wrong(provider_lines.PAGE.read_text()) == [], "run: python tools/provider_lines.py"


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        (("| `static` |", "| `statik` |"), "provider `static` does not stand in the table"),
        (("| `static` |", "| `statik` |"), "there is no provider `statik`"),
        (("| `static` | built in | ", "| `static` | built in | 9"), "provider `static` takes "),
    ],
)
def test_a_table_that_is_not_true_is_told(change: tuple[str, str], mistake: str) -> None:
    mistakes = provider_lines.wrong(provider_lines.PAGE.read_text().replace(*change))
    assert any(line.startswith(mistake) for line in mistakes)


def test_what_counts_is_code_that_the_plug_in_needs(tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(
        '"""Says\nwhat it is."""\n\nfrom .provider import x  # why\n\n\ndef make():\n    from .emulator import y\n'
    )
    (tmp_path / "provider.py").write_text("# a comment\nx = 1\n'''Its docstring.'''\n\ny = (\n    2,\n)\n")
    (tmp_path / "emulator.py").write_text("from .cloud import y\n")
    (tmp_path / "cloud.py").write_text("y = 1\n")
    assert provider_lines.lines_of(tmp_path) == 3 + 4
