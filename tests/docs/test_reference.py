"""The reference says what the code says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest
from docs_lab import DOCS, ROOT, Page, pages

import directlane
from directlane import emulation
from directlane.core.plugins.registry import load_plugins

PROVIDERS = ["alibaba_eas", "dns", "file", "huawei_modelarts", "kubernetes", "static"]


def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_tool", ROOT / "tools" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _page(name: str) -> Page:
    path = DOCS / name
    return Page(path, path.read_text("utf-8"))


def test_made_pages_are_up_to_date() -> None:
    for path, make in cast("dict[Path, object]", _tool().PAGES).items():
        assert callable(make)
        assert path.read_text("utf-8") == make(), f"run `python tools/docs.py`: {path.name} is not up to date"


def test_every_plug_in_has_a_heading() -> None:
    registry = load_plugins(only=[*PROVIDERS, "balancers", "transports", "stores"])
    kinds = {*registry.providers, *registry.balancers, *registry.transports, *registry.stores}
    assert kinds <= {heading.strip("`") for heading in _page("reference/configuration.md").headings()}


def test_every_field_has_a_description() -> None:
    for line in _page("reference/configuration.md").text.splitlines():
        if line.startswith("| `"):
            assert re.fullmatch(r"\| `\w+` \| .+ \| .+ \| .+ \|", line), line


def test_every_public_name_is_listed_once() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", _page("reference/api.md").text, re.MULTILINE)
    assert sorted(rows) == sorted([*directlane.__all__, *emulation.__all__])


@pytest.mark.parametrize("kind", PROVIDERS)
def test_every_provider_has_a_how_to(kind: str) -> None:
    assert (DOCS / "how-to" / f"{kind.replace('_', '-')}.md").exists()


def test_every_setting_in_a_how_to_exists() -> None:
    """The first column of a table of settings names fields of the provider."""
    for kind, plugin in load_plugins(only=PROVIDERS).providers.items():
        page = _page(f"how-to/{kind.replace('_', '-')}.md")
        for table in re.findall(r"^\| setting \|.*?\n((?:\|.*\n)+)", page.text, re.MULTILINE):
            named = set(re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE))
            assert named <= set(plugin.model.model_fields), kind


def test_the_readme_has_the_lines_that_others_run() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    install = "python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt -e"
    assert f"{install} '.[cli]' && .venv/bin/directlane demo" in lines
    assert f"{install} '.[test]' && .venv/bin/pytest" in lines


def test_the_faults_that_a_page_names_exist() -> None:
    table = re.findall(
        r"^\| `(\w+).*?` \|", _page("how-to/tests-with-emulators.md").text.partition("## As pytest")[0], re.MULTILINE
    )
    faults = {name for name in table if name != "set_fault" and not name.endswith("Emulator")}
    assert {"NONE", "HANG", "Status"} <= faults
    assert faults <= set(emulation.__all__)


def test_the_changelog_has_this_version() -> None:
    headings = " ".join(next(page for page in pages() if page.name == "CHANGELOG.md").headings())
    assert directlane.__version__.partition(".dev")[0] in headings
