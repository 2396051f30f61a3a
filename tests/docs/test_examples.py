"""Every example of the README and the docs works: Python runs, and configuration is accepted."""

from __future__ import annotations

import io
import tomllib
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import cast

import pytest
import yaml
from docs_lab import ROOT, Block, Page, pages, same_but_for_chance

from directlane import load_data

_SKIP = "skip: "
_FILE = "file: "
_LANGUAGES = ("python", "text", "toml", "yaml", "console", "diff")
PAGES = pages()
PYTHON_PAGES = [page for page in PAGES if any(page.blocks("python"))]
CONFIGURATIONS = [
    pytest.param(block, id=f"{page.name}:{block.line}") for page in PAGES for block in page.blocks("toml", "yaml")
]


class AnyVariable(dict[str, str]):
    """An environment in which every variable is set."""

    def get(self, key: str, default: object = None) -> str:  # every key has a value here
        return f"value-of-{key.lower()}"


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=lambda page: page.name)
def test_python_runs(page: Page, workshop: Path) -> None:
    names: dict[str, object] = {}
    printed = ""
    for block in page.blocks("python", "text"):
        if block.language == "text":
            if block.mark == "prints":
                assert same_but_for_chance(printed) == same_but_for_chance(block.code), f"{page.name}:{block.line}"
        elif block.mark.startswith(_FILE):
            file = workshop / block.mark.removeprefix(_FILE)
            file.parent.mkdir(exist_ok=True)
            file.write_text(block.code, "utf-8")
        elif not block.mark.startswith(_SKIP):
            if block.mark != "goes on":
                names = {"__name__": "__main__"}
            printed = _run(page, block, names)


def _run(page: Page, block: Block, names: dict[str, object]) -> str:
    """What the block prints. Its test functions are called."""
    output = io.StringIO()
    # Empty lines in front, so that a traceback names the line of the page.
    code = compile("\n" * (block.line - 1) + block.code, str(ROOT / page.name), "exec", dont_inherit=True)
    before = dict(names)
    with redirect_stdout(output):
        exec(code, names)
        for name, value in list(names.items()):
            if name.startswith("test_") and callable(value) and before.get(name) is not value:
                value()
    return output.getvalue()


@pytest.mark.parametrize("block", CONFIGURATIONS)
def test_configuration_is_accepted(block: Block, tmp_path: Path) -> None:
    if block.mark.startswith((_SKIP, _FILE)):
        pytest.skip(block.mark)  # a file is checked by whoever follows the page
    (tmp_path / "secrets").mkdir()
    for name in ("eas-token", "iam-password"):
        (tmp_path / "secrets" / name).write_text("from-a-file\n", "utf-8")
    load_data(_data(block), source="docs", environment=AnyVariable(), folder=tmp_path)


def _data(block: Block) -> Mapping[str, object]:
    text = block.code
    if block.language == "yaml":
        return cast("Mapping[str, object]", yaml.safe_load(text))
    if block.mark == "a route":
        return {"services": {"example": {"routes": [tomllib.loads(text)]}}}
    if block.mark == "in a service":
        route = {"provider": "static", "addresses": ["http://10.0.0.7:8000"]}
        return {"services": {"example": {"routes": [route], **tomllib.loads(text)}}}
    return tomllib.loads(text)


def test_every_mark_is_known() -> None:
    known = {"", "goes on", "prints", "in a service", "a route", "installs"}
    for page in PAGES:
        for block in page.blocks(*_LANGUAGES):
            assert block.mark in known or block.mark.startswith((_SKIP, _FILE, "change: ")), f"{page.name}:{block.line}"
        assert page.text.count("<!-- test: ") == sum(bool(block.mark) for block in page.blocks(*_LANGUAGES)), (
            f"{page.name} has a mark that stands in front of no block"
        )
