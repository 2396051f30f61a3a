"""Every link inside the repository leads somewhere, and every page can be found from the index."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs_lab import DOCS, Page, pages, slug

PAGES = pages()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_internal_links_resolve(page: Page) -> None:
    broken = [
        link
        for link in page.links()
        if not link.startswith(("http://", "https://", "mailto:")) and not _leads(page, link)
    ]
    assert not broken


def _leads(page: Page, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.path.parent / path).resolve() if path else page.path
    if not target.exists():
        return False
    return not anchor or anchor in {slug(heading) for heading in _at(target).headings()}


def _at(path: Path) -> Page:
    return Page(path, path.read_text("utf-8"))


def test_the_index_names_every_page() -> None:
    index = _at(DOCS / "index.md")
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in index.links()}
    missing = [page.name for page in PAGES if DOCS in page.path.parents and page.path not in {*linked, index.path}]
    assert not missing


def test_the_readme_leads_to_the_index() -> None:
    assert "docs/index.md" in _links_of_readme()


def _links_of_readme() -> set[str]:
    return set(_at(DOCS.parent / "README.md").links())
